"""The 64-bit performance counters."""

from amaranth.hdl import Array, Const, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..arithmetic import tree_sum
from ..spec.registers import counters_of
from .layouts import ENGINES, event_layout

__all__ = ["PerformanceCounters"]


class PerformanceCounters(wiring.Component):
    """Counts events while a program runs.

    The low halves add, their carries move to the high halves a cycle later: reading a low half keeps the high half that
    belongs to it for the next read of a high half.

    Parameters
    ----------
    memory_ports : ports to main memory, each of which beside the first has a counter

    Members
    -------
    clear : In(1), zeroes all counters; may be high in the first cycle of `running`, which still counts
    running : In(1), counts the cycles in which it is high
    events : In(event_layout(memory_ports)), increments of this cycle
    busy, stalled, retired : In(3), one bit per engine
    index : In, number of a counter in `registers.counters_of`; high : In(1); read : In(1) one cycle per access
    data : Out(32), a cycle after `read`; reads are at least two cycles apart
    """

    def __init__(self, *, memory_ports=1):
        self._names = [name for name, _ in counters_of(memory_ports)]
        self._events = event_layout(memory_ports)
        super().__init__({
            "clear": In(1),
            "running": In(1),
            "events": In(self._events),
            "busy": In(len(ENGINES)),
            "stalled": In(len(ENGINES)),
            "retired": In(len(ENGINES)),
            "index": In(range(len(self._names))),
            "high": In(1),
            "read": In(1),
            "data": Out(32),
        })

    def elaborate(self, platform):
        m = Module()
        increments = {name: self.events[name] for name in self._events.members if name not in ("fired", "dense")}
        increments |= {"cycles": Const(1, 1), "multiplications": self.events.fired,
                       "dense_multiplications": self.events.dense,
                       "skipped_multiplications": self.events.dense - self.events.fired,
                       "instructions": tree_sum([self.retired[n] for n in range(len(ENGINES))])}
        for n, engine in enumerate(ENGINES):
            increments |= {f"{engine}_busy": self.busy[n], f"{engine}_stalled": self.stalled[n]}
        halves = [self._counter(m, name, increments[name]) for name in self._names]

        index, was_low, kept = Signal.like(self.index, reset_less=True), Signal(), Signal(32, reset_less=True)
        m.d.sync += [was_low.eq(self.read & ~self.high), index.eq(self.index)]
        with m.If(self.high):
            m.d.sync += self.data.eq(kept)
        with m.Else():
            m.d.sync += self.data.eq(Array(low for low, _ in halves)[self.index])
        with m.If(was_low):
            m.d.sync += kept.eq(Array(high for _, high in halves)[index])
        return m

    def _counter(self, m, name, increment):
        """A counter of `increment`: registered increment, low half, high half."""
        step = Signal(increment.shape(), name=f"{name}_step")
        low, high = Signal(32, name=f"{name}_low"), Signal(32, name=f"{name}_high")
        carry = Signal(signed(2), name=f"{name}_carry")
        total = Signal(signed(34), name=f"{name}_total")
        m.d.comb += total.eq(low + step)
        m.d.sync += [step.eq(0), low.eq(total[:32]), carry.eq(total[32:]), high.eq(high + carry)]
        with m.If(self.running):
            m.d.sync += step.eq(increment)
        with m.If(self.clear):
            m.d.sync += [low.eq(0), carry.eq(0), high.eq(0)]
        return low, high
