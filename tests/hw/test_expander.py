"""Expander: every row of every tile, in order, under stalls; and its throughput."""

import random

import cocotb
import numpy as np
import pytest
from cocotb.utils import get_sim_time

from acceltran.hw.pe.expander import Expander
from acceltran.sim.clock import PERIOD
from acceltran.sim.unit import parameters, simulate_component, simulated
from support.streams import collect, random_tile, row_of_beat, send, start, tile_beats


def tiles_for(rng, size, width):
    """Corners, then random tiles of all densities; (tile, mask, transpose)."""
    one = np.zeros((size, size), dtype=np.int64)
    one[size - 1, size - 1] = -5
    row = np.zeros((size, size), dtype=np.int64)
    row[size // 2] = np.arange(1, size + 1)
    low = np.full((size, size), -(1 << (width - 1)))
    zero = np.zeros((size, size), dtype=np.int64)
    plain = [zero, low, zero, zero, one, row, row.T, low, low, random_tile(rng, size, width, 0.97)]
    plain += [random_tile(rng, size, width, rng.choice((0.02, 0.1, 0.5, 0.9, 1.0))) for _ in range(20)]
    cases = [(tile, None, rng.random() < 0.5) for tile in plain]
    cases += [(zero, np.ones((size, size), bool), False), (zero, one != 0, True)]
    cases += [(random_tile(rng, size, width, 0.3), random_tile(rng, size, 8, 0.5) != 0, True) for _ in range(5)]
    rng.shuffle(cases)
    return cases


@simulated()
async def check_rows(dut):
    p = parameters()
    size, width, lines, rows = p["tile"], p["width"], p["lines_per_beat"], p["rows_per_beat"]
    await start(dut, "i")
    for idle, stall in ((0, 0), (0.5, 0), (0, 0.5), (0.3, 0.3), (0.1, 0.8), (0.8, 0.1)):
        rng = random.Random(f"{idle} {stall}")
        cases = tiles_for(rng, size, width)
        beats = [w for t, k, x in cases for w in tile_beats(t, width, lines, mask=k, transpose=x, rng=rng)]
        sender = cocotb.start_soon(send(dut, "i", beats, rng, idle))
        groups = size // rows
        words = await collect(dut, "o", len(cases) * groups, rng, stall)
        await sender
        for n, word in enumerate(words):
            (tile, mask, transpose), group = cases[n // groups], n % groups
            mask = (tile != 0) | (mask if mask is not None else False)
            got, got_mask, first, last, got_transpose = row_of_beat(word, size, width, rows)
            assert (got == tile[group * rows:(group + 1) * rows]).all()
            assert (got_mask == mask[group * rows:(group + 1) * rows]).all()
            assert (first, last, got_transpose) == (group == 0, group == groups - 1, transpose)


@simulated()
async def check_throughput(dut):
    p = parameters()
    size, width, lines, rows = p["tile"], p["width"], p["lines_per_beat"], p["rows_per_beat"]
    await start(dut, "i")
    rng = random.Random(3)
    for density in (1.0, 0.97, 0.5, 0.0):
        count = 12
        tiles = [random_tile(rng, size, width, density) for _ in range(count)]
        beats = [tile_beats(t, width, lines) for t in tiles]
        times = []
        sender = cocotb.start_soon(send(dut, "i", [w for b in beats for w in b]))
        await collect(dut, "o", count * size // rows, on_transfer=lambda _, t=times: t.append(get_sim_time("ns")))
        await sender
        cycles = (times[-1] - times[0]) / PERIOD + 1
        assert cycles <= sum(max(len(b), size // rows) for b in beats) + Expander.latency, density


CONFIGURATIONS = [(8, 20, 4, 4), (8, 8, 1, 1), (8, 8, 4, 1), (16, 20, 2, 2), (16, 9, 4, 4)]
MORE = [(8, 8, 2, 1), (8, 8, 1, 4), (16, 20, 4, 1), (16, 20, 2, 1), (16, 20, 1, 1), (8, 8, 8, 8)]


@pytest.mark.parametrize(
    ("tile", "width", "lines", "rows"),
    CONFIGURATIONS + [pytest.param(*c, marks=pytest.mark.slow) for c in MORE],
)
def test_expander(tile, width, lines, rows):
    values = {"tile": tile, "width": width, "lines_per_beat": lines, "rows_per_beat": rows}
    simulate_component(__name__, Expander(**values), **values)
