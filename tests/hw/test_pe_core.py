"""PECore: exact products for every way of skipping, under stalls; counters; and the speed that sparsity gives."""

import random

import cocotb
import numpy as np
import pytest
from cocotb.triggers import FallingEdge, ReadOnly
from cocotb.utils import get_sim_time

from acceltran.hw.pe.pe_core import PECore
from acceltran.hw.pe.pe_format import PEFormat
from acceltran.sim.clock import PERIOD
from acceltran.sim.unit import parameters, simulate_component, simulated
from acceltran.sw.golden.tiles import unpack_bits
from support.pe_work import Work, low_tile, mixture
from support.streams import collect, random_tile, send, start


def lost(dut, size):
    """Multipliers lost in this cycle to operands, output, imbalance and for want of work."""
    word, lanes, multipliers = int(dut.lost.value), size.bit_length(), (size * size).bit_length()
    operands, idle = word & (1 << lanes) - 1, word >> lanes + multipliers
    output = word >> lanes & (1 << multipliers) - 1
    imbalance = size * size - int(dut.fired.value) - size * (operands + idle) - output
    assert imbalance >= 0
    return size * operands, output, imbalance, size * idle


async def run(dut, work, rng=None, idle=0.0, stall=0.0):
    """Do all steps; check the rows and `fired`; returns cycles from the last row of the first output to the very last."""
    p, size = work.p, work.p["tile"]
    work.align()
    fired, done = 0, False
    times = []

    async def count():
        nonlocal fired
        while not done:
            await ReadOnly()
            fired += int(dut.fired.value)
            lost(dut, size)
            await FallingEdge(dut.clk)

    tasks = [
        cocotb.start_soon(count()),
        cocotb.start_soon(send(dut, "a", [w for t in work.a for w in t], rng, idle)),
        cocotb.start_soon(send(dut, "b", [w for t in work.b for w in t], rng, idle)),
        cocotb.start_soon(send(dut, "step", work.steps, rng, idle)),
    ]
    words = await collect(dut, "o", size * len(work.outputs), rng, stall,
                          lambda _: times.append(get_sim_time("ns")))
    for _ in range(4):
        await FallingEdge(dut.clk)
    done = True
    for task in tasks:
        await task
    bits = p["accumulator_width"]
    for n, word in enumerate(words):
        tile, row = divmod(n, size)
        assert (unpack_bits(word, bits, size) == work.outputs[tile][row]).all(), (tile, row)
        assert word >> size * bits == (row == size - 1)
    assert fired == work.fired
    return (times[-1] - times[size - 1]) / PERIOD


