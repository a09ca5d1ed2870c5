"""Compressor against `pack_tile`: every write of every tile, with gaps and stalls, at full throughput without."""

import random

import numpy as np
import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, Timer

from acceltran.hw.post_process.compressor import Compressor
from acceltran.hw.spec.widths import SLOT_BITS
from acceltran.sim.clock import PERIOD
from acceltran.sim.unit import parameters, simulate_component, simulated
from acceltran.sw.golden.tiles import pack_bits
from support.tile_writes import unpack_write, writes_of


def rows_of(tile, slot, width):
    size = len(tile)
    return [
        pack_bits(row, width) | slot << (size * width) | (r == size - 1) << (size * width + SLOT_BITS)
        for r, row in enumerate(tile)
    ]


def random_tiles(rng, size, width, count):
    low, high = -(1 << (width - 1)), (1 << (width - 1)) - 1
    corners = [np.zeros((size, size)), np.full((size, size), low), np.full((size, size), high)]
    for place in (0, size - 1, size * (size - 1), size * size - 1):
        single = np.zeros(size * size)
        single[place] = 1
        corners.append(single.reshape(size, size))
    ragged = np.ones((size, size))
    ragged[0, 0] = 0
    corners.append(ragged)
    corners.append(np.roll(ragged, -1))
    top = np.zeros((size, size))
    top[: size // 2] = -1
    corners.append(top)
    while len(corners) < count:
        density = rng.choice((0.05, 0.2, 0.5, 0.8, 0.95))
        tile = [[rng.choice((low, -1, 1, high, rng.randint(low, high))) if rng.random() < density else 0
                 for _ in range(size)] for _ in range(size)]
        corners.append(np.array(tile))
    return [tile.astype(np.int64) for tile in corners]


async def start(dut):
    Clock(dut.clk, PERIOD, "ns").start()
    dut.i__valid.value = 0
    dut.o__ready.value = 0
    dut.rst.value = 1
    await FallingEdge(dut.clk)
    await FallingEdge(dut.clk)
    dut.rst.value = 0


async def transfer(dut, words, expected, rng, idle, stall):
    """Drive all words, collect `expected` writes; returns (writes, cycles from the first row to the last write)."""
    words, writes, cycles = list(words), [], 0
    offered, waiting = False, None
    while len(writes) < expected:
        offered = offered or (bool(words) and rng.random() >= idle)
        dut.i__valid.value = int(offered)
        dut.i__payload.value = words[0] if offered else rng.getrandbits(len(dut.i__payload))
        ready = rng.random() >= stall
        dut.o__ready.value = int(ready)
        await Timer(1, "ns")
        taken = offered and dut.i__ready.value == 1
        word = int(dut.o__payload.value) if dut.o__valid.value == 1 else None
        assert waiting in (None, word), "a waiting write changed"
        waiting = None if ready else word
        if ready and word is not None:
            writes.append(word)
        await FallingEdge(dut.clk)
        cycles += 1
        assert cycles < 100_000, f"{len(writes)} of {expected} writes, {len(words)} rows left"
        if taken:
            words.pop(0)
            offered = False
    dut.i__valid.value = 0
    assert not words
    return writes, cycles


def case(rng, size, width, lines_per_write, count):
    words, expected = [], []
    for tile in random_tiles(rng, size, width, count):
        slot = rng.getrandbits(SLOT_BITS)
        words += rows_of(tile, slot, width)
        expected += writes_of(tile, slot, lines_per_write)
    return words, expected


@simulated()
async def check_tiles(dut):
    p = parameters()
    rng = random.Random(3)
    await start(dut)
    for idle, stall in ((0, 0), (0.3, 0), (0, 0.5), (0.3, 0.3), (0, 0.9), (0.8, 0.1)):
        words, expected = case(rng, p["tile"], p["width"], p["lines_per_write"], 30)
        writes, cycles = await transfer(dut, words, len(expected), rng, idle, stall)
        for word, wanted in zip(writes, expected, strict=True):
            assert unpack_write(word, p["tile"], p["width"], p["lines_per_beat"]) == wanted
        if idle == stall == 0:
            double = sum(write[2] is not None for write in expected)
            assert cycles <= len(words) + double + 2


@simulated()
async def check_ready_path(dut):
    """`i.ready` follows `o.ready` within a cycle, unless there is a skid buffer."""
    p = parameters()
    rng = random.Random(5)
    await start(dut)
    words, followed = [], 0
    for _ in range(300):
        if not words:
            words, _ = case(rng, p["tile"], p["width"], p["lines_per_write"], 1)
        dut.i__valid.value, dut.i__payload.value = 1, words[0]
        seen = []
        for ready in (0, 1, rng.getrandbits(1)):
            dut.o__ready.value = ready
            await Timer(1, "ns")
            seen.append(int(dut.i__ready.value))
        followed += seen[0] != seen[1]
        if seen[-1]:
            words.pop(0)
        await FallingEdge(dut.clk)
    assert (followed == 0) == p["skid"], followed


@simulated()
async def check_one_cycle_per_row(dut):
    """Tiles without a split at their end take exactly T cycles each, whatever their density."""
    p = parameters()
    size, rng = p["tile"], random.Random(4)
    await start(dut)
    for tile in (np.zeros((size, size)), np.ones((size, size)), np.eye(size)):
        words = rows_of(tile.astype(np.int64), 5, p["width"]) * 4
        count = 4 * len(writes_of(tile.astype(np.int64), 5, p["lines_per_write"]))
        _, cycles = await transfer(dut, words, count, rng, 0, 0)
        assert cycles == 4 * size + 2


@pytest.mark.parametrize(("tile", "width", "lines_per_beat", "lines_per_write", "skid"), [
    (16, 20, 2, 2, False), (8, 8, 1, 1, True), (8, 16, 4, 4, False), (8, 8, 4, 1, True), (8, 8, 8, 2, True),
    (8, 8, 4, 1, False),
])
def test_compressor(tile, width, lines_per_beat, lines_per_write, skid):
    values = {"tile": tile, "width": width, "lines_per_beat": lines_per_beat, "lines_per_write": lines_per_write,
              "skid": skid}
    simulate_component(__name__, Compressor(**values), **values)
