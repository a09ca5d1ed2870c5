"""The top-k selector against the golden `keep_largest`: every k, rows with equal values."""

import random

import pytest
import torch
from cocotb.triggers import Timer

from acceltran.cli.evaluate import keep_largest
from acceltran.hw.post_process.top_k_selector import TopKSelector
from acceltran.sim.unit import parameters, simulate_component, simulated
from acceltran.sw.golden.tiles import pack_bits, unpack_bits


@simulated()
async def check_rows(dut):
    p = parameters()
    rng, low = random.Random(3), -(1 << (p["width"] - 1))
    for number in range(400):
        values = [low, -low - 1, 0, *(rng.randrange(low, -low) for _ in range(rng.choice((1, 4, 20))))]
        row, keep = rng.choices(values, k=p["tile"]), number % (p["tile"] + 1)
        dut.i.value = pack_bits(row, p["width"])
        dut.keep.value = keep
        await Timer(1, "ns")
        got = unpack_bits(int(dut.o.value), p["width"], p["tile"]).tolist()
        assert got == keep_largest(torch.tensor([row]), keep)[0].tolist(), (row, keep)


@pytest.mark.parametrize("tile, width", [(8, 8), (16, 20)])
def test_top_k_selector(tile, width):
    simulate_component(__name__, TopKSelector(tile=tile, width=width), tile=tile, width=width)
