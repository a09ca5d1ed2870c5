"""Inside the simulator: bad and interrupted programs one after the other, each followed by a good one.

A cocotb test module for `test_errors_system`. The parameters list the `runs`: where a program is, how long the watchdog waits,
and, if the run is to be cut off, after how many cycles; also, if given, `registers` to write before it, by name. What the
registers showed goes to ``result.json``.
"""

import json
from dataclasses import asdict
from pathlib import Path

from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, Timer

from acceltran.hw.spec.registers import by_name
from acceltran.sim.clock import PERIOD
from acceltran.sim.register_bus import RegisterBus, reset
from acceltran.sim.unit import parameters, simulated
from acceltran.sw.host import DeviceError, driver, perform_async

LIMIT = 200_000
"""Cycles after which a run counts as hung; of a reset, a hundredth of it in polls."""


class Accelerator:
    """What a host does with the accelerator, by the driver's steps."""

    def __init__(self, dut):
        self.dut, self.bus = dut, RegisterBus(dut)

    async def perform(self, steps):
        return await perform_async(self.bus, steps)

    async def write(self, name, value):
        await self.bus.write_register(by_name(name).offset, value)

    async def read(self, name):
        return await self.bus.read_register(by_name(name).offset)

    async def show(self):
        return asdict(await self.perform(driver.outcome())) | {"irq": int(self.dut.irq.value)}

    async def reset(self):
        """Soft reset; True once the accelerator is idle again, False if it does not get there."""
        try:
            await self.perform(driver.soft_reset(polls=LIMIT // 100))
        except DeviceError:
            return False
        return True

    async def start(self, run):
        await self.perform(driver.set_watchdog(run["watchdog"]))
        for name, value in run.get("registers", {}).items():
            await self.write(name, value)
        await self.perform(driver.start(run["address"], run["length"]))

    async def interrupt(self):
        """True at the interrupt, False after `LIMIT` cycles without."""
        return await self.bus.wait(LIMIT)


async def play(accelerator, run):
    """Start a program, wait for its end or cut it off, reset; what was seen."""
    await accelerator.start(run)
    if run["cut"] is not None:
        await Timer(max(1, run["cut"]) * PERIOD, "ns")
        await FallingEdge(accelerator.dut.clk)
        return {"before": await accelerator.read("STATUS") if run["look"] else None,
                "reset": await accelerator.reset(), "after": await accelerator.show()}
    seen = {"ended": await accelerator.interrupt(), **await accelerator.show()}
    if seen["error_code"]:
        await accelerator.write("CONTROL", driver.START)
        seen["restarted"] = await accelerator.show()
        await accelerator.write("IRQ_STATUS", seen["irq_status"])
        seen["acknowledged"] = await accelerator.show()
    seen["reset"] = await accelerator.reset()
    seen["after"] = await accelerator.show()
    return seen


@simulated(lambda job: 2 * LIMIT * len(job.get("runs", [])) or LIMIT)
async def run_all(dut):
    job = parameters()
    Clock(dut.clk, PERIOD, "ns", impl="gpi").start()
    accelerator = Accelerator(dut)
    await reset(dut)
    await accelerator.perform(driver.enable_interrupts())
    seen = []
    for run in job["runs"]:
        seen.append(await play(accelerator, run))
        Path("result.json").write_text(json.dumps(seen))
        if not seen[-1]["reset"]:
            break
