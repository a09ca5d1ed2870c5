"""DynaTran against the golden `prune`: every threshold of narrow words, corners of wide ones."""

import random

import pytest
import torch
from cocotb.triggers import Timer

from acceltran.hw.post_process.dynatran import DynaTran
from acceltran.sim.unit import parameters, simulate_component, simulated
from acceltran.sw.golden.post_process import prune
from acceltran.sw.golden.tiles import pack_bits, unpack_bits


def operands(rng, tile, width):
    """(row, tau) pairs: around the threshold on both sides, the extremes, random."""
    low, top = -(1 << (width - 1)), (1 << (width - 1)) - 1
    thresholds = [0, 1, 2, top - 1, top] + (list(range(top)) if width == 8 else [])
    thresholds += [rng.getrandbits(width - 1) >> rng.randrange(width - 1) for _ in range(300)]
    for tau in thresholds:
        near = [sign * (tau + d) for sign in (-1, 1) for d in (-2, -1, 0, 1)] + [low, low + 1, top, 0]
        near = [max(low, min(top, v)) for v in near]
        yield [rng.choice((*near, rng.randint(low, top))) for _ in range(tile)], tau
        yield rng.sample(near, tile) if tile <= len(near) else (near * 2)[:tile], tau


@simulated()
async def check_rows(dut):
    p = parameters()
    for row, tau in operands(random.Random(5), p["tile"], p["width"]):
        dut.i.value = pack_bits(row, p["width"])
        dut.tau.value = tau
        await Timer(1, "ns")
        got = unpack_bits(int(dut.o.value), p["width"], p["tile"]).tolist()
        assert got == prune(torch.tensor(row), tau).tolist(), (row, tau)


@pytest.mark.parametrize("tile, width", [(8, 8), (16, 20)])
def test_dynatran(tile, width):
    simulate_component(__name__, DynaTran(tile=tile, width=width), tile=tile, width=width)
