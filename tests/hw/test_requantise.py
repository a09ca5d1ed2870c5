"""Requantise against the golden `requantise`: every shift, with values at the edges of rounding and saturation."""

import random

import pytest
import torch
from cocotb.triggers import Timer

from acceltran.hw.post_process.requantise import Requantise
from acceltran.sim.unit import parameters, simulate_component, simulated
from acceltran.sw.golden.post_process import requantise


def operands(rng, bits, shift, width):
    low, top = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    limit = (1 << (width - 1)) << shift if shift >= 0 else (1 << (width - 1)) >> -shift
    half = 1 << max(shift - 1, 0)
    values = [low, low + 1, top, top - 1, 0, 1, -1]
    values += [sign * base + d for sign in (-1, 1) for base in (limit, limit - half, limit + half, half, 3 * half)
               for d in (-1, 0, 1)]
    values += [rng.randint(low, top) >> rng.randrange(bits) for _ in range(30)]
    return [v for v in values if low <= v <= top]


@simulated()
async def check_every_shift(dut):
    p = parameters()
    rng = random.Random(6)
    for shift in range(-p["left"], p["right"] + 1):
        values = operands(rng, p["input_width"], shift, p["output_width"])
        expected = requantise(torch.tensor(values), shift, p["output_width"]).tolist()
        dut.amount.value = shift + p["left"]
        for value, wanted in zip(values, expected, strict=True):
            dut.x.value = value
            await Timer(1, "ns")
            assert dut.o.value.to_signed() == wanted, (value, shift)


@pytest.mark.parametrize("values", [
    {"input_width": 53, "output_width": 24, "left": 24, "right": 63},
    {"input_width": 29, "output_width": 8, "left": 24, "right": 63},
    {"input_width": 24, "output_width": 20, "left": 8, "right": 20},
], ids=lambda v: "-".join(map(str, v.values())))
def test_requantise(values):
    simulate_component(__name__, Requantise(**values), **values)
