"""Loop counters and addresses against plain nested loops."""

import itertools
import random

import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from acceltran.hw.matrix.affine_walker import AffineWalker
from acceltran.sim.clock import PERIOD
from acceltran.sim.unit import parameters, simulate_component, simulated
from acceltran.sw.golden.tiles import pack_bits

BITS = 10


@simulated()
async def check_walks(dut):
    levels = parameters()["levels"]
    rng = random.Random(levels)
    Clock(dut.clk, PERIOD, "ns").start()
    dut.rst.value = 1
    dut.start.value = dut.advance.value = 0
    await FallingEdge(dut.clk)
    dut.rst.value = 0
    for _ in range(40):
        loops = [(rng.choice([1, 2, 3, rng.randint(1, 9)]), rng.choice([1, 1, 2, 4]), rng.randrange(40)) for _ in range(levels)]
        if rng.random() < 0.3:  # Limits whose last step would go beyond what a position holds.
            loops[rng.randrange(levels)] = (1 << BITS) - 1 - rng.randrange(3), rng.randrange(350, 1 << BITS), rng.randrange(40)
        base = rng.randrange(64)
        dut.base.value = base
        for n, (limit, step, stride) in enumerate(loops):
            getattr(dut, f"loops__{n}").value = pack_bits((limit, step, stride), BITS)
        dut.start.value = 1
        await FallingEdge(dut.clk)
        dut.start.value = 0
        counts = [range(0, limit, step) for limit, step, _ in loops]
        walk = list(itertools.product(*counts))
        for number, positions in enumerate(walk):
            while rng.random() < 0.3:
                dut.advance.value = 0
                await FallingEdge(dut.clk)
            address = base + sum(p // step * stride for p, (_, step, stride) in zip(positions, loops, strict=True))
            assert int(dut.address.value) == address
            assert [int(getattr(dut, f"position__{n}").value) for n in range(levels)] == list(positions)
            assert int(dut.first.value) == sum((p == 0) << n for n, p in enumerate(positions))
            assert int(dut.last.value) == sum((p == c[-1]) << n for n, (p, c) in enumerate(zip(positions, counts, strict=True)))
            assert int(dut.done.value) == (number == len(walk) - 1)
            dut.advance.value = 1
            await FallingEdge(dut.clk)
        dut.advance.value = 0


@pytest.mark.parametrize("levels", [3, 4])
def test_affine_walker(levels):
    walker = AffineWalker(levels=levels, position_bits=BITS, stride_bits=BITS, address_bits=16)
    simulate_component(__name__, walker, levels=levels)
