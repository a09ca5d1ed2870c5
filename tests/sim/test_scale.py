"""Simulators in blocks, and the large configurations: BERT-Tiny on edge and on server, BERT-Base on mini_w8."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from acceltran.hw.pe.pe import PE
from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.sim.design import build_system, shared_modules, system_verilog
from acceltran.sim.inference import infer, report
from acceltran.sw.estimate.estimate import estimate
from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.full_texts import full_texts
from support.configs import CONFIGS
from support.models import BASE, make_checkpoint, random_texts
from support.product_program import product_program, run

BERT_TINY = Path(__file__).parents[2] / "models" / "bert-tiny-reviews"
SENTENCES = [
    "a gripping , beautifully acted film that never loses its nerve",
    "two hours of my life that i will never get back",
    "the jokes fall flat , the plot makes no sense and the ending is an insult",
    "quietly moving , and funnier than anyone had a right to expect",
]


def check_product(config, folder, model, **shape):
    program, stored, expected, tau, effectual = product_program(config, np.random.default_rng(3), **shape)
    result = run(program, config, folder, model, tau)
    assert result.error is None
    for read, want in zip(stored, expected, strict=True):
        assert (read(result) == want).all()
    assert result.counters["multiplications"] == effectual
    return result


@pytest.mark.slow
def test_pe_is_a_block(tmp_path):
    """Six PEs that are one library: the grid is not square, and every anti-diagonal has another number of PEs."""
    config = replace(CONFIGS["four_pes"], name="six_pes", grid_columns=3, weight_banks=4, softmax_units=1, layernorm_units=1,
                     layernorm_slices=1, functions=("relu", "gelu"))
    (block,) = shared_modules(system_verilog(config, memory_bits=20), PE)
    model = build_system(config, memory_bits=20)
    assert (model.folder / "build.log").read_text().count(f"make -f V{block}.mk ") == 1
    check_product(config, tmp_path, model, rows=3, inner=4, columns=5, density_a=0.5, density_b=0.5, batch=2, function=2)


@pytest.mark.slow
def test_bert_tiny_on_edge(tmp_path):
    config = AcceleratorConfig.load("edge")
    model = build_system(config)
    assert model.seconds <= 15 * 60
    values = report(infer(config, load_checkpoint(BERT_TINY), SENTENCES, folder=tmp_path, length=128, model=model))
    assert values["mismatches"] == 0
    assert values["tensors_compared"] > 30
    assert values["multiplications"] == values["multiplications_expected"]
    assert values["prediction"] == ["positive", "negative", "negative", "positive"]


@pytest.mark.slow
def test_bert_base_on_mini_w8(tmp_path):
    """A model of 12 layers, whole, with all 30,522 words: its weights come by the bus, its matrices are random."""
    config = AcceleratorConfig.load("mini_w8")
    checkpoint = load_checkpoint(make_checkpoint(tmp_path / "model", **BASE | {"vocab": 30_522}))
    values = report(infer(config, checkpoint, random_texts(1, 30, 30_522), folder=tmp_path / "run", length=32))
    (tmp_path / "report.json").write_text(json.dumps(values))
    assert values["mismatches"] == 0
    assert values["tensors_compared"] > 12 * 30
    assert values["multiplications"] == values["multiplications_expected"]
    assert values["cycles"] <= 3_400_000


@pytest.mark.slow
def test_bert_tiny_on_server(tmp_path):
    """A batch over all clusters, weights resident, embeddings by every memory port."""
    config = AcceleratorConfig.load("server")
    checkpoint, model = load_checkpoint(BERT_TINY), build_system(config)
    assert model.seconds <= 45 * 60
    inference = infer(config, checkpoint, full_texts(checkpoint, 32, 128), folder=tmp_path, length=128, resident=True,
                      model=model)
    values = report(inference)
    assert values["mismatches"] == 0 and values["multiplications"] == values["multiplications_expected"]
    assert values["cycles"] <= 20_000
    assert values["cycles"] == pytest.approx(estimate(inference.program, inference.golden).cycles, rel=0.03)
