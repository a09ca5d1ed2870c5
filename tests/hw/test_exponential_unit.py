"""Exponential against its golden function, stalling: the ends of all segments, and every third argument."""

import random

import torch
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from acceltran.hw.spec.exponential import ARGUMENT_FRAC, OFFSET_BITS
from acceltran.hw.vector.exponential import Exponential
from acceltran.sim.clock import PERIOD
from acceltran.sim.unit import simulate_component, simulated
from acceltran.sw.golden.exponential import exponential_of_fraction


@simulated()
async def check_arguments(dut):
    Clock(dut.clk, PERIOD, "ns").start()
    rng = random.Random(1)
    dut.rst.value = 0
    near = torch.arange(1 << ARGUMENT_FRAC)
    arguments = near[(near % 3 == 0) | ((near + 2) % (1 << OFFSET_BITS) < 4)]
    expected = exponential_of_fraction(arguments).tolist()
    taken = 0
    while taken < len(expected):
        enable = rng.random() >= 0.05
        dut.u.value = int(arguments[taken])
        dut.enable.value = int(enable)
        await FallingEdge(dut.clk)
        taken += enable
        if taken >= Exponential.latency:
            assert dut.o.value == expected[taken - Exponential.latency]


def test_exponential():
    simulate_component(__name__, Exponential())
