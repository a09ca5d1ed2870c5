"""The PE grid in time against the cycle model of the array, which follows it cycle by cycle."""

import pytest

from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.sim.grid_model import run_points
from acceltran.sim.grid_work import GridPoint
from support.grid_product import product

MINI = AcceleratorConfig.load("mini")


@pytest.mark.parametrize("name", ["nano", "mini", "edge", "int8"])
@pytest.mark.parametrize("order", ["bijk", "bikj", "bjki"])
def test_dense_operands_take_t_cycles_per_step(name, order):
    config = AcceleratorConfig.load(name)
    size = {"rows": 2 * config.grid_rows, "inner": 8, "columns": 2 * config.grid_columns}
    cycles, done, pairs = product(config, order=order, **size)
    bound = 4 * 8 * config.tile
    assert bound < cycles <= bound + 6 * config.tile + 40
    assert done == pairs


@pytest.mark.parametrize("a, b", [(1.0, 1.0), (0.5, 1.0), (1.0, 0.5), (0.5, 0.5), (0.1, 1.0), (0.3, 0.5)])
@pytest.mark.parametrize("change", [{}, {"window": 8}, {"operand_slots": 3}, {"psum_tiles": 1}, {"lines_per_beat": 2}])
def test_like_the_cycle_model(a, b, change):
    config = AcceleratorConfig.from_dict(MINI.to_dict() | change)
    point = GridPoint(
        m=64, k=256, n=64, a_sparsity=1 - a, b_sparsity=1 - b, window=config.window, operand_slots=config.operand_slots,
        psum_tiles=config.psum_tiles, lines_per_beat=config.lines_per_beat, write_lines=config.lines_per_beat,
        a_rows=min(config.lines_per_beat * config.psum_tiles, max(config.lines_per_beat, config.tile // 2)))
    (model,) = run_points([point])
    order = "bijk" if config.psum_tiles == 1 else "bjki"
    cycles, done, pairs = product(config, rows=4, inner=16, columns=4, order=order, a=a, b=b)
    assert done == pairs
    assert cycles == pytest.approx(model.cycles, rel=0.04)


@pytest.mark.parametrize("rows, inner, columns", [(8, 4, 8), (16, 4, 8), (8, 8, 8), (16, 8, 16)])
@pytest.mark.parametrize("a, b", [(1.0, 1.0), (0.5, 0.5), (0.3, 0.3)])
def test_eight_pes_share_a_port_as_in_the_cycle_model(rows, inner, columns, a, b):
    """Words of short sums leave as they are made, those of the PEs of an anti-diagonal in turn."""
    config = AcceleratorConfig.load("edge")
    (model,) = run_points([GridPoint(
        m=16 * rows, k=16 * inner, n=16 * columns, a_sparsity=1 - a, b_sparsity=1 - b, rows=8, columns=8, window=config.window,
        operand_slots=config.operand_slots, lines_per_beat=4, write_lines=4)])
    cycles, _, _ = product(config, rows=rows, inner=inner, columns=columns, a=a, b=b)
    # The cycle model's buffers answer in one cycle.
    assert cycles == pytest.approx(model.cycles + config.buffer_latency - 1, abs=4)


@pytest.mark.parametrize("skip, share", [("none", 1.0), ("activation", 0.56), ("both", 0.4)])
def test_what_is_skipped(skip, share):
    config = AcceleratorConfig.from_dict(MINI.to_dict() | {"skip": skip})
    dense, _, _ = product(config, rows=4, inner=16, columns=4)
    cycles, _, _ = product(config, rows=4, inner=16, columns=4, a=0.5, b=0.5)
    assert cycles / dense == pytest.approx(share, abs=0.06)


def test_only_some_pes_of_a_large_grid_are_followed():
    """A dense product takes as long on 16 x 16 PEs, of which 8 x 8 are followed, as on 8 x 8, but for its last writes: twice as
    many PEs share a port.
    """
    small = AcceleratorConfig.load("edge")
    large = AcceleratorConfig.from_dict(small.to_dict() | {"grid_rows": 16, "grid_columns": 16, "weight_banks": 16})
    eight, _, _ = product(small, rows=16, inner=8, columns=16)
    sixteen, _, _ = product(large, rows=32, inner=8, columns=32)
    assert eight <= sixteen <= eight + 8 * small.words_per_slot

