"""Tells the PEs, tile pair by tile pair, when to clear, to finish, and to free their operand slots."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..layout import pe_step
from .affine_walker import AffineWalker
from .product import COUNT_BITS, PRODUCT, set_loops

__all__ = ["StepSequencer"]


class StepSequencer(wiring.Component):
    """One step token per pair of tiles, the same for all PEs. One token per cycle.

    Parameters
    ----------
    rows, columns : PEs in the grid

    Members
    -------
    product : In(stream(PRODUCT))
    o : Out(stream(pe_step))
    """

    def __init__(self, *, rows, columns):
        self._rows, self._columns = rows, columns
        super().__init__({"product": In(stream.Signature(PRODUCT)), "o": Out(stream.Signature(pe_step()))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.walker = walker = AffineWalker(levels=4, position_bits=COUNT_BITS, stride_bits=1, address_bits=1)
        product, walking = Signal(PRODUCT, reset_less=True), Signal()
        waiting = Signal()
        level = set_loops(m, walker, product, rows_step=self._rows, columns_step=self._columns,
                          strides={"b": 0, "i": 0, "j": 0}, inner_stride=0)

        m.d.comb += [self.product.ready.eq(~walking & ~waiting), walker.start.eq(waiting)]
        with m.If(self.product.valid & self.product.ready):
            m.d.sync += [product.eq(self.product.payload), waiting.eq(1)]
        with m.If(waiting):
            m.d.sync += [waiting.eq(0), walking.eq(1)]

        single = product.inner == 1
        m.d.comb += [
            self.o.valid.eq(walking),
            self.o.payload.first.eq(walker.first[3]),
            self.o.payload.last.eq(walker.last[3]),
            self.o.payload.a_release.eq(~(single & level["j"][2]) | walker.last[2]),
            self.o.payload.b_release.eq(~(single & level["i"][2]) | walker.last[2]),
            walker.advance.eq(walking & self.o.ready),
        ]
        with m.If(walker.advance & walker.done):
            m.d.sync += walking.eq(0)
        return m
