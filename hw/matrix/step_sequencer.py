"""Tells the PEs, tile pair by tile pair, where to add, when to finish, and when to free their operand slots."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..layout import pe_step
from .affine_walker import AffineWalker
from .product import COUNT_BITS, LEVELS, PRODUCT, kept, moves, set_loops

__all__ = ["StepSequencer"]


class StepSequencer(wiring.Component):
    """One step token per pair of tiles, the same for all PEs. One token per cycle.

    Output tiles take the partial sums of a PE in turn, also from one product to the next. An operand slot is freed unless the
    next step uses the same tile.

    Parameters
    ----------
    rows, columns : PEs in the grid
    psum_tiles : output tiles that a PE holds

    Members
    -------
    product : In(stream(PRODUCT))
    o : Out(stream(pe_step))
    """

    def __init__(self, *, rows, columns, psum_tiles):
        self._rows, self._columns, self._psum_tiles = rows, columns, psum_tiles
        self._step = pe_step(psum_tiles)
        super().__init__({"product": In(stream.Signature(PRODUCT)), "o": Out(stream.Signature(self._step))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.walker = walker = AffineWalker(levels=LEVELS, position_bits=COUNT_BITS, stride_bits=1, address_bits=1)
        product, walking = Signal(PRODUCT, reset_less=True), Signal()
        waiting = Signal()
        level = set_loops(m, walker, product, rows_step=self._rows, columns_step=self._columns,
                          strides={"b": 0, "i": 0, "j": 0}, inner_stride=0, psum_tiles=self._psum_tiles)

        m.d.comb += [self.product.ready.eq(~walking & ~waiting), walker.start.eq(waiting)]
        with m.If(self.product.valid & self.product.ready):
            m.d.sync += [product.eq(self.product.payload), waiting.eq(1)]
        with m.If(waiting):
            m.d.sync += [waiting.eq(0), walking.eq(1)]

        step = self.o.payload
        m.d.comb += [
            self.o.valid.eq(walking),
            step.last.eq(walker.last[3]),
            step.a_release.eq(~kept(walker, moves(product, level, "a"))),
            step.b_release.eq(~kept(walker, moves(product, level, "b"))),
            walker.advance.eq(walking & self.o.ready),
        ]
        with m.If(walker.advance & walker.done):
            m.d.sync += walking.eq(0)
        self._number(m, walker, step)
        return m

    def _number(self, m, walker, step):
        """The partial sums of a chunk follow those of the one before."""
        first, psum = Signal(range(self._psum_tiles)), Signal(range(self._psum_tiles))
        m.d.comb += step.psum.eq(psum)
        with m.If(walker.advance):
            m.d.sync += psum.eq(psum + 1)
            with m.If(walker.last[4]):
                with m.If(walker.last[3]):
                    m.d.sync += first.eq(psum + 1)
                with m.Else():
                    m.d.sync += psum.eq(first)
