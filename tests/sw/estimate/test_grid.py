"""The PE grid in time against the cycle model of the array, which follows it cycle by cycle."""

import numpy as np
import pytest

from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.hw.spec.isa import LoopOrder
from acceltran.sim.grid_model import run_points
from acceltran.sim.grid_work import GridPoint
from acceltran.sw.estimate.banks import new_banks
from acceltran.sw.estimate.grid import GridShape, new_state, run_steps
from acceltran.sw.estimate.walk import walk

MINI = AcceleratorConfig.load("mini")


def product(config, *, rows, inner, columns, order="bijk", a=1.0, b=1.0, seed=1, transposed=False):
    """Cycles and multiplications of a product of random masks, and how many pairs of values are not zero."""
    tile, rng = config.tile, np.random.default_rng(seed)
    masks = [rng.random((*shape, tile, tile)) < density for shape, density in (((rows, inner), a), ((inner, columns), b))]
    empty = np.zeros((1, tile), np.int64)
    packed = [np.concatenate([(one @ (1 << np.arange(tile))).reshape(-1, tile), empty]) for one in masks]
    shape, fields = GridShape.of(config), {"order": LoopOrder[order.upper()], "batch": 1, "rows": rows, "inner": inner,
                                           "columns": columns}
    steps = walk(fields, config)
    _, i, j, k = steps.positions.T
    tiles, wanted = [], np.ones((len(k), 2), bool)
    for n, (own, size, limit) in enumerate(((i, config.grid_rows, rows), (j, config.grid_columns, columns))):
        moved = np.concatenate([[True], (np.diff(np.stack([own, k])) != 0).any(0)])
        wanted[:-1, n] = moved[1:]
        place = own[:, None] + np.arange(size)
        number = place * inner + k[:, None] if n == 0 else k[:, None] * columns + place
        tiles.append(np.where(moved[:, None], np.where(place < limit, number, -1), -2))
    state, ends = new_state(shape), np.zeros(6, np.int64)
    words = np.full((int(steps.last.sum()), config.pes), tile // config.lines_per_beat)
    end = run_steps(shape, state, new_banks(), False, *packed, *tiles, transposed, steps.last, words, wanted,
                    np.zeros(3, np.int64), ends)
    sums = masks[0].sum((0, 2), dtype=np.int64), masks[1].sum((1, 3), dtype=np.int64)
    return int(end), int(state.tally[0]), int((sums[0] * sums[1]).sum())


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

