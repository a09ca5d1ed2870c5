"""The bus between a driver and an accelerator: what a driver asks for, and what a board has to offer.

The steps of the driver are generators. They yield requests (`ReadRegister`, `WriteRegister`, `ReadMemory`, `WriteMemory`,
`Wait`) and are given the answers; they touch no hardware themselves. `perform` carries them out on a bus of ordinary methods,
and `perform_async` on one whose methods are coroutines, such as a simulation under cocotb:

    run = perform(board, run_program(program, limit=10.0))
    run = await perform_async(simulation, run_program(program, limit=1_000_000))

For a board of your own, derive a class from `Bus` and write its four accesses. A bus of coroutines needs no base class: any
object with these five methods serves, and one that is never asked for main memory may leave those two out.
"""

import time
from dataclasses import dataclass

from ...hw.spec.registers import by_name

__all__ = ["Bus", "ReadMemory", "ReadRegister", "Wait", "WriteMemory", "WriteRegister", "perform", "perform_async"]


class Bus:
    """A way to an accelerator's registers and to the main memory that it shares with the host.

    Registers are 32-bit words at byte offsets from the start of the AXI4-Lite window. Addresses of main memory are bytes, as
    the accelerator's AXI4 manager sees them. Accesses take effect in the order in which they are made: what was written to
    memory is there for the accelerator before the next register is written.
    """

    poll_seconds = 0.0001
    """Pause between two looks at the interrupts, where nothing better than looking is at hand."""

    def read_register(self, offset):
        """The word of the register at byte `offset`."""
        raise NotImplementedError

    def write_register(self, offset, value):
        """Write the word `value`, all four bytes of it, to the register at byte `offset`."""
        raise NotImplementedError

    def read_memory(self, address, count):
        """`count` bytes of main memory from byte `address` on."""
        raise NotImplementedError

    def write_memory(self, address, raw):
        """Write bytes to main memory from byte `address` on; `address` is a multiple of 64."""
        raise NotImplementedError

    def wait(self, limit):
        """Wait until an enabled interrupt is pending; whether one is, False after `limit`.

        Here the register is looked at again and again, and `limit` is in seconds. A bus with an interrupt line sleeps until it
        rises; `limit` may then be in any measure of its own.
        """
        deadline = time.monotonic() + limit
        while not self.read_register(by_name("IRQ_STATUS").offset) & self.read_register(by_name("IRQ_ENABLE").offset):
            if time.monotonic() > deadline:
                return False
            time.sleep(self.poll_seconds)
        return True


@dataclass(frozen=True)
class ReadRegister:
    """Asks for `Bus.read_register`."""

    offset: int

    def on(self, bus):
        """The answer of `bus`, or a coroutine that gives it."""
        return bus.read_register(self.offset)


@dataclass(frozen=True)
class WriteRegister:
    """Asks for `Bus.write_register`."""

    offset: int
    value: int

    def on(self, bus):
        """As in `ReadRegister`."""
        return bus.write_register(self.offset, self.value)


@dataclass(frozen=True)
class ReadMemory:
    """Asks for `Bus.read_memory`."""

    address: int
    count: int

    def on(self, bus):
        """As in `ReadRegister`."""
        return bus.read_memory(self.address, self.count)


@dataclass(frozen=True)
class WriteMemory:
    """Asks for `Bus.write_memory`."""

    address: int
    raw: bytes

    def on(self, bus):
        """As in `ReadRegister`."""
        return bus.write_memory(self.address, self.raw)


@dataclass(frozen=True)
class Wait:
    """Asks for `Bus.wait`."""

    limit: float

    def on(self, bus):
        """As in `ReadRegister`."""
        return bus.wait(self.limit)


def perform(bus, steps):
    """Carry out the steps of a driver on a bus of ordinary methods; returns what the generator returns."""
    answer = None
    while True:
        try:
            request = steps.send(answer)
        except StopIteration as end:
            return end.value
        answer = request.on(bus)


async def perform_async(bus, steps):
    """`perform` on a bus whose methods are coroutines."""
    answer = None
    while True:
        try:
            request = steps.send(answer)
        except StopIteration as end:
            return end.value
        answer = await request.on(bus)