def corners(p):
    """Zero, extreme, single, and uneven tiles, next to each other."""
    size, rng = p["tile"], random.Random(7)
    zero, one, row = (np.zeros((size, size), dtype=np.int64) for _ in range(3))
    one[size - 1, 2] = -3
    row[size // 2] = np.arange(1, size + 1)
    row = np.minimum(row, (1 << p["b_width"] - 1) - 1)
    a_shapes, b_shapes = ([zero, low_tile(size, width), ~low_tile(size, width), one, row, row.T,
                           random_tile(rng, size, width, 0.1)] for width in (p["width"], p["b_width"]))
    work = Work(p)
    for a in a_shapes:
        for b in b_shapes:
            work.step(a, b, last=True)
    for a in a_shapes:
        for b in b_shapes:
            work.step(a, b, last=rng.random() < 0.3, transpose=rng.random() < 0.5)
    for _ in range(20):
        work.step(zero, zero, last=True)
    everywhere = np.ones((size, size), dtype=bool)
    work.step(one, row, a_mask=everywhere, last=True)
    work.step(row, one, b_mask=row != 0, transpose=True, last=True)
    work.step(zero, zero, a_mask=everywhere, b_mask=everywhere, last=True)
    return work


@simulated()
async def check_corners(dut):
    await start(dut, "a", "b", "step")
    work = corners(parameters())
    await run(dut, work)
    await run(dut, work, random.Random(8), 0.3, 0.3)


@simulated()
async def check_mixtures_under_stalls(dut):
    await start(dut, "a", "b", "step")
    for idle, stall in ((0, 0), (0.5, 0), (0, 0.5), (0.2, 0.2), (0, 0.97)):
        rng = random.Random(f"{idle} {stall}")
        await run(dut, mixture(parameters(), rng, 24 if parameters()["tile"] == 8 else 8), rng, idle, stall)


@simulated()
async def check_lost_cycles(dut):
    """Each cause in a situation that has no other."""
    p = parameters()
    size = p["tile"]
    everything = size * size
    await start(dut, "a", "b", "step")
    dut.o__ready.value = 0

    async def expect(fired, *causes, cycles=3 * size):
        for _ in range(cycles):
            await ReadOnly()
            assert (int(dut.fired.value), *lost(dut, size)) == (fired, *causes)
            await FallingEdge(dut.clk)

    async def settle(cycles=8):
        for _ in range(cycles):
            await FallingEdge(dut.clk)

    await settle()
    await expect(0, 0, 0, 0, everything)
    work, rng = Work(p), random.Random(10)
    for _ in range(4):
        work.product(rng, 1, 1.0, 1.0)
    await send(dut, "step", work.steps)
    await settle()
    await expect(0, everything, 0, 0, 0)
    await send(dut, "a", work.a[0])
    await settle(2 * size)
    await expect(0, everything, 0, 0, 0)
    rest = cocotb.start_soon(send(dut, "a", [word for tile in work.a[1:] for word in tile]))
    await send(dut, "b", [word for tile in work.b for word in tile])
    await settle(4 * size)
    await expect(0, 0, everything, 0, 0)
    dut.o__ready.value = 1
    await rest
    await settle(6 * size)
    await expect(0, 0, 0, 0, everything)

    # Dense A, and B with a single column: one multiplier per lane has work, unless all take every k.
    work = Work(p)
    column = np.zeros((size, size), dtype=np.int64)
    column[:, 1] = 1
    a = random_tile(rng, size, p["width"], 1.0)
    for n in range(16):
        work.step(a, column, last=n == 15, a_release=n == 15, b_release=n == 15)
    tasks = [cocotb.start_soon(send(dut, name, words)) for name, words in (
        ("step", work.steps), ("a", [w for t in work.a for w in t]), ("b", [w for t in work.b for w in t]))]
    await settle(4 * size)
    fired = size if p["skip"] == "both" else everything
    await expect(fired, 0, 0, everything - fired, 0, cycles=8 * size)
    for task in tasks:
        await task
    await settle(8 * size)
    await expect(0, 0, 0, 0, everything)


@simulated()
async def check_speed(dut):
    """Dense without bubbles; K of 16 tiles, operands always there."""
    p = parameters()
    size = p["tile"]
    await start(dut, "a", "b", "step")
    rng = random.Random(9)

    async def cycles(a_density, b_density, length=16, tiles=5):
        work, chunk = Work(p), p["psum_tiles"]
        for _ in range(tiles):
            work.product(rng, length, a_density, b_density, chunk)
        return await run(dut, work) / (length * chunk * (tiles - 1) + chunk - 1)

    dense = await cycles(1.0, 1.0)
    figures = {"dense": size / dense, "one step": size / await cycles(1.0, 1.0, 1, 48)}
    for a, b in ((50, 50), (50, 100), (30, 50), (10, 100), (100, 50)):
        figures[f"{a}x{b}"] = dense / await cycles(a / 100, b / 100)
    cocotb.log.warning("%s: %s", p, {k: round(v, 3) for k, v in figures.items()})
    assert figures["dense"] >= 0.99 and figures["one step"] >= 0.99
    for name, bound in p.get("bounds", {}).items():
        assert figures[name] >= bound, (name, figures)


def core_test(tile, width, lines, skip, window, slots, psum_tiles=1, b_memory="registers", skid=False, b_width=None, **bounds):
    b_width = b_width or width
    values = {
        "tile": tile, "width": width, "b_width": b_width, "accumulator_width": width + b_width + 12, "lines_per_beat": lines,
        "skip": skip, "window": window, "operand_slots": slots, "psum_tiles": psum_tiles, "b_memory": b_memory, "skid": skid,
    }
    simulate_component(__name__, PECore(form=PEFormat(**values)), bounds=bounds, **values)


CONFIGURATIONS = [
    (8, 8, 4, "none", 2, 2, 1),
    (20, 8, 2, "activation", 2, 3, 2),
    (8, 8, 2, "both", 2, 2, 1),
    (9, 4, 1, "both", 8, 3, 4),
]
MORE = [
    (20, 20, 4, "both", 4, 2, 2),
    (12, 12, 4, "both", 2, 3, 1), (8, 8, 1, "both", 4, 3, 2), (24, 24, 4, "both", 8, 2, 1), (20, 20, 1, "none", 2, 3, 2),
    (8, 8, 4, "activation", 2, 2, 1), (8, 8, 1, "both", 8, 3, 4), (24, 13, 2, "both", 4, 2, 2),
]


@pytest.mark.parametrize(
    ("width", "b_width", "lines", "skip", "window", "slots", "psum_tiles"),
    CONFIGURATIONS + [pytest.param(*c, marks=pytest.mark.slow) for c in MORE],
)
def test_pe_core(width, b_width, lines, skip, window, slots, psum_tiles):
    core_test(8, width, lines, skip, window, slots, psum_tiles, b_width=b_width)


@pytest.mark.parametrize(("width", "b_width", "skip", "slots", "psum_tiles"), [
    (8, 5, "both", 2, 1), pytest.param(20, 20, "activation", 3, 2, marks=pytest.mark.slow),
    pytest.param(12, 12, "none", 2, 4, marks=pytest.mark.slow),
])
def test_pe_core_for_long_wires(width, b_width, skip, slots, psum_tiles):
    core_test(8, width, 1, skip, 2, slots, psum_tiles, "ram", skid=True, b_width=b_width)


@pytest.mark.slow
def test_pe_core_speed():
    core_test(16, 8, 4, "both", 4, 2, 1, **{"50x50": 2.5, "50x100": 1.75, "10x100": 3.8})


@pytest.mark.slow
def test_pe_core_speed_of_two_partial_sums():
    core_test(16, 8, 4, "both", 4, 2, 2, **{"50x50": 2.4, "50x100": 1.75, "10x100": 4.8})


@pytest.mark.slow
@pytest.mark.parametrize(("width", "skip", "window", "slots", "bounds"), [
    (8, "activation", 4, 2, {"50x50": 1.75, "50x100": 1.75, "10x100": 3.8}),
    (8, "none", 4, 2, {"50x50": 0.99}),
    (8, "both", 2, 2, {"50x50": 2.1, "50x100": 1.75}),
    (8, "both", 8, 2, {"50x50": 2.6, "50x100": 1.75}),
    (8, "both", 8, 3, {"50x50": 2.8, "50x100": 1.8}),
])
def test_pe_core_speed_of_others(width, skip, window, slots, bounds):
    core_test(16, width, 4, skip, window, slots, 1, **bounds)
