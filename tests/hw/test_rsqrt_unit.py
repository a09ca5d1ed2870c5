"""Reciprocal square root in gates against its golden function, with a stalling enable."""

import random

import pytest
import torch
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from acceltran.hw.spec.rsqrt import FRACTION, MANTISSA
from acceltran.hw.vector.rsqrt import Rsqrt
from acceltran.sim.clock import PERIOD
from acceltran.sim.unit import parameters, simulate_component, simulated
from acceltran.sw.golden.fixed import round_shift
from acceltran.sw.golden.rsqrt import rsqrt


@simulated()
async def check_arguments(dut):
    Clock(dut.clk, PERIOD, "ns").start()
    rng = random.Random(1)
    mantissa = parameters()["mantissa"]
    top = 1 << FRACTION + 1
    seams = [p + d for p in range(0, top, 1 << FRACTION - 4) for d in (-1, 0, 1) if 0 <= p + d]
    arguments = [*seams, top - 1, *rng.sample(range(top), 6000)]
    expected = round_shift(rsqrt(torch.tensor(arguments)), MANTISSA - mantissa).clamp(max=(1 << mantissa) - 1).tolist()
    dut.rst.value = 0
    sent, got = 0, 0
    while got < len(arguments):
        await FallingEdge(dut.clk)
        enable = rng.random() < 0.8
        if sent - Rsqrt.latency == got and sent >= Rsqrt.latency:
            assert dut.o.value.to_unsigned() == expected[got], arguments[got]
            got += enable
        dut.enable.value = int(enable)
        dut.u.value = arguments[min(sent, len(arguments) - 1)]
        sent += enable


@pytest.mark.parametrize("mantissa", [17, 9])
def test_rsqrt_unit(mantissa):
    simulate_component(__name__, Rsqrt(mantissa=mantissa), mantissa=mantissa)
