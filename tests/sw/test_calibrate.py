"""Calibration, binary points, weight pruning and threshold curves."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.sw.compiler import CompileError, quantise_encoder
from acceltran.sw.golden.fixed import quantise
from acceltran.sw.ir.curves import constant_curves, profiled_curves
from acceltran.sw.ir.execute import execute
from acceltran.sw.ir.formats import MARGIN, best_point, binary_point, product_fields, quantise_constant
from acceltran.sw.ir.spread import Spread
from acceltran.sw.models.build_encoder import build_graph
from acceltran.sw.models.calibrate import SENTENCES, calibrate
from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.float_encoder import FloatEncoder
from acceltran.sw.models.quantise import prune_weights
from acceltran.sw.models.sentences import encode_texts
from support.models import make_checkpoint, random_texts

NANO = AcceleratorConfig.load("nano")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return load_checkpoint(make_checkpoint(tmp_path_factory.mktemp("model"), ffn=72))


@pytest.fixture(scope="module")
def texts():
    return random_texts(12, 14)


@pytest.mark.parametrize("width", [8, 20])
@pytest.mark.parametrize("largest", [0.013, 0.5, 0.99, 1.0, 1.01, 7.999999999, 8.0, 30.0])
def test_binary_point_is_the_largest_that_holds(width, largest):
    frac = binary_point(largest, width)
    limit = (1 << (width - 1)) - 1
    assert math.floor(largest * 2.0**frac + 0.5) <= limit
    assert frac == 24 or math.floor(largest * 2.0 ** (frac + 1) + 0.5) > limit


def test_binary_point_of_zero_and_of_huge_values():
    assert binary_point(0.0, 20) == 19
    assert binary_point(0.0, 20, ceiling=5) == 5
    assert binary_point(1e30, 20) == -4
    assert binary_point(1e-30, 20) == 24


def with_outliers(share, size=20_000):
    """Normal values, of which a few are up to 30 times as large."""
    generator = torch.Generator().manual_seed(5)
    values = torch.randn(size, generator=generator)
    values[: int(share * size)] *= 30 * torch.rand(int(share * size), generator=generator)
    return values


@pytest.mark.parametrize("share", [0.0, 0.0002, 0.01])
def test_the_error_of_a_spread_is_that_of_the_values(share):
    values, spread = with_outliers(share), Spread(1.25)
    for part in values.split(3_000):
        spread.add(part)
    for width in (8, 10, 14):
        for frac in range(-1, width):
            exact = float((quantise(values * 1.25, frac, width) * 2.0**-frac - values.double() * 1.25).square().sum())
            assert spread.error(frac, width) == pytest.approx(exact, rel=0.06), (width, frac)
    small = Spread()
    small.add(values / 10_000)
    assert small.error(3, 8) == pytest.approx(float((values / 10_000).square().sum())), "all of them vanish"


def test_a_few_outliers_are_clipped_where_the_others_gain_more():
    def bits_beyond(share, width):
        values, spread = with_outliers(share), Spread()
        spread.add(values)
        first = binary_point(float(values.abs().max()), width)
        frac = best_point(first, lambda frac: spread.error(frac, width))
        errors = {f: spread.error(f, width) for f in range(first, first + 6)}
        assert errors[frac] == min(errors.values())
        return frac - first

    assert bits_beyond(0.0002, 8) > 0 == bits_beyond(0.01, 14) == bits_beyond(0.0002, 20)


@pytest.mark.parametrize("width", [8, 20])
def test_constants_have_the_least_squared_error(width):
    for values in (with_outliers(0.0001), torch.ones(128), torch.tensor([1.0001] + [0.305] * 300), torch.zeros(4)):
        integers, frac = quantise_constant(values, width)
        errors = {f: float((quantise(values, f, width) * 2.0**-f - values.double()).square().sum()) for f in range(-4, 25)}
        assert errors[frac] == min(errors.values())
        assert torch.equal(integers, quantise(values, frac, width))
    assert quantise_constant(torch.tensor([1.0001] + [0.305] * 300), 8)[1] == 7
    assert quantise_constant(with_outliers(0.0), 20, ceiling=9)[1] == 9
    assert quantise_constant(torch.full((3,), 1e-4), 20, ceiling=30)[1] == 24


def test_activations_have_the_least_squared_error(checkpoint, texts):
    """Where nothing else limits them; 1.25 times what was seen counts."""
    hardware, chosen = replace(NANO, fraction_bits=4), set()
    for eighth in range(0, 8, 2):
        tensors = {name: tensor * 2 ** (eighth / 8) if "attention.self" in name else tensor
                   for name, tensor in checkpoint.tensors.items()}
        model = replace(checkpoint, tensors=tensors)
        encoder = quantise_encoder(model, hardware, calibration_texts=texts)
        seen = calibrate(model, texts, scale=lambda name: MARGIN * checkpoint.parts().scale(name))
        for name in (f"layer{layer}.{part}" for layer in range(2) for part in ("query", "key", "value", "hidden", "output")):
            errors = {frac: seen.spreads[name].error(frac, 8) for frac in range(-4, 25)}
            assert errors[encoder.fracs[name]] == min(errors.values()), name
            chosen.add(encoder.fracs[name] - binary_point(encoder.maxima[name], 8))
    assert chosen == {0, 1}


def test_the_calibration_spreads_every_tensor(checkpoint, texts):
    seen = calibrate(checkpoint, texts, keep=["layer0.hidden"], scale=lambda name: 2.0)
    assert seen.spreads.keys() == seen.maxima.keys()
    spread = Spread(2.0)
    spread.add(torch.from_numpy(seen.magnitudes["layer0.hidden"]))
    assert seen.spreads["layer0.hidden"].error(3, 8) == pytest.approx(spread.error(3, 8), rel=1e-12)


def test_product_fields():
    assert product_fields("x", product_frac=36, bias_frac=18, o_frac=15, function="relu", width=20) == {
        "bias_shift": 18, "shift": 21, "function_shift": 0}
    assert product_fields("x", product_frac=36, bias_frac=18, o_frac=18, function="gelu", width=20) == {
        "bias_shift": 18, "shift": 20, "function_shift": -2}
    assert product_fields("x", product_frac=14, bias_frac=7, o_frac=6, function="gelu", width=8) == {
        "bias_shift": 7, "shift": 4, "function_shift": 4}
    with pytest.raises(CompileError, match="x: bias_shift would be -1"):
        product_fields("x", product_frac=17, bias_frac=18, o_frac=15, function="none", width=20)


def test_calibration_sees_every_tensor(checkpoint, texts):
    seen = calibrate(checkpoint, texts, keep=["layer0.probabilities"])
    ids, lengths = encode_texts(checkpoint, texts)
    values = FloatEncoder(checkpoint).run(ids, lengths)
    assert seen.maxima.keys() == values.keys()
    valid = max(float(values["layer1.hidden"][n, :length].abs().max()) for n, length in enumerate(lengths))
    assert seen.maxima["layer1.hidden"] == pytest.approx(valid, rel=1e-5)
    assert seen.magnitudes.keys() == {"layer0.probabilities"}
    assert len(seen.magnitudes["layer0.probabilities"]) == sum(2 * length**2 for length in lengths)


def test_builtin_sentences_are_cut_to_the_positions(checkpoint):
    seen = calibrate(checkpoint, keep=["embeddings.output"])
    tokens = len(seen.magnitudes["embeddings.output"]) // checkpoint.config.hidden_size
    assert len(SENTENCES) >= 16
    assert 3 * len(SENTENCES) <= tokens <= 32 * len(SENTENCES)


def test_calibrated_activations_do_not_saturate(checkpoint, texts):
    encoder = quantise_encoder(checkpoint, NANO, calibration_texts=texts)
    ids, lengths = encode_texts(checkpoint, texts)
    graph = build_graph(encoder, lengths, ids.shape[1])
    values, limit = execute(graph, ids), (1 << (NANO.width - 1)) - 1
    assert MARGIN > 1
    for name, tensor in values.items():
        assert int(tensor.abs().max()) < limit, name


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.5, 0.995, 1.0])
def test_weight_pruning_is_exact_and_takes_the_smallest(sparsity):
    weight = torch.randn(37, 21, generator=torch.Generator().manual_seed(6))
    pruned = prune_weights(weight, sparsity)
    assert int((pruned == 0).sum()) == round(sparsity * weight.numel())
    kept = pruned != 0
    assert (pruned[kept] == weight[kept]).all()
    if 0 < sparsity < 1:
        assert weight[~kept].abs().max() <= weight[kept].abs().min()


def test_weight_pruning_counts_ties():
    assert int((prune_weights(torch.ones(4, 4), 0.5) == 0).sum()) == 8
    with pytest.raises(CompileError, match="weight_sparsity = 1.5"):
        prune_weights(torch.ones(2, 2), 1.5)


def test_pruned_weights_reach_the_graph(checkpoint, texts):
    encoder = quantise_encoder(checkpoint, NANO, weight_sparsity=0.5, calibration_texts=texts)
    for name in ("query", "key", "value", "attention", "hidden", "output"):
        weight = encoder.constants[f"layer1.{name}.weight"][0][:72, :72]
        size = 32 * (72 if name in ("hidden", "output") else 32)
        assert int((weight != 0).sum()) <= size - size // 2, name
        assert int((weight != 0).sum()) >= size // 2 * 0.98, name
    assert (encoder.constants["pooler.weight"][0] != 0).float().mean() > 0.99


@pytest.mark.parametrize("tau", [0.0, 0.02, 0.05, 1.0])
def test_constant_curves_prune_what_is_below_tau(tau):
    sites = {"a": 2.0**10, "b": 2.0**12, "c": 2.0**10, "d": 2.0**-2, "e": 0.36 * 2.0**12}
    curves, numbers = constant_curves(sites, tau, width=20, limit=5)
    for name, units in sites.items():
        values = torch.linspace(-2, 2, 4001, dtype=torch.float64)
        integers = quantise(values * units, 0, 20)
        threshold = curves[numbers[name] - 1][0] if numbers[name] else 0
        assert ((integers.abs() < threshold) == (integers.abs() / units < tau)).all()
    assert numbers["a"] == numbers["c"]
    assert len(set(curves)) == len(curves)


def test_too_many_curves_are_refused():
    with pytest.raises(CompileError, match="raise prune_curves to 3"):
        constant_curves({"a": 2.0**10, "b": 2.0**11, "c": 2.0**12}, 0.1, width=20, limit=2)
    with pytest.raises(CompileError, match="tau = -1"):
        constant_curves({"a": 2.0**10}, -1, width=20, limit=2)


def test_profiled_curves_are_quantiles_and_merge_when_scarce():
    rng = np.random.default_rng(3)
    sites = {"a": 2.0**10, "b": 2.0**10, "c": 0.18 * 2.0**11}
    kinds = {"a": "query", "b": "query", "c": "query"}
    magnitudes = {name: np.abs(rng.normal(size=5000)).astype(np.float32) for name in sites}
    curves, numbers = profiled_curves(sites, kinds, magnitudes, width=20, limit=4)
    assert sorted(numbers.values()) == [1, 2, 3]
    for name, units in sites.items():
        integers = np.floor(magnitudes[name].astype(np.float64) * units + 0.5)
        for n, knot in enumerate(curves[numbers[name] - 1]):
            assert (integers < knot).sum() >= n / 8 * 5000
            assert n == 0 or (integers < knot - 1).sum() < n / 8 * 5000
    _, numbers = profiled_curves(sites, kinds, magnitudes, width=20, limit=2)
    assert numbers["a"] == numbers["b"] != numbers["c"]
    with pytest.raises(CompileError, match="raise prune_curves to 2"):
        profiled_curves(sites, kinds, magnitudes, width=20, limit=1)


@pytest.mark.parametrize("target", [0.25, 0.5, 0.7])
def test_wanted_sparsity_is_reached(checkpoint, texts, target):
    encoder = quantise_encoder(checkpoint, replace(NANO, prune_curves=32), target_sparsity=target,
                               calibration_texts=texts)
    ids, lengths = encode_texts(checkpoint, texts)
    graph = build_graph(encoder, lengths, ids.shape[1], separate=False)
    values = execute(graph, ids)
    assert graph.target == round(target * 256)
    rows = torch.cat([n * graph.sequence + torch.arange(length) for n, length in enumerate(lengths)])
    # Behind the first site the curves, profiled without pruning, meet values that pruning has made smaller.
    for name, tolerance in (("embeddings.output", 0.02), ("layer0.query", 0.1), ("layer0.value", 0.1)):
        assert float((values[name][rows] == 0).float().mean()) == pytest.approx(target, abs=tolerance), name


@pytest.mark.parametrize(("change", "message"), [
    ({"layers": 3}, "layers = 3: the model has 2"),
    ({"tau": 0.1, "target_sparsity": 0.5}, "choose one"),
    ({"target_sparsity": 1.5}, "target_sparsity = 1.5"),
    ({"config": replace(NANO, tile=16, functions=("gelu",))}, "add tanh to functions"),
    ({"config": replace(NANO, functions=("relu", "tanh"))}, "needs gelu"),
])
def test_refusals(checkpoint, change, message):
    config = change.pop("config", NANO)
    with pytest.raises(CompileError, match=message) as error:
        quantise_encoder(checkpoint, config, **change)
    assert "\n" not in str(error.value)


def test_refusals_that_name_a_size(tmp_path):
    narrow = load_checkpoint(make_checkpoint(tmp_path / "narrow", hidden=32, heads=4, layers=1))
    with pytest.raises(CompileError, match="heads of 8 columns are not whole tiles of 16: set tile = 8"):
        quantise_encoder(narrow, AcceleratorConfig.load("mini"))
    wide = load_checkpoint(make_checkpoint(tmp_path / "wide", hidden=16, heads=2, layers=1, ffn=300))
    with pytest.raises(CompileError, match="raise max_inner to 512"):
        quantise_encoder(wide, replace(NANO, max_inner=256))
