"""The softmax's factor in the query projection: weights, queries, scores, binary points and thresholds."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.hw.spec.softmax import x_shifts
from acceltran.sw.compiler import quantise_encoder
from acceltran.sw.ir.execute import execute
from acceltran.sw.ir.formats import MARGIN, binary_point, scores_frac
from acceltran.sw.ir.graph import Softmax
from acceltran.sw.models.build_encoder import build_graph
from acceltran.sw.models.calibrate import calibrate
from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.float_encoder import FloatEncoder
from acceltran.sw.models.quantise import prune_weights
from acceltran.sw.models.sentences import encode_texts
from support.models import make_checkpoint, random_texts

NANO = replace(AcceleratorConfig.load("nano"), prune_curves=32)
TEXTS = random_texts(12, 14)
FACTOR = math.log2(math.e) / math.sqrt(16)
SITES = ("query", "key", "value", "probabilities", "context", "attention_norm", "hidden")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return load_checkpoint(make_checkpoint(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def encoder(checkpoint):
    return quantise_encoder(checkpoint, NANO, calibration_texts=TEXTS)


def with_factors(checkpoint, **factors):
    """The checkpoint with larger or smaller queries and keys."""
    tensors = {name: values * factors.get(name.split(".")[-2], 1.0) for name, values in checkpoint.tensors.items()}
    return replace(checkpoint, tensors=tensors)


def test_which_tensors_are_folded(checkpoint, encoder):
    tensors = {}
    for separate in (False, True):
        tensors |= build_graph(encoder, [5, 9, 3], 9, separate=separate).tensors
    for name in ("layer0.query", "layer1.query.2", "layer1.query.weight", "layer1.query.bias", "layer0.scores.2.1"):
        assert tensors[name].scale == pytest.approx(FACTOR, rel=1e-15)
    for name in ("layer0.key", "layer0.key.weight", "layer0.probabilities.0.1", "layer1.hidden", "embeddings.output",
                 "pooler", "pooler.weight", "logits.bias", "embeddings.word.table"):
        assert tensors[name].scale == 1
    assert encoder.parts.scale("layer0.scores") == encoder.parts.scale("layer1.query") == pytest.approx(FACTOR, rel=1e-15)
    assert encoder.parts.scale("layer0.key") == encoder.parts.scale("layer0.context") == 1


@pytest.mark.parametrize("sparsity", [0.0, 0.5])
def test_weights_are_pruned_and_then_folded(checkpoint, sparsity):
    encoder = quantise_encoder(checkpoint, NANO, calibration_texts=TEXTS, weight_sparsity=sparsity)
    for part, factor in (("query", FACTOR), ("key", 1.0)):
        source = f"encoder.layer.1.attention.self.{part}"
        integers, frac = encoder.constants[f"layer1.{part}.weight"]
        weight = prune_weights(checkpoint.tensors[f"{source}.weight"], sparsity).T
        assert (integers.double() * 2.0**-frac - weight.double() * factor).abs().max() <= 2.0 ** -(frac + 1)
        assert not integers[weight == 0].any()
        integers, frac = encoder.constants[f"layer1.{part}.bias"]
        bias = checkpoint.tensors[f"{source}.bias"].double() * factor
        assert (integers.double() * 2.0**-frac - bias).abs().max() <= 2.0 ** -(frac + 1)


def test_queries_and_scores_are_the_float_ones_times_the_factor(checkpoint, encoder):
    ids, lengths = encode_texts(checkpoint, TEXTS)
    values = execute(build_graph(encoder, lengths, ids.shape[1], separate=False), ids)
    expected = FloatEncoder(checkpoint, torch.float64).run(ids, lengths)
    queries = values["layer0.query"].view(len(TEXTS), -1, 32) / (FACTOR * 2.0 ** encoder.fracs["layer0.query"])
    keys = values["layer0.key"].view(len(TEXTS), -1, 32) / 2.0 ** encoder.fracs["layer0.key"]
    for n, length in enumerate(lengths):
        for got, name in ((queries, "query"), (keys, "key")):
            assert (got[n, :length] - expected[f"layer0.{name}"][n, :length]).abs().max() < 2e-4
        # The float model's scores are divided by the root of the head size in its softmax.
        scores = values[f"layer0.scores.{n}.1"][:length, :length] / 2.0 ** encoder.fracs["layer0.scores"]
        logits = expected["layer0.scores"][n, 1, :length, :length] / math.sqrt(16)
        assert (torch.softmax(scores * math.log(2), 1) - torch.softmax(logits, 1)).abs().max() < 2e-4


def test_binary_points_are_those_of_the_larger_values(checkpoint, encoder):
    seen = calibrate(checkpoint, TEXTS).maxima
    for name in ("layer0.query", "layer1.query", "layer0.scores", "layer1.scores"):
        assert encoder.fracs[name] == min(16 if "scores" in name else 24,
                                          binary_point(seen[name] * FACTOR * MARGIN, NANO.width))
        assert encoder.maxima[name] == pytest.approx(seen[name] * FACTOR * MARGIN)


@pytest.mark.parametrize("width", [8, 12, 20, 24])
@pytest.mark.parametrize(("query", "key"), [(1e-6, 1.0), (1e-2, 1.0), (1.0, 1.0), (30.0, 1.0), (3e4, 1.0), (3e4, 3e4)])
def test_binary_points_of_scores_suit_the_softmax(checkpoint, width, query, key):
    hardware = replace(NANO, integer_bits=4, fraction_bits=width - 4)
    encoder = quantise_encoder(with_factors(checkpoint, query=query, key=key), hardware, calibration_texts=TEXTS)
    for layer in range(2):
        frac = encoder.fracs[f"layer{layer}.scores"]
        assert width - 10 <= frac <= 16
        wanted = min(binary_point(encoder.maxima[f"layer{layer}.scores"], width),
                     encoder.fracs[f"layer{layer}.query"] + encoder.fracs[f"layer{layer}.key"])
        assert frac == min(16, max(width - 10, wanted))
    graph = build_graph(encoder, [8], 8)
    shifts = {operation.x_shift for operation in graph.operations if isinstance(operation, Softmax)}
    assert shifts == {16 - encoder.fracs[f"layer{layer}.scores"] for layer in range(2)}
    assert all(shift in x_shifts(width) for shift in shifts)
    execute(graph, torch.zeros(1, 8, dtype=torch.int64))


@pytest.mark.parametrize("width", range(8, 25))
def test_ends_of_the_binary_points_of_scores(width):
    assert [scores_frac(frac, width) for frac in (-4, width - 11, width - 10, width - 9, 15, 16, 17, 24)] == [
        max(-4, width - 10), width - 10, width - 10, min(16, width - 9), max(15, width - 10), 16, 16, 16]


def test_one_threshold(checkpoint):
    encoder = quantise_encoder(checkpoint, NANO, calibration_texts=TEXTS, tau=0.03)
    for layer in range(2):
        for site in SITES:
            name = f"layer{layer}.{site}"
            wanted = math.ceil(0.03 * (FACTOR if site == "query" else 1.0) * 2.0 ** encoder.fracs[name])
            assert encoder.curves[encoder.curve_numbers[name] - 1] == (wanted,) * 9


def test_thresholds_of_sites(checkpoint):
    taus = {f"layer1.{site}": tuple(0.013 * n for n in range(9)) for site in SITES}
    encoder = quantise_encoder(checkpoint, NANO, calibration_texts=TEXTS, site_taus=taus, target_sparsity=0.5)
    for name, values in taus.items():
        units = (FACTOR if name == "layer1.query" else 1.0) * 2.0 ** encoder.fracs[name]
        assert encoder.curves[encoder.curve_numbers[name] - 1] == tuple(math.ceil(tau * units) for tau in values)


def test_profiled_thresholds(checkpoint):
    encoder = quantise_encoder(checkpoint, NANO, calibration_texts=TEXTS, target_sparsity=0.5)
    magnitudes = calibrate(checkpoint, TEXTS, keep=["layer0.query"]).magnitudes["layer0.query"]
    knots = encoder.curves[encoder.curve_numbers["layer0.query"] - 1]
    below = np.array([(magnitudes < knot / FACTOR / 2.0 ** encoder.fracs["layer0.query"]).mean() for knot in knots])
    assert np.abs(below - np.arange(9) / 8).max() < 2e-3
