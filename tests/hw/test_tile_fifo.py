"""TileFifo: order, masks held over the beats of a tile, capacity and throughput."""

import random

import cocotb
import pytest
from cocotb.triggers import FallingEdge, ReadOnly
from cocotb.utils import get_sim_time

from acceltran.hw.pe.tile_fifo import TileFifo
from acceltran.sim.clock import PERIOD
from acceltran.sim.unit import parameters, simulate_component, simulated
from support.streams import collect, random_tile, send, start, tile_beats


def stream_of(rng, p, densities, count):
    tiles = [random_tile(rng, p["tile"], p["width"], rng.choice(densities)) for _ in range(count)]
    return [
        tile_beats(t, p["width"], p["lines_per_beat"], transpose=rng.random() < 0.5, rng=rng) for t in tiles
    ]


def with_mask_held(beats, p):
    """What comes out: every beat carries the mask of the first one."""
    shift = p["lines_per_beat"] * p["tile"] * p["width"]
    field = (1 << p["tile"] ** 2) - 1 << shift
    return [word & ~field | beats[0] & field for word in beats]


@simulated()
async def check_order(dut):
    p = parameters()
    await start(dut, "i")
    for idle, stall in ((0, 0), (0.5, 0), (0, 0.5), (0.3, 0.3), (0.05, 0.9)):
        rng = random.Random(f"{idle} {stall}")
        tiles = stream_of(rng, p, (0.0, 0.05, 0.5, 1.0), 40)
        expected = [word for beats in tiles for word in with_mask_held(beats, p)]
        sender = cocotb.start_soon(send(dut, "i", [word for beats in tiles for word in beats], rng, idle))
        assert await collect(dut, "o", len(expected), rng, stall) == expected
        await sender


@simulated()
async def check_throughput_and_capacity(dut):
    p = parameters()
    await start(dut, "i")
    dut.o__ready.value = 0
    rng = random.Random(5)
    beats = [word for tile in stream_of(rng, p, (1.0,), 6) for word in tile]
    sender = cocotb.start_soon(send(dut, "i", beats))
    capacity = 2 * p["tile"] // p["lines_per_beat"]
    for _ in range(capacity):
        await ReadOnly()
        assert dut.i__ready.value
        await FallingEdge(dut.clk)
    times = []
    await collect(dut, "o", len(beats), on_transfer=lambda _: times.append(get_sim_time("ns")))
    assert times[-1] - times[0] == PERIOD * (len(beats) - 1)
    await sender


@pytest.mark.parametrize(("tile", "width", "lines"), [(8, 8, 1), (16, 20, 4)])
def test_tile_fifo(tile, width, lines):
    values = {"tile": tile, "width": width, "lines_per_beat": lines}
    simulate_component(__name__, TileFifo(**values), **values)
