"""Inside the simulator: one program again and again, of which every second run is reset or told of a bus error at some moment.

A cocotb test module for the kind `moments`. What every run showed goes to ``result.json``.
"""

import json
from pathlib import Path

from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, First, RisingEdge, Timer
from cocotb.utils import get_sim_time

from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.sim.clock import PERIOD
from acceltran.sim.register_bus import reset
from acceltran.sim.unit import parameters, simulated
from acceltran.sw.host.driver import enable_interrupts, set_base, set_thresholds
from support.error_runs import Accelerator

_LIMIT = 4_000_000
"""Cycles of a run that count as hung, more than the watchdog's."""


class Attacked:
    """The accelerator with its program."""

    def __init__(self, dut, job):
        self.dut, self.job, self.accelerator = dut, job, Accelerator(dut)
        self.config = AcceleratorConfig.from_dict(job["config"])

    async def set_up(self):
        """All registers, as after every reset of the pin."""
        perform, job = self.accelerator.perform, self.job
        self.dut.fault_response.value = 0
        await reset(self.dut)
        await perform(enable_interrupts())
        await perform(set_base(self.config, 0, job["port_bases"]))
        await perform(set_thresholds(job["curves"], job["target"]))

    async def begin(self):
        await self.accelerator.start(self.job["run"])
        return get_sim_time("ns")

    async def end(self, begun):
        """Wait for the end; what the registers show then."""
        ended = await self.accelerator.bus.wait(_LIMIT)
        return {"ended": ended, **await self.accelerator.show(), "from": begun, "to": get_sim_time("ns")}

    async def whole(self):
        return await self.end(await self.begin())

    async def broken(self, case, cycles):
        """A run in which a case happens after so many cycles, or ends before."""
        dut, begun = self.dut, await self.begin()
        await First(Timer(max(1, cycles) * PERIOD, "ns"), RisingEdge(dut.irq))
        await FallingEdge(dut.clk)
        if case["what"] == "pin":
            await self.set_up()
            return {"struck": True, "reset": True}
        if case["what"] == "reset":
            return {"struck": True, "reset": await self.accelerator.reset()}
        dut.fault_channel.value, dut.fault_response.value = case["channel"], case["response"]
        shown = await self.end(begun)
        struck = bool(dut.faulted.value)
        dut.fault_response.value = 0
        # After a run that no error reached no reset is needed, and none shall hide what it left.
        return {"struck": struck, "broken": shown, "reset": await self.accelerator.reset() if struck else True}


@simulated(lambda job: 2 * _LIMIT * (len(job["cases"]) + 1))
async def run_all(dut):
    job, attacked = parameters(), None
    Clock(dut.clk, PERIOD, "ns", impl="gpi").start()
    attacked = Attacked(dut, job)
    await attacked.set_up()
    seen = [await attacked.whole()]
    cycles = (seen[0]["to"] - seen[0]["from"]) // PERIOD
    for case in job["cases"]:
        one = await attacked.broken(case, int(case["at"] * cycles))
        if one["reset"]:
            one["good"] = await attacked.whole()
        seen.append(one)
        Path("result.json").write_text(json.dumps(seen))
        if not one["reset"] or not one["good"]["ended"]:
            break
    Path("result.json").write_text(json.dumps(seen))
