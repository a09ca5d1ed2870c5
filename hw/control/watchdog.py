"""The watchdog: notices that nothing completes any more."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Watchdog"]


class Watchdog(wiring.Component):
    """Counts cycles since the last sign of life.

    Members
    -------
    limit : In(32), cycles; 0 turns it off
    running : In(1), the count stands at zero while low
    alive : In(1), an instruction completes
    expired : Out(1), pulse once `limit` cycles (and one for the comparison) have passed; the count starts again
    """

    def __init__(self):
        super().__init__({"limit": In(32), "running": In(1), "alive": In(1), "expired": Out(1)})

    def elaborate(self, platform):
        m = Module()
        count, alive = Signal(32), Signal()
        late = (count >= self.limit) & (self.limit != 0)
        m.d.sync += [alive.eq(self.alive), count.eq(count + 1), self.expired.eq(late)]
        with m.If(~self.running | alive | self.expired):
            m.d.sync += [count.eq(0), self.expired.eq(0)]
        return m
