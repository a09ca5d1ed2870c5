"""A few registers between a producer and a consumer."""

from amaranth.hdl import Array, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["StreamQueue"]


class StreamQueue(wiring.Component):
    """First-in first-out queue in registers; no combinational path from `o.ready` to `i.ready`.

    Latency one cycle, one transfer per cycle from a depth of two on.

    Parameters
    ----------
    shape : payload
    depth : entries

    Members
    -------
    level : Out(range(depth + 1)), entries held
    """

    def __init__(self, *, shape, depth):
        self._shape, self._depth = shape, depth
        super().__init__({
            "i": In(stream.Signature(shape)),
            "o": Out(stream.Signature(shape)),
            "level": Out(range(depth + 1)),
        })

    def elaborate(self, platform):
        m = Module()
        depth = self._depth
        entries = Array(Signal(self._shape, name=f"entry_{n}", reset_less=True) for n in range(depth))
        head, tail = Signal(range(depth)), Signal(range(depth))
        push, pop = self.i.valid & self.i.ready, self.o.valid & self.o.ready

        def following(pointer):
            return pointer + 1 if depth & (depth - 1) == 0 and depth > 1 else _wrap(pointer)

        def _wrap(pointer):
            wrapped = Signal.like(pointer, name=f"{pointer.name}_next")
            m.d.comb += wrapped.eq(pointer + 1)
            with m.If(pointer == depth - 1):
                m.d.comb += wrapped.eq(0)
            return wrapped

        m.d.comb += [self.i.ready.eq(self.level != depth), self.o.valid.eq(self.level != 0)]
        m.d.comb += self.o.payload.eq(entries[head] if depth > 1 else entries[0])
        with m.If(push):
            m.d.sync += [entries[tail].eq(self.i.payload), tail.eq(following(tail))]
        with m.If(pop):
            m.d.sync += head.eq(following(head))
        m.d.sync += self.level.eq(self.level + push - pop)
        return m
