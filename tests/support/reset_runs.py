"""Inside the simulator: a program is started, cut off by one cycle of hardware reset, and run again to its end, many times.

A cocotb test module for `test_power_up`. What each complete run showed goes to ``result.json``, and when it began and ended.
"""

import json
from pathlib import Path

from cocotb.clock import Clock
from cocotb.triggers import Timer
from cocotb.utils import get_sim_time

from acceltran.sim.clock import PERIOD
from acceltran.sim.register_bus import reset
from acceltran.sim.unit import parameters, simulated
from acceltran.sw.host.driver import enable_interrupts

from .error_runs import LIMIT, Accelerator


async def start(accelerator, run):
    await accelerator.perform(enable_interrupts())
    await accelerator.start(run)


@simulated(lambda job: 2 * LIMIT * len(job["moments"]))
async def run_all(dut):
    job, seen = parameters(), []
    Clock(dut.clk, PERIOD, "ns", impl="gpi").start()
    accelerator = Accelerator(dut)
    await reset(dut)
    for moment in job["moments"]:
        await start(accelerator, job["run"])
        await Timer(moment * PERIOD, "ns")
        await reset(dut)
        begun = get_sim_time("ns")
        await start(accelerator, job["run"])
        ended = await accelerator.interrupt()
        seen.append({"ended": ended, **await accelerator.show(), "from": begun, "to": get_sim_time("ns")})
        Path("result.json").write_text(json.dumps(seen))
