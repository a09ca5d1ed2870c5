"""Inside the simulator: bad and interrupted programs one after the other, each followed by a good one.

A cocotb test module for `test_errors_system`. The parameters list the `runs`: where a program is, how long the watchdog waits,
and, if the run is to be cut off, after how many cycles. What the registers showed goes to ``result.json``.
"""

import json
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, First, RisingEdge, Timer

from acceltran.hw.spec.registers import by_name, pack
from acceltran.sim.clock import PERIOD
from acceltran.sim.system_run import Host, reset
from acceltran.sim.unit import parameters

LIMIT = 200_000
"""Cycles after which a run, and polls after which a reset, counts as hung."""

START, RESET = pack(by_name("CONTROL"), start=1), pack(by_name("CONTROL"), reset=1)
IDLE = pack(by_name("STATUS"), idle=1)
SHOWN = ("STATUS", "IRQ_STATUS", "ERROR_CODE", "ERROR_ENGINE", "ERROR_INSTRUCTION")


class Accelerator:
    """The registers by name, and what a host does with them."""

    def __init__(self, dut):
        self.dut, self.host = dut, Host(dut)

    async def write(self, name, value):
        await self.host.write(by_name(name).offset, value)

    async def read(self, name):
        return await self.host.read(by_name(name).offset)

    async def show(self):
        return {name.lower(): await self.read(name) for name in SHOWN} | {"irq": int(self.dut.irq.value)}

    async def reset(self):
        """Soft reset; True once the accelerator is idle again, False if it does not get there."""
        await self.write("CONTROL", RESET)
        for _ in range(LIMIT // 100):
            if await self.read("STATUS") == IDLE:
                return True
        return False

    async def start(self, run):
        await self.write("PROGRAM_ADDRESS", run["address"])
        await self.write("PROGRAM_LENGTH", run["length"])
        await self.write("WATCHDOG", run["watchdog"])
        await self.write("CONTROL", START)

    async def interrupt(self):
        """True at the interrupt, False after `LIMIT` cycles without."""
        if not self.dut.irq.value:
            await First(RisingEdge(self.dut.irq), Timer(LIMIT * PERIOD, "ns"))
        await FallingEdge(self.dut.clk)
        return bool(self.dut.irq.value)


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
        await accelerator.write("CONTROL", START)
        seen["restarted"] = await accelerator.show()
        await accelerator.write("IRQ_STATUS", seen["irq_status"])
        seen["acknowledged"] = await accelerator.show()
    seen["reset"] = await accelerator.reset()
    seen["after"] = await accelerator.show()
    return seen


@cocotb.test()
async def run_all(dut):
    job = parameters()
    Clock(dut.clk, PERIOD, "ns", impl="gpi").start()
    accelerator = Accelerator(dut)
    await reset(dut)
    await accelerator.write("IRQ_ENABLE", 3)
    seen = []
    for run in job["runs"]:
        seen.append(await play(accelerator, run))
        Path("result.json").write_text(json.dumps(seen))
        if not seen[-1]["reset"]:
            break
