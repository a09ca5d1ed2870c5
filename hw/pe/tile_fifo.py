"""A few packed tiles between a shared operand stream and a PE."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from ..layout import tile_beat

__all__ = ["TileFifo"]


class TileFifo(wiring.Component):
    """First-in first-out queue of `tiles` packed tiles, so that PEs on one stream do not wait for each other.

    Lines are stored per beat, mask and transpose once per tile: it is full with the beats of `tiles` dense tiles, or with
    `tiles` masks. On the output the mask is held over all beats of its tile.

    Latency: two cycles. Throughput: one beat per cycle. No combinational path between `i` and `o`.

    Parameters
    ----------
    tile, width, lines_per_beat : as in `tile_beat`
    tiles : capacity, at least 2

    Members
    -------
    i : In(stream(tile_beat))
    o : Out(stream(tile_beat))
    """

    latency = 2

    def __init__(self, *, tile, width, lines_per_beat, tiles=2):
        if tiles < 2:
            raise ValueError(f"tiles = {tiles}: at least 2")
        self._tiles, self._beats = tiles, tiles * tile // lines_per_beat
        beat = stream.Signature(tile_beat(tile, width, lines_per_beat))
        super().__init__({"i": In(beat), "o": Out(beat)})

    def elaborate(self, platform):
        m = Module()
        i, o = self.i, self.o
        line_bits, mask_bits = len(i.p.lines.as_value()), len(i.p.mask)
        m.submodules.beats = beats = SyncFIFOBuffered(width=line_bits + 1, depth=self._beats)
        m.submodules.heads = heads = SyncFIFOBuffered(width=mask_bits + 1, depth=self._tiles)

        expect_first = Signal(init=1)
        write, read = Signal(), Signal()
        m.d.comb += [
            i.ready.eq(beats.w_rdy & (heads.w_rdy | ~expect_first)),
            write.eq(i.valid & i.ready),
            beats.w_en.eq(write),
            beats.w_data.eq(Cat(i.p.lines, i.p.last)),
            heads.w_en.eq(write & expect_first),
            heads.w_data.eq(Cat(i.p.mask, i.p.transpose)),
        ]
        with m.If(write):
            m.d.sync += expect_first.eq(i.p.last)

        first = Signal(init=1)
        m.d.comb += [
            o.valid.eq(beats.r_rdy & heads.r_rdy),
            read.eq(o.valid & o.ready),
            beats.r_en.eq(read),
            heads.r_en.eq(read & o.p.last),
            Cat(o.p.lines, o.p.last).eq(beats.r_data),
            Cat(o.p.mask, o.p.transpose).eq(heads.r_data),
            o.p.first.eq(first),
        ]
        with m.If(read):
            m.d.sync += first.eq(o.p.last)
        return m
