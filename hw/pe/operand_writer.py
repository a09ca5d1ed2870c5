"""The tiles of B for MACs that each keep their own copy: a ring of tile slots, written column by column."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..layout import row_beat
from .ring import advance, passed, ring_position

__all__ = ["OperandWriter", "column_write"]


def column_write(width, rows):
    """A write to the copies of a column of B: `value` to row `row` (slot * T + k), with `enable`."""
    return data.StructLayout({"value": width, "row": range(rows), "enable": 1})


class OperandWriter(wiring.Component):
    """What `OperandSlots` does for a shared operand whose rows come one by one, with its values in RAM at the MACs.

    A RAM takes one value per cycle. A row has one for every column. A row of a transposed tile has T for a single column,
    which writes them in the T cycles that follow, while the next columns get theirs; the tile becomes usable T cycles after
    its last row, and rows that are not transposed wait until then. Masks are registers.

    Latency: a row is usable (`frontier`) one cycle after it is taken, and written one cycle later still: the MACs read two
    cycles after that at the earliest. Throughput: one row per cycle.

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
    masks : Out, word ``slot * T + r`` of T bits is the mask of row r
    """

    def __init__(self, *, tile, width, slots):
        self._tile, self._width, self._slots = tile, width, slots
        self._position = ring_position(tile, 1, slots)
        super().__init__({
            "i": In(stream.Signature(row_beat(tile, width, 1))),
            "progress": In(self._position).array(tile),
            "frontier": Out(self._position),
            "writes": Out(column_write(width, slots * tile)).array(tile),
            "masks": Out(slots * tile * tile),
        })

    def elaborate(self, platform):
        m = Module()
        tile, i, transpose = self._tile, self.i, self.i.p.transpose
        end = Signal(self._position)  # Of the row taken next.
        take, across, settled = Signal(), Signal(), Signal()
        last = end.group == tile - 1
        left = [Signal(range(tile + 1), name=f"left_{c}") for c in range(tile)]

        # The column that got its values last is the last to write them.
        m.d.comb += [
            settled.eq(~(across & left[-1].any())),
            i.ready.eq((transpose | settled) & Cat(passed(end, needed, ~transpose) for needed in self.progress).all()),
            take.eq(i.valid & i.ready),
        ]
        with m.If(take):
            m.d.sync += across.eq(transpose)
            advance(m, end, last, self._slots)

        for c, write in enumerate(self.writes):
            self._column(m, c, write, left[c], take & (~transpose | (end.group == c)), end)
        self._masks(m, take, end)

        with m.If(take & ~transpose):
            advance(m, self.frontier, last, self._slots)
        with m.Elif(across & (left[-1] == 1)):
            advance(m, self.frontier, 1, self._slots)
        return m

    def _column(self, m, c, write, left, load, end):
        """Write one value of the row taken, or all of them in turn."""
        row, transpose = self.i.p.rows[0], self.i.p.transpose
        values = [Signal(self._width, name=f"value_{c}_{k}", reset_less=True) for k in range(self._tile)]
        place = Signal.like(write.row, name=f"place_{c}", reset_less=True)
        m.d.comb += [write.enable.eq(left.any()), write.row.eq(place), write.value.eq(values[0])]
        m.d.sync += [here.eq(after) for here, after in zip(values, values[1:], strict=False)]
        with m.If(load):
            m.d.sync += [
                left.eq(Mux(transpose, self._tile, 1)), place.eq(Cat(Mux(transpose, 0, end.group), end.slot)),
                values[0].eq(Mux(transpose, row[0], row[c])), *(values[k].eq(row[k]) for k in range(1, self._tile)),
            ]
        with m.Elif(left.any()):
            m.d.sync += [left.eq(left - 1), place.eq(place + 1)]

    def _masks(self, m, take, end):
        tile, mask, transpose = self._tile, self.i.p.mask[0], self.i.p.transpose
        for slot in range(self._slots):
            enables = Signal(tile, name=f"enable_{slot}")
            m.d.comb += enables.eq(Mux(take & (end.slot == slot), 1 << end.group, 0))
            for r in range(tile):
                for c in range(tile):
                    bit = Signal(name=f"mask_{slot}_{r}_{c}", reset_less=True)
                    with m.If(Mux(transpose, enables[c], enables[r])):
                        m.d.sync += bit.eq(Mux(transpose, mask[r], mask[c]))
                    m.d.comb += self.masks[(slot * tile + r) * tile + c].eq(bit)
