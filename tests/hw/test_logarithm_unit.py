"""Logarithm against its golden function: every length of argument, corners, with a stalling enable."""

import random

import pytest
import torch
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from acceltran.hw.vector.logarithm import Logarithm
from acceltran.sim.clock import PERIOD
from acceltran.sim.unit import parameters, simulate_component, simulated
from acceltran.sw.golden.logarithm import logarithm


@simulated()
async def check_arguments(dut):
    bits, rng = parameters()["input_bits"], random.Random(1)
    arguments = [0, (1 << bits) - 1]
    for length in range(1, bits + 1):
        low = 1 << (length - 1)
        arguments += [low, min(low + 1, 2 * low - 1), 2 * low - 1]
        arguments += [rng.randrange(low, 2 * low) for _ in range(60)]
    rng.shuffle(arguments)
    expected = logarithm(torch.tensor(arguments)).tolist()

    Clock(dut.clk, PERIOD, "ns").start()
    dut.rst.value = 0
    taken = 0
    while taken < len(arguments):
        enable = rng.random() < 0.8
        dut.x.value = arguments[taken]
        dut.enable.value = int(enable)
        await FallingEdge(dut.clk)
        taken += enable
        if taken >= Logarithm.latency:
            assert int(dut.o.value) == expected[taken - Logarithm.latency]


@pytest.mark.parametrize("input_bits", [41, 21])
def test_logarithm(input_bits):
    simulate_component(__name__, Logarithm(input_bits=input_bits), input_bits=input_bits)
