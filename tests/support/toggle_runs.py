"""Inside the simulator: n counts up from 0 for 40 cycles. A cocotb test module for `test_power_activity`."""

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge

from acceltran.sim.clock import PERIOD
from acceltran.sim.unit import simulated


@simulated(100)
async def count(dut):
    dut.rst.value, dut.n.value = 0, 0
    cocotb.start_soon(Clock(dut.clk, PERIOD, unit="ns").start())
    await RisingEdge(dut.clk)
    for n in range(1, 41):
        await FallingEdge(dut.clk)
        dut.n.value = n % 4
    await RisingEdge(dut.clk)
