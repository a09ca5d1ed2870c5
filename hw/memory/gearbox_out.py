"""From the pieces of the packed form to bus beats."""

from math import gcd

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["GearboxOut", "piece_layout"]


def piece_layout(sizes):
    """A piece: its bits with zeros above, which of the two `sizes` it has, and whether the stream ends with it."""
    return data.StructLayout({"data": max(sizes), "size": 1, "last": 1})


class GearboxOut(wiring.Component):
    """Joins pieces of two sizes back to back into bus beats; the end of a stream is padded with zeros to a whole beat.

    Bits move in units of the greatest common divisor of the bus and both sizes. One piece per cycle, or one beat per
    cycle, whichever is the limit; a stream's last beats drain before the next stream is taken. No path leads from
    `o.ready` to `i.ready`.

    Parameters
    ----------
    bus_width : bits of a beat
    sizes : the two sizes of pieces in bits

    Members
    -------
    i : In(stream(piece_layout))
    o : Out(stream(data, last))
    """

    def __init__(self, *, bus_width, sizes):
        self._unit = gcd(bus_width, *sizes)
        self._bus = bus_width // self._unit
        self._sizes = [size // self._unit for size in sizes]
        self._largest = max(self._sizes)
        self._capacity = self._largest + self._bus + min(self._largest, self._bus) - 1
        super().__init__({
            "i": In(stream.Signature(piece_layout(sizes))),
            "o": Out(stream.Signature(data.StructLayout({"data": bus_width, "last": 1}))),
        })

    def elaborate(self, platform):
        m = Module()
        held = Signal(self._capacity * self._unit, reset_less=True)
        level = Signal(range(self._capacity + 1))
        ending = Signal()

        # Beats leave at the low end; the last one may be partly filled.
        rest, rest_level = Signal.like(held), Signal.like(level)
        final = ending & (level <= self._bus)
        m.d.comb += [
            self.o.payload.data.eq(held),
            self.o.payload.last.eq(final),
            self.o.valid.eq(ending | (level >= self._bus)),
            rest.eq(held),
            rest_level.eq(level),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.comb += [rest.eq(held >> self._bus * self._unit), rest_level.eq(Mux(final, 0, level - self._bus))]
            with m.If(final):
                m.d.sync += ending.eq(0)

        # Pieces join above what is there; above them everything is zero.
        m.d.comb += self.i.ready.eq(~ending & (level <= self._capacity - self._largest))
        m.d.sync += [held.eq(rest), level.eq(rest_level)]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [
                level.eq(rest_level + Mux(self.i.payload.size, self._sizes[1], self._sizes[0])),
                ending.eq(self.i.payload.last),
            ]
            with m.Switch(rest_level):
                with m.Case(0):
                    m.d.sync += held.eq(self.i.payload.data)
                for n in range(1, self._capacity - self._largest + 1):
                    with m.Case(n):
                        m.d.sync += held.eq(rest | (self.i.payload.data << n * self._unit))
        return m
