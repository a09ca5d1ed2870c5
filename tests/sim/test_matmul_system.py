"""Products from main memory and back through the whole accelerator, every integer checked."""

from itertools import product

import numpy as np
import pytest

from acceltran.hw.spec.isa import Engine, LoopOrder
from acceltran.sim.design import build_system
from support.configs import CONFIGS
from support.product_program import product_program, run_in_turn

MEMORY, MATRIX, VECTOR = (1 << int(e) for e in Engine)


def run_cases(config, rng, cases, folder, model):
    """Run a product of each case, one behind the other, and compare its result: (RunResult, effectual products) of each."""
    made, base = [], 0
    for case in cases:
        made.append(product_program(config, rng, **case, base=base))
        base += len(made[-1][0].image())
    (tau,) = {tau for _, _, _, tau, _ in made}
    results = run_in_turn([program for program, *_ in made], config, folder, model, tau)
    for case, result, (_, stored, expected, _, effectual) in zip(cases, results, made, strict=True):
        assert result.error is None
        for read, want in zip(stored, expected, strict=True):
            assert (read(result) == want).all(), case
        assert result.counters["multiplications"] == effectual
        yield result, effectual


def expected_loads(config, order, *, rows, inner, columns, batch):
    """A and B tiles that a plain walk of the loops asks for, in chunks of `psum_tiles` where k is not innermost."""
    steps = {"b": 1, "i": config.grid_rows, "j": config.grid_columns}
    limits = {"b": batch, "i": rows, "j": columns}
    names = order.name.lower().replace("k", "")
    counts = [range(0, limits[n], steps[n]) for n in names]
    size = 1 if order.name[-1] == "K" else config.psum_tiles
    loads, before = [0, 0], [None, None]
    for outer, middle in product(*counts[:2]):
        for first in range(0, len(counts[2]), size):
            for k, third in product(range(inner), counts[2][first:first + size]):
                at = dict(zip(names, (outer, middle, third), strict=True))
                tiles = (at["b"], at["i"], k), (at["b"], k, at["j"])
                lanes = (min(config.grid_rows, rows - at["i"]), min(config.grid_columns, columns - at["j"]))
                for x in range(2):
                    loads[x] += lanes[x] * (tiles[x] != before[x])
                    before[x] = tiles[x]
    return loads


@pytest.mark.parametrize("config", [CONFIGS["four_pes"], *(pytest.param(CONFIGS[name], marks=pytest.mark.slow)
                                                           for name in ("one_pe", "window_of_eight"))], ids=lambda c: c.name)
@pytest.mark.parametrize("shape", [{"rows": 3, "inner": 2, "columns": 5, "batch": 2}], ids=str)
def test_loop_orders(config, shape, tmp_path):
    cases = [{**shape, "density_a": 0.5, "density_b": 0.7, "order": order} for order in LoopOrder]
    results = run_cases(config, np.random.default_rng(2), cases, tmp_path, build_system(config, memory_bits=20))
    for order, (result, _) in zip(LoopOrder, results, strict=True):
        loads = [result.counters[f"{x}_tile_loads"] for x in "ab"]
        assert loads == expected_loads(config, order, **shape), order


@pytest.mark.parametrize("config", [CONFIGS["one_pe"], CONFIGS["four_pes"]], ids=lambda c: c.name)
def test_products(config, tmp_path):
    cases = [
        {"rows": 1, "inner": 1, "columns": 1, "density_a": 1.0, "density_b": 1.0},
        {"rows": 3, "inner": 4, "columns": 2, "density_a": 0.5, "density_b": 0.5, "function": 2},
        {"rows": 2, "inner": 2, "columns": 3, "density_a": 0.5, "density_b": 1.0, "transpose": True, "function": 1},
        {"rows": 3, "inner": 1, "columns": 3, "density_a": 0.1, "density_b": 0.1, "order": LoopOrder.KJBI, "batch": 2},
        {"rows": 2, "inner": 1, "columns": 3, "density_a": 0.7, "density_b": 1.0, "order": LoopOrder.IKBJ, "batch": 2},
        {"rows": 2, "inner": 3, "columns": 2, "density_a": 0.0, "density_b": 1.0, "function": 3},
    ]
    results = run_cases(config, np.random.default_rng(1), cases, tmp_path, build_system(config, memory_bits=20))
    for result, effectual in results:
        assert result.counters["dense_multiplications"] >= effectual
        lost = {cause: result.counters[f"lost_{cause}"] for cause in ("operands", "output", "imbalance", "idle")}
        assert effectual + sum(lost.values()) == config.multipliers * result.counters["cycles"]
        assert lost["operands"] and lost["idle"] and lost["output"] < config.multipliers * result.counters["cycles"]
