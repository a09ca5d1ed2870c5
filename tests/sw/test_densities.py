"""Expected densities: what calibration saw, under the thresholds of each tensor, and what products of it cost."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.sw.compiler import quantise_encoder
from acceltran.sw.compiler.cost import Cost
from acceltran.sw.compiler.image import pack_matrix
from acceltran.sw.compiler.lower import lower
from acceltran.sw.compiler.steps import LoadStep, MatMulStep
from acceltran.sw.ir.densities import density, is_even, profile
from acceltran.sw.ir.execute import execute
from acceltran.sw.models.build_encoder import build_graph
from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.quantise import prune_weights
from acceltran.sw.models.sentences import encode_texts
from acceltran.sw.models.weight_sparsity import GroupSparsity, as_weight_sparsity
from support.models import make_checkpoint, random_texts

CONFIG = replace(AcceleratorConfig.load("nano"), name="small", bus_width=64)
TEXTS = random_texts(4, 12)


@pytest.fixture(scope="module", params=["gelu", "relu"])
def checkpoint(request, tmp_path_factory):
    return load_checkpoint(make_checkpoint(tmp_path_factory.mktemp(request.param), act=request.param))


def test_the_share_that_reaches_the_threshold():
    samples = profile(np.arange(1000, dtype=np.float32) / 1000, 100)
    assert len(samples) == 1024 and (np.diff(samples) >= 0).all()
    assert density(samples, 0) == density(samples, 1) == pytest.approx(0.995, abs=2e-3)
    assert density(samples, 25) == pytest.approx(0.755, abs=2e-3)
    assert density(samples, 101) == 0
    # Twice as large on average: half as many below the threshold.
    assert density(samples, 25, mean=2 * samples.mean()) == pytest.approx(0.8775, abs=2e-3)
    assert density(profile(np.zeros(5, dtype=np.float32), 100), 1, mean=3) == 0


def counted(checkpoint, encoder):
    """(Counted, expected) share of values that are not zero, over all texts, of every operand of a product."""
    sums = {}
    for text in TEXTS:
        ids, lengths = encode_texts(checkpoint, [text])
        graph = build_graph(encoder, lengths, ids.shape[1])
        values = execute(graph, ids)
        for name, tensor in graph.tensors.items():
            site = name.removesuffix(".0.0").removesuffix(".0.1")
            if site in encoder.curve_numbers:
                valid = values[name][: lengths[0]]
                sums.setdefault(site, []).append((int((valid != 0).sum()), tensor.density * valid.numel(), valid.numel()))
    return {site: (sum(a for a, _, _ in rows) / sum(n for *_, n in rows), sum(b for _, b, _ in rows) / sum(n for *_, n in rows))
            for site, rows in sums.items()}


@pytest.mark.parametrize("factor", [0.03, 0.2])
def test_p1_a_tensor_is_as_dense_as_its_own_threshold_leaves_it(checkpoint, factor):
    """One site after the other gets a threshold; on the sentences of the calibration the share counted is that expected."""
    plain = quantise_encoder(checkpoint, CONFIG, calibration_texts=TEXTS)
    before = counted(checkpoint, plain)
    assert set(before) == set(plain.curve_numbers)
    for site in plain.curve_numbers:
        tau = factor * plain.maxima[site] / plain.parts.scale(site)
        encoder = quantise_encoder(checkpoint, CONFIG, calibration_texts=TEXTS, site_taus={site: (tau,) * 9},
                                   target_sparsity=0.5)
        shares = counted(checkpoint, encoder)
        assert shares[site][0] == pytest.approx(shares[site][1], abs=0.03), site
        assert shares[site][1] < before[site][1] - 0.005
    # An operating point is no sparsity: without a threshold nothing is expected to be zero but what rounds to it.
    assert shares["layer0.query"][1] == before["layer0.query"][1] > 0.99


def test_p1_relu_makes_zeros_without_thresholds(checkpoint):
    encoder = quantise_encoder(checkpoint, CONFIG, calibration_texts=TEXTS)
    found, expected = counted(checkpoint, encoder)["layer0.hidden"]
    assert found == pytest.approx(expected, abs=0.03)
    assert (expected < 0.7) == (checkpoint.config.hidden_act == "relu")


def test_p1_padding_makes_zeros_in_probabilities(checkpoint):
    encoder = quantise_encoder(checkpoint, CONFIG, calibration_texts=TEXTS)
    graph = build_graph(encoder, [7, 30], 32)
    densities = [graph.tensors[f"layer0.probabilities.{n}.0"].density for n in range(2)]
    assert densities == pytest.approx([7 / 32, 30 / 32], abs=0.01)


def test_p1_probabilities_of_a_longer_sentence_are_smaller(checkpoint):
    encoder = quantise_encoder(checkpoint, CONFIG, calibration_texts=TEXTS, tau=0.05)
    share = {n: build_graph(encoder, [n], n).tensors["layer0.probabilities.0.0"].density for n in (8, 16, 32)}
    assert share[8] > share[16] + 0.1 > share[32] + 0.2


def test_p1_products_of_sparse_tensors_are_planned_shorter(checkpoint):
    """The planned cycles of a product follow the density of its own operand, not the operating point."""
    def cycles(**options):
        encoder = quantise_encoder(checkpoint, CONFIG, calibration_texts=TEXTS, **options)
        graph = build_graph(encoder, [32], 32)
        cost = Cost(graph, CONFIG)
        return {step.tensor: step.densities(cost)["a_density"]
                for step in lower(graph, CONFIG, chunks=4, fine=True).steps if isinstance(step, MatMulStep)}

    dense, sparse = cycles(), cycles(site_taus={"embeddings.output": (1.0,) * 9}, target_sparsity=0.75)
    different = {name for name in dense if dense[name] != sparse[name]}
    assert different == {f"layer0.{name}" for name in ("query", "key", "value")}
    assert 0.05 < sparse["layer0.query"] < 0.5 and dense["layer0.query"] > 0.99


def test_zeros_of_groups_are_even_and_those_of_chance_are_not():
    generator = torch.Generator().manual_seed(4)
    weight = torch.randn(48, 64, generator=generator)
    kinds = {text: is_even((prune_weights(weight, as_weight_sparsity(text)) != 0).T.numpy())
             for text in ("0", "0.3", "0.5", "0.9", "1:2", "2:4", "1:4", "4:8", "8:16")}
    assert {text for text, even in kinds.items() if even} == {"1:2", "2:4", "1:4", "4:8"}


def test_products_of_even_weights_are_planned_shorter(checkpoint):
    """2:4 has as many zeros as a half chosen by magnitude, and lets the MACs of a lane wait less for each other."""
    def cycles(sparsity):
        graph = build_graph(quantise_encoder(checkpoint, config, calibration_texts=TEXTS, weight_sparsity=sparsity), [32], 32)
        cost = Cost(graph, config)
        return {step.tensor: step.busy(cost) for step in lower(graph, config, chunks=4, fine=True).steps
                if isinstance(step, MatMulStep) and step.operation.b.tensor in graph.constants}

    config = replace(CONFIG, window=4, lines_per_beat=4)
    even, half = cycles(GroupSparsity("2:4")), cycles(0.5)
    assert all(even[name] < 0.95 * half[name] for name in half if name.startswith("layer"))
    assert even["pooler"] == half["pooler"]


def test_p2_a_load_costs_the_beats_of_its_packed_tiles(checkpoint):
    """Rows of weights are pruned unevenly: what counts is the lines of each tile, rounded up."""
    encoder = quantise_encoder(checkpoint, CONFIG, weight_sparsity=0.6)
    graph = build_graph(encoder, [32], 32)
    name = "layer0.hidden.weight"
    graph.constants[name] = graph.constants[name] * (torch.arange(graph.tensors[name].columns) % 16 < 9)
    cost, plan = Cost(graph, CONFIG), lower(graph, CONFIG, chunks=4, fine=True)
    beat, checked = CONFIG.bus_width // 8, 0
    for block in plan.blocks.values():
        if block.home == "weight":
            matrix = graph.constants[block.sources[0]].numpy()[:, block.column * 8: (block.column + block.columns) * 8]
            assert cost.load(block) == pytest.approx(len(pack_matrix(matrix, 8, CONFIG.width)) / beat)
            whole = graph.constants[block.sources[0]]
            mean = float((whole != 0).double().mean())
            checked += cost.load(block) > 1.02 * block.rows * block.columns * (64 + mean * 8 * 160) / CONFIG.bus_width
    assert checked > 3
    for step in plan.steps:
        if isinstance(step, LoadStep):
            region = step.o
            rows = graph.constants[region.owner].numpy()[region.row * 8: (region.row + region.rows) * 8]
            assert cost.busy(step) == pytest.approx(len(pack_matrix(rows, 8, CONFIG.width)) / beat)


def test_p2_products_know_the_density_of_their_own_columns(checkpoint):
    config = replace(CONFIG, weight_tiles=32)
    graph = build_graph(quantise_encoder(checkpoint, config), [32], 32)
    name = "layer0.hidden.weight"
    graph.constants[name] = graph.constants[name] * (torch.arange(graph.tensors[name].columns) < 32)
    cost = Cost(graph, config)
    densities = {step.c.column: step.densities(cost)["b_density"]
                 for step in lower(graph, config, chunks=4, fine=True).steps if step.tensor == "layer0.hidden"}
    assert len(densities) == 4
    for column, share in densities.items():
        assert share == pytest.approx(1.0 if column < 4 else 0.0, abs=0.01)
