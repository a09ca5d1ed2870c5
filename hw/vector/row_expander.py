"""Packed tiles to rows with their zeros in place, one row per cycle, from the beats where they wait."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..layout import line_layout, tile_beat
from ..streams.butterfly import crossings, prefix_counts, spread

__all__ = ["RowExpander"]


class RowExpander(wiring.Component):
    """Unpacks a stream of packed tiles into a stream of rows; the beat stays at the input until it is used up.

    A row's values lie in the line before the current one and, from the row that goes beyond that, in the current one.
    Folded at the head they are T values in cyclic order, which an inverse butterfly network spreads over the positions
    whose mask bit is set. Only the line before and the folded values are registers.

    Latency: one cycle from beat to row. Throughput: a row per cycle as long as a beat is there, without a bubble between
    tiles. `i.ready` depends on `o.ready` combinationally.

    Parameters
    ----------
    tile : T, a power of two
    width : bits of a value
    lines_per_beat : a power of two

    Members
    -------
    i : In(stream(tile_beat)), packed tiles, the mask on every beat; a set mask bit may stand for a value of zero
    o : Out(stream(line)), T rows per tile; positions without mask bit are zero
    finished : Out(1), the last beat of a tile is taken

    Raises
    ------
    ValueError : for sizes that are not powers of two
    """

    latency = 1

    def __init__(self, *, tile, width, lines_per_beat):
        for name, value in (("tile", tile), ("lines_per_beat", lines_per_beat)):
            if value < 1 or value & (value - 1):
                raise ValueError(f"{name} = {value}: must be a power of two")
        self._tile, self._width, self._lines_per_beat = tile, width, lines_per_beat
        super().__init__({
            "i": In(stream.Signature(tile_beat(tile, width, lines_per_beat))),
            "o": Out(stream.Signature(line_layout(tile, width))),
            "finished": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        i, o, tile = self.i, self.o, self._tile
        row, place = Signal(range(tile)), Signal(range(self._lines_per_beat))
        before = Signal(line_layout(tile, self._width), reset_less=True)
        issue, take, last_row = Signal(), Signal(), Signal()

        # The row's values begin `head` values into the line before; an empty line before has its head at its end.
        head, end = Signal(range(tile + 1), init=tile), Signal(range(2 * tile + 1))
        space = Signal(range(tile + 1))  # What the line before still has: tile - head.
        mask = i.p.mask.word_select(row, tile)
        below, need = prefix_counts(list(mask), tile.bit_length())
        line = i.p.lines[place] if self._lines_per_beat > 1 else i.p.lines[0]
        m.d.comb += [
            issue.eq(i.valid & (~o.valid | o.ready)),
            end.eq(head + need),
            take.eq(need > space),
            last_row.eq(row == tile - 1),
            i.ready.eq(issue & Mux(i.p.last, last_row, take & (place == self._lines_per_beat - 1))),
            self.finished.eq(issue & i.p.last & last_row),
        ]
        with m.If(issue):
            m.d.sync += [row.eq(row + 1), head.eq(end - Mux(take, tile, 0)), space.eq(Mux(take, 2 * tile, tile) - end)]
            with m.If(take):
                m.d.sync += [place.eq(place + 1), before.eq(line)]
            with m.If(last_row):
                m.d.sync += [head.eq(tile), space.eq(0), place.eq(0)]

        # Registered: the values, and the setting of the network.
        with m.If(~o.valid | o.ready):
            m.d.sync += o.valid.eq(issue)
        wanted = [(head + count)[:(tile - 1).bit_length()] for count in below]
        folded = [self._register(m, issue, f"folded_{n}", Mux(n < head, line[n], before[n])) for n in range(tile)]
        present = self._register(m, issue, "present", mask)
        stages = [{low: self._register(m, issue, f"{cross.name}_late", cross) for low, cross in stage.items()}
                  for stage in crossings(m, wanted, list(mask))]

        for n, value in enumerate(spread(m, folded, stages)):
            m.d.comb += o.p[n].eq(Mux(present[n], value, 0))
        return m

    def _register(self, m, enable, name, value):
        register = Signal(len(value), name=name, reset_less=True)
        with m.If(enable):
            m.d.sync += register.eq(value)
        return register
