"""Interpolator against its golden table, exhaustively, with a stalling enable."""

import random

import numpy as np
import torch
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from acceltran.hw.interpolator import Interpolator
from acceltran.hw.spec.quadratic_table import QuadraticTable
from acceltran.sim.clock import PERIOD
from acceltran.sim.unit import simulate_component, simulated
from acceltran.sw.golden.interpolate import interpolate

TABLE = QuadraticTable(lambda x: 2.0**-x, 0.0, 12, 12, 3, 16)


@simulated()
async def check_every_argument(dut):
    Clock(dut.clk, PERIOD, "ns").start()
    rng = random.Random(1)
    dut.rst.value = 0
    expected = interpolate(TABLE, torch.arange(1 << 12)).tolist()
    pending = []
    u = 0
    while len(pending) or u < 1 << 12:
        await FallingEdge(dut.clk)
        enable = rng.random() < 0.8
        dut.enable.value = int(enable)
        dut.u.value = u if u < 1 << 12 else 0
        await FallingEdge(dut.clk)
        dut.enable.value = 0
        if enable:
            pending.append(u)
            u += 1
            if len(pending) == Interpolator.latency:
                argument = pending.pop(0)
                if argument < 1 << 12:
                    assert dut.o.value.to_signed() == expected[argument]
                else:
                    break


def test_interpolator():
    simulate_component(__name__, Interpolator(table=TABLE))


def test_error_bound():
    u = torch.arange(1 << 12)
    error = (interpolate(TABLE, u).double() / 2**16 - torch.from_numpy(np.exp2(-u.numpy() / 4096))).abs().max()
    assert error * 2**16 < 1
