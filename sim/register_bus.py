"""The driver's bus inside the simulator: registers over AXI4-Lite, the interrupt pin, the clock's time."""

from cocotb.triggers import FallingEdge, First, ReadOnly, RisingEdge, Timer
from cocotb.utils import get_sim_time

from .clock import PERIOD

__all__ = ["RegisterBus", "reset"]


class RegisterBus:
    """A bus of coroutines for `perform_async`, without any coroutine while it is idle.

    Main memory is loaded when the simulation begins, and its writes are logged: it is not on this bus. `wait` takes cycles.

    Members
    -------
    written : {offset: cycle in which its last write began}
    woken : cycle in which the last `wait` ended
    """

    def __init__(self, dut):
        self._dut, self.written, self.woken = dut, {}, None
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

    async def write_register(self, offset, value):
        self.written[offset] = _cycle()
        for name, content in (("awaddr", offset), ("wdata", value), ("wstrb", 15), ("awvalid", 1), ("wvalid", 1)):
            self._set(name, content)
        await self._high("awready", "wready")
        self._set("bready", 1)
        await self._high("bvalid")

    async def read_register(self, offset):
        self._set("araddr", offset)
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

    async def wait(self, limit):
        if not self._dut.irq.value:
            await First(RisingEdge(self._dut.irq), Timer(limit * PERIOD, "ns"))
        pending = bool(self._dut.irq.value)
        await FallingEdge(self._dut.clk)
        self.woken = _cycle()
        return pending


async def reset(dut):
    """One cycle of reset, which is enough."""
    await FallingEdge(dut.clk)
    dut.rst.value = 1
    await FallingEdge(dut.clk)
    dut.rst.value = 0


def _cycle():
    return int(get_sim_time("ns") // PERIOD)
