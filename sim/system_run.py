"""Inside the simulator: start each program through the registers, sleep until the interrupt, read the results.

This is a cocotb test module; `sim.system.simulate` runs it. What to do comes from `sim.unit.parameters`, what was
seen goes to ``result.json``.
"""

import json
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, First, ReadOnly, RisingEdge, Timer
from cocotb.utils import get_sim_time

from acceltran.hw.spec.registers import COUNTERS, CURVE_STRIDE, by_name

from .clock import PERIOD
from .unit import parameters


class Host:
    """Register accesses over AXI4-Lite, without any coroutine while idle."""

    def __init__(self, dut):
        self._dut = dut
        for name in ("awvalid", "wvalid", "bready", "arvalid", "rready", "awprot", "arprot"):
            self._set(name, 0)

    def _set(self, name, value):
        getattr(self._dut, f"s_axil__{name}").value = value

    async def _high(self, *names):
        """Wait until all of `names` were seen high before a rising edge; lower the valids as they are taken."""
        waiting = set(names)
        while waiting:
            await ReadOnly()
            seen = {n for n in waiting if getattr(self._dut, f"s_axil__{n}").value}
            await FallingEdge(self._dut.clk)
            for name in seen:
                self._set({"awready": "awvalid", "wready": "wvalid", "arready": "arvalid",
                           "bvalid": "bready", "rvalid": "rready"}[name], 0)
            waiting -= seen

    async def write(self, address, value):
        """Write a 32-bit register."""
        for name, content in (("awaddr", address), ("wdata", value), ("wstrb", 15), ("awvalid", 1), ("wvalid", 1)):
            self._set(name, content)
        await self._high("awready", "wready")
        self._set("bready", 1)
        await self._high("bvalid")

    async def read(self, address):
        """Read a 32-bit register."""
        self._set("araddr", address)
        self._set("arvalid", 1)
        await self._high("arready")
        self._set("rready", 1)
        await ReadOnly()
        while not self._dut.s_axil__rvalid.value:
            await FallingEdge(self._dut.clk)
            await ReadOnly()
        value = int(self._dut.s_axil__rdata.value)
        await FallingEdge(self._dut.clk)
        self._set("rready", 0)
        return value


async def reset(dut):
    """One cycle of reset, which is enough."""
    await FallingEdge(dut.clk)
    dut.rst.value = 1
    await FallingEdge(dut.clk)
    dut.rst.value = 0


@cocotb.test()
async def run_program(dut):
    """One cycle of reset; set the curves, run the programs one after the other, collect what each showed."""
    job = parameters()
    Clock(dut.clk, PERIOD, "ns", impl="gpi").start()
    host = Host(dut)
    await reset(dut)

    for curve, knots in enumerate(job["curves"]):
        for knot, value in enumerate(knots):
            await host.write(by_name("CURVE").offset + 4 * (CURVE_STRIDE * curve + knot), value)
    for name, value in job["registers"].items():
        await host.write(by_name(name).offset, value)
    await host.write(by_name("IRQ_ENABLE").offset, 3)
    results = []
    for address, length in job["programs"]:
        await host.write(by_name("PROGRAM_ADDRESS").offset, address)
        await host.write(by_name("PROGRAM_LENGTH").offset, length)
        await host.write(by_name("IRQ_STATUS").offset, 3)
        started = get_sim_time("ns") // PERIOD
        await host.write(by_name("CONTROL").offset, 1)
        await First(RisingEdge(dut.irq), Timer(job["timeout"] * PERIOD, "ns"))
        interrupted = bool(dut.irq.value)
        await FallingEdge(dut.clk)
        result = {"interrupted": interrupted, "started": int(started), "ended": int(get_sim_time("ns") // PERIOD)}
        for name in ("STATUS", "IRQ_STATUS", "ERROR_CODE", "ERROR_ENGINE", "ERROR_INSTRUCTION"):
            result[name.lower()] = await host.read(by_name(name).offset)
        counters = {}
        for name, _ in COUNTERS:
            low = await host.read(by_name(f"{name.upper()}_LO").offset)
            counters[name] = low | await host.read(by_name(f"{name.upper()}_HI").offset) << 32
        results.append(result | {"counters": counters})
        if not interrupted or result["error_code"]:
            break
    Path("result.json").write_text(json.dumps(results))
