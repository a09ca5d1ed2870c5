"""Semaphores against plain counters, and the overflow of every pair."""

import random

from cocotb.triggers import FallingEdge

from acceltran.hw.control.layouts import ENGINES, SEMAPHORE_BITS
from acceltran.hw.control.semaphores import Semaphores
from acceltran.sim.unit import simulate_component, simulated
from support.streams import start

N = range(len(ENGINES))
MOST = (1 << SEMAPHORE_BITS) - 1


def idle(dut):
    for x in N:
        getattr(dut, f"give__{x}").value = getattr(dut, f"take__{x}").value = 0


async def begin(dut):
    idle(dut)
    for y in N:
        for x in N:
            getattr(dut, f"wanted__{y}__{x}").value = 0
    await start(dut)


def tokens(dut):
    return [[int(getattr(dut, f"tokens__{y}__{x}").value) for x in N] for y in N]


def overflows(dut):
    return [int(getattr(dut, f"overflow__{x}").value) for x in N]


@simulated(10_000)
async def check_random_tokens(dut):
    rng = random.Random(1)
    await begin(dut)
    counts = [[0 for _ in N] for _ in N]
    for _ in range(2000):
        gives, takes = [rng.getrandbits(3) for _ in N], [rng.random() < 0.4 for _ in N]
        wanted = [[rng.randrange(min(count, 255) + 1) for count in row] for row in counts]
        for x in N:
            getattr(dut, f"give__{x}").value, getattr(dut, f"take__{x}").value = gives[x], takes[x]
            for y in N:
                getattr(dut, f"wanted__{y}__{x}").value = wanted[y][x]
        await FallingEdge(dut.clk)
        counts = [[counts[y][x] + (gives[x] >> y & 1) - takes[y] * wanted[y][x] for x in N] for y in N]
        assert tokens(dut) == counts and overflows(dut) == [0, 0, 0]


@simulated(20_000)
async def check_overflow(dut):
    """Every pair keeps 4,095 tokens; one more is told by who gives it, unless one is taken in the same cycle."""
    await begin(dut)
    for x in N:
        getattr(dut, f"give__{x}").value = 7
    for _ in range(MOST):
        await FallingEdge(dut.clk)
        assert overflows(dut) == [0, 0, 0]
    assert tokens(dut) == [[MOST for _ in N] for _ in N]
    idle(dut)
    await FallingEdge(dut.clk)
    for x in N:
        for y in N:
            getattr(dut, f"give__{x}").value, getattr(dut, f"take__{y}").value = 1 << y, 1
            getattr(dut, f"wanted__{y}__{x}").value = 1
            await FallingEdge(dut.clk)
            assert overflows(dut) == [0, 0, 0] and tokens(dut)[y][x] == MOST
            getattr(dut, f"take__{y}").value = getattr(dut, f"wanted__{y}__{x}").value = 0
            await FallingEdge(dut.clk)
            assert overflows(dut) == [int(n == x) for n in N], (x, y)
            idle(dut)
            await FallingEdge(dut.clk)
            assert overflows(dut) == [0, 0, 0]


def test_semaphores():
    simulate_component(__name__, Semaphores())
