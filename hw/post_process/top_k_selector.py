"""Top-k of one row in one cycle: what DynaTran is measured against. No part of the accelerator."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..arithmetic import popcount
from ..layout import line_layout

__all__ = ["TopKSelector"]


class TopKSelector(wiring.Component):
    """All but the k largest values of a row become zero; combinational. The golden function is `cli.evaluate.keep_largest`.

    Each value is compared with every other, T (T - 1) / 2 comparators, and its rank is the number of those before it: larger
    ones, and equal ones at a lower place. Nothing simpler does it in a cycle at any k; a row longer than T needs all
    of its values at once.

    Parameters
    ----------
    tile : values in a row, T
    width : bits of a value, signed

    Members
    -------
    i : In(row)
    keep : In(range(T + 1)), k
    o : Out(row)
    """

    def __init__(self, *, tile, width):
        self._tile, self._width = tile, width
        super().__init__({
            "i": In(line_layout(tile, width)),
            "keep": In(range(tile + 1)),
            "o": Out(line_layout(tile, width)),
        })

    def elaborate(self, platform):
        m = Module()
        before = [Signal(self._tile, name=f"before_{c}") for c in range(self._tile)]
        for one in range(self._tile):
            for other in range(one + 1, self._tile):
                larger = Signal(name=f"larger_{one}_{other}")
                m.d.comb += [
                    larger.eq(self.i[other] > self.i[one]),
                    before[one][other].eq(larger),
                    before[other][one].eq(~larger),
                ]
        for c in range(self._tile):
            m.d.comb += self.o[c].eq(Mux(popcount(before[c]) < self.keep, self.i[c], 0))
        return m
