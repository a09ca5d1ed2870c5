"""Inside the simulator: a clock and a reset, and then Python sleeps until the firmware has ended.

A cocotb module that `sim.soc.run_soc` runs. Cycles, and whether the processor trapped, go to ``end.txt``.
"""

from pathlib import Path

from cocotb.clock import Clock
from cocotb.triggers import First, RisingEdge, Timer
from cocotb.utils import get_sim_time

from .clock import PERIOD
from .register_bus import reset
from .unit import parameters, simulated


@simulated(lambda job: 2 * job["limit"])
async def run_firmware(dut):
    """Until the firmware says that it is done, or the limit."""
    Clock(dut.clk, PERIOD, "ns", impl="gpi").start()
    await reset(dut)
    limit = parameters()["limit"]
    await First(RisingEdge(dut.finished), Timer(limit * PERIOD, "ns"))
    Path("end.txt").write_text(f"{int(get_sim_time('ns') // PERIOD)} {int(dut.trapped.value)}\n")
