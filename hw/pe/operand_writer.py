"""The tiles of B for lanes and MACs that keep their own copies: a ring of tile slots, written column by column."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..layout import row_beat
from .ring import advance, passed, ring_position

__all__ = ["OperandWriter", "column_write"]


def column_write(width, rows):
    """A write to the copies of a column of B: `value` and its bit of the `mask` to row `row` (slot * T + k), with `enable`."""
    return data.StructLayout({"value": width, "mask": 1, "row": range(rows), "enable": 1})


class OperandWriter(wiring.Component):
    """What `OperandSlots` does for a shared operand whose rows come one by one, with RAM at lanes and MACs.

    A RAM takes one value per cycle. A row has one for every column. A row of a transposed tile has T for a single column,
    which writes them in the T cycles that follow, while the next columns get theirs; the tile becomes usable T cycles after
    its last row, and rows that are not transposed wait until then.

    Latency: a row is written one cycle after it is taken, and usable (`frontier`) in the next. Throughput: one row per cycle.

    Parameters
    ----------
    tile, width : T and the bits of a value
    slots : tiles held

    Members
    -------
    i : In(stream(row_beat)), one row per beat
    progress : In(ring_position) per lane, the oldest place still needed; it never passes `frontier`
    frontier : Out(ring_position), the first place that is not usable
    writes : Out(column_write) per column
    """

    def __init__(self, *, tile, width, slots):
        self._tile, self._width, self._slots = tile, width, slots
        self._position = ring_position(tile, 1, slots)
        super().__init__({
            "i": In(stream.Signature(row_beat(tile, width, 1))),
            "progress": In(self._position).array(tile),
            "frontier": Out(self._position),
            "writes": Out(column_write(width, slots * tile)).array(tile),
        })

    def elaborate(self, platform):
        m = Module()
        i, transpose = self.i, self.i.p.transpose
        end, last = Signal(self._position), self._tile - 1  # Place of the row taken next.
        take, across, settled = Signal(), Signal(), Signal()
        left = [Signal(range(self._tile + 1), name=f"left_{c}") for c in range(self._tile)]

        # The column that got its values last is the last to write them.
        m.d.comb += [
            settled.eq(~(across & left[-1].any())),
            i.ready.eq((transpose | settled) & Cat(passed(end, needed, ~transpose) for needed in self.progress).all()),
            take.eq(i.valid & i.ready),
        ]
        with m.If(take):
            m.d.sync += across.eq(transpose)
            advance(m, end, end.group == last, self._slots)
        for c, write in enumerate(self.writes):
            self._column(m, c, write, left[c], take & (~transpose | (end.group == c)), end)
        with m.If(across):
            with m.If(left[-1] == 1):
                advance(m, self.frontier, 1, self._slots)
        with m.Elif(left[-1].any()):
            advance(m, self.frontier, self.frontier.group == last, self._slots)
        return m

    def _column(self, m, c, write, left, load, end):
        """Write one value of the row taken, or all of them in turn."""
        row, transpose, bits = self.i.p.rows[0], self.i.p.transpose, self._width + 1
        elements = [Cat(value, mask) for value, mask in zip(row, self.i.p.mask[0], strict=True)]
        waiting = [Signal(bits, name=f"element_{c}_{k}", reset_less=True) for k in range(self._tile)]
        place = Signal.like(write.row, name=f"place_{c}", reset_less=True)
        m.d.comb += [write.enable.eq(left.any()), write.row.eq(place), Cat(write.value, write.mask).eq(waiting[0])]
        m.d.sync += [here.eq(after) for here, after in zip(waiting, waiting[1:], strict=False)]
        with m.If(load):
            m.d.sync += [
                left.eq(Mux(transpose, self._tile, 1)), place.eq(Cat(Mux(transpose, 0, end.group), end.slot)),
                waiting[0].eq(Mux(transpose, elements[0], elements[c])),
                *(waiting[k].eq(elements[k]) for k in range(1, self._tile)),
            ]
        with m.Elif(left.any()):
            m.d.sync += [left.eq(left - 1), place.eq(place + 1)]
