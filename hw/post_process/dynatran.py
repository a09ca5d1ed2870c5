"""DynaTran: pruning by magnitude at run time, one comparator per value."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..layout import line_layout

__all__ = ["DynaTran"]


class DynaTran(wiring.Component):
    """Values with ``|x| < tau`` become zero; combinational. The golden function is `sw.golden.post_process.prune`.

    With the sign s, ``|x| = m + s`` where m is x with its bits flipped if negative. ``m + s < tau`` is
    ``2 * m + s < 2 * tau - 1``: one comparison of W bits, without a carry for the negation. The most negative value has
    the largest ``2 * m + s`` there is, so it always stays.

    Parameters
    ----------
    tile : values in a row
    width : bits of a value, W

    Members
    -------
    i : In(row)
    tau : In(W - 1), unsigned; 0 prunes nothing
    o : Out(row)
    """

    def __init__(self, *, tile, width):
        self._tile, self._width = tile, width
        super().__init__({
            "i": In(line_layout(tile, width)),
            "tau": In(width - 1),
            "o": Out(line_layout(tile, width)),
        })

    def elaborate(self, platform):
        m = Module()
        bound = Signal(self._width)
        m.d.comb += bound.eq(Mux(self.tau == 0, 0, Cat(1, self.tau - 1)))
        for c in range(self._tile):
            x = self.i[c]
            magnitude = Signal(self._width, name=f"magnitude_{c}")
            m.d.comb += [
                magnitude.eq(Cat(x[-1], Mux(x[-1], ~x[:-1], x[:-1]))),
                self.o[c].eq(Mux(magnitude < bound, 0, x)),
            ]
        return m
