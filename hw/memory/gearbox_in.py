"""From bus beats to the pieces of the packed form."""

from math import gcd

from amaranth.hdl import Array, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .axi import beat_bits

__all__ = ["GearboxIn"]


class GearboxIn(wiring.Component):
    """Cuts segments of a beat stream into pieces of a few sizes, which the consumer chooses piece by piece.

    A segment is a number of beats that belong together; the first piece starts with its first beat. Bits move in units
    of the greatest common divisor of the bus and all sizes, so alignment is a shift by whole units. One piece per
    cycle, or one beat per cycle, whichever is the limit; the buffer is large enough for no bubble. Beats are taken when
    there is room, whatever the consumer does: no path leads from `o.ready` to `i.ready`.

    Parameters
    ----------
    bus_width : bits of a beat
    sizes : the sizes of pieces in bits, two or more

    Members
    -------
    segment : In(stream(beat_bits)), its beats; ready when the one before is closed and drained, or to `append`
    idle : Out(1), no segment is open
    append : In(1), the segment goes on with these beats, its last ones having been taken, without a bubble; not with `close`
    i : In(stream(bus_width)), taken only within a segment
    size : In(1), which of `sizes` the next piece has
    o : Out(stream), the next piece in the low bits; what lies above is undefined
    short : Out(1), the segment has ended and has no piece of that size
    close : In(1), with the last piece or later: drop what is left of the segment
    """

    def __init__(self, *, bus_width, sizes):
        self._unit = gcd(bus_width, *sizes)
        self._bus = bus_width // self._unit
        self._sizes = [size // self._unit for size in sizes]
        largest = max(self._sizes)
        self._capacity = largest + self._bus + min(largest, self._bus) - 1
        super().__init__({
            "segment": In(stream.Signature(beat_bits(bus_width))),
            "idle": Out(1),
            "append": In(1),
            "i": In(stream.Signature(bus_width)),
            "size": In(range(len(sizes))),
            "o": Out(stream.Signature(max(sizes))),
            "short": Out(1),
            "close": In(1),
        })

    def elaborate(self, platform):
        m = Module()
        left = Signal.like(self.segment.payload)
        opened, closing = Signal(), Signal()
        held = Signal(self._capacity * self._unit, reset_less=True)
        level = Signal(range(self._capacity + 1))

        # A piece is offered at the low end.
        wanted = Array(Const(size, len(level)) for size in self._sizes)[self.size]
        enough = level >= wanted
        m.d.comb += [
            self.o.payload.eq(held),
            self.o.valid.eq(opened & ~closing & enough),
            self.short.eq(opened & ~closing & ~enough & (left == 0)),
        ]

        # Beats join above what is there, where everything is zero; only then a piece leaves, since it is known last.
        joined, joined_level = Signal.like(held), Signal.like(level)
        m.d.comb += [
            self.i.ready.eq(opened & (left != 0) & (closing | (level <= self._capacity - self._bus))),
            joined.eq(held),
            joined_level.eq(level),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += left.eq(left - 1)
            m.d.comb += joined_level.eq(level + self._bus)
            with m.Switch(level):
                for n in range(self._capacity - self._bus + 1):
                    with m.Case(n):
                        m.d.comb += joined.eq(held | (self.i.payload << n * self._unit))
        m.d.sync += [held.eq(joined), level.eq(joined_level)]
        with m.If(self.o.valid & self.o.ready):
            with m.Switch(self.size):
                for n, size in enumerate(self._sizes):
                    with m.Case(n):
                        m.d.sync += [held.eq(joined >> size * self._unit), level.eq(joined_level - size)]

        # A closed segment takes its remaining beats and forgets them.
        all_taken = (left == 0) | ((left == 1) & self.i.valid & self.i.ready)
        m.d.comb += self.idle.eq(~opened)
        m.d.comb += self.segment.ready.eq(~opened | (self.append & ~closing & all_taken))
        with m.If(self.close):
            m.d.sync += closing.eq(1)
        with m.If(closing | self.close):
            with m.If(left == 0):
                m.d.sync += [opened.eq(0), closing.eq(0)]
        with m.If(self.segment.valid & self.segment.ready):
            m.d.sync += [opened.eq(1), left.eq(self.segment.payload)]
            with m.If(~opened):
                m.d.sync += [held.eq(0), level.eq(0)]
        return m
