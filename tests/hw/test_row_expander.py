"""RowExpander: every row of every tile, in order, under stalls; and its throughput."""

import random

import cocotb
import numpy as np
import pytest
from cocotb.utils import get_sim_time

from acceltran.hw.vector.row_expander import RowExpander
from acceltran.sim.clock import PERIOD
from acceltran.sim.unit import parameters, simulate_component, simulated
from acceltran.sw.golden.tiles import unpack_bits
from support.streams import collect, random_tile, send, start, tile_beats


def tiles_for(rng, size, width):
    """Corners, then random tiles of all densities; (tile, mask)."""
    one, row, low = (np.full((size, size), value) for value in (0, 0, -(1 << (width - 1))))
    one[size - 1, size - 1] = -5
    row[size // 2] = np.arange(1, size + 1)
    zero = np.zeros((size, size), dtype=np.int64)
    cases = [(tile, None) for tile in (zero, low, zero, zero, one, row, row.T, low, low)]
    cases += [(random_tile(rng, size, width, rng.choice((0.02, 0.1, 0.5, 0.9, 0.97, 1.0))), None) for _ in range(20)]
    cases += [(zero, np.ones((size, size), bool)), (zero, one != 0)]
    cases += [(random_tile(rng, size, width, 0.3), random_tile(rng, size, 8, 0.5) != 0) for _ in range(5)]
    rng.shuffle(cases)
    return cases


@simulated()
async def check_rows(dut):
    p = parameters()
    size, width, lines = p["tile"], p["width"], p["lines_per_beat"]
    await start(dut, "i")
    for idle, stall in ((0, 0), (0.5, 0), (0, 0.5), (0.3, 0.3), (0.1, 0.8), (0.8, 0.1)):
        rng = random.Random(f"{idle} {stall}")
        cases = tiles_for(rng, size, width)
        beats = [w for t, k in cases for w in tile_beats(t, width, lines, mask=k, rng=rng, held=True)]
        sender = cocotb.start_soon(send(dut, "i", beats, rng, idle))
        words = await collect(dut, "o", len(cases) * size, rng, stall)
        await sender
        for n, word in enumerate(words):
            assert (unpack_bits(word, width, size) == cases[n // size][0][n % size]).all()


@simulated()
async def check_throughput(dut):
    p = parameters()
    size, width, lines = p["tile"], p["width"], p["lines_per_beat"]
    await start(dut, "i")
    rng = random.Random(3)
    for density in (1.0, 0.97, 0.5, 0.0):
        tiles = [random_tile(rng, size, width, density) for _ in range(12)]
        times = []
        sender = cocotb.start_soon(send(dut, "i", [w for t in tiles for w in tile_beats(t, width, lines)]))
        await collect(dut, "o", len(tiles) * size, on_transfer=lambda _, t=times: t.append(get_sim_time("ns")))
        await sender
        assert (times[-1] - times[0]) / PERIOD + 1 == len(tiles) * size, density


@pytest.mark.parametrize(("tile", "width", "lines"), [(8, 20, 4), (8, 8, 1), (16, 9, 2)])
def test_row_expander(tile, width, lines):
    values = {"tile": tile, "width": width, "lines_per_beat": lines}
    simulate_component(__name__, RowExpander(**values), **values)
