"""The operand tiles that a PE works on: a ring of tile slots, written by rows or columns, read everywhere at once."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..arithmetic import popcount
from ..layout import row_beat
from .ring import next_slot, passed, ring_position

__all__ = ["OperandSlots"]


class OperandSlots(wiring.Component):
    """`slots` tiles in registers. Groups of rows are written in order, around the ring, as soon as nobody needs what
    they overwrite; readers see every element at once and follow the writer through `frontier`.

    A shared operand (B) is read in full by every lane, in order of its rows: a group is overwritten when all lanes
    are past it. It may be written transposed: then each group of rows of the stream becomes columns, the whole slot must be
    free first, and nothing of it is usable before it is complete. A private operand (A) has one lane per row: a group is
    overwritten when the lanes of its rows are past the tile. A beat may bring several of its groups; those whose places are
    free are written while the others wait.

    Latency: one cycle from a beat to `values`, `masks` and `frontier`. Throughput: one beat per cycle. `i.ready` depends on
    `progress` and ``i.payload.transpose`` combinationally.

    Parameters
    ----------
    tile, width : T and the bits of a value
    rows_per_beat : rows per beat of the input
    group_rows : rows that are written, and become usable, together; those of a beat if `shared`
    slots : tiles held
    shared : B (True) or A (False)

    Members
    -------
    i : In(stream(row_beat))
    progress : In(ring_position) per lane, the oldest place still needed; it never passes `frontier`
    frontier : Out(ring_position), the place written next
    partial : Out(1), the groups before `frontier` in its slot are usable rows (not while a transposed tile is written)
    values : Out, word ``(x * slots + slot) * T + y`` is element (row x, column y) of A, and (row y, column x) of B: lane
        by lane, and column by column. Plain bits: Amaranth names every field of a structured port in every module
    masks : Out, word ``slot * T + r`` of T bits is the mask of row r
    """

    def __init__(self, *, tile, width, rows_per_beat, group_rows, slots, shared):
        if rows_per_beat % group_rows or (shared and rows_per_beat != group_rows):
            raise ValueError(f"group_rows = {group_rows}: a beat of {rows_per_beat} rows is whole groups, one if shared")
        self._tile, self._width, self._slots, self._shared = tile, width, slots, shared
        self._beat_rows, self._rows, self._parts = rows_per_beat, group_rows, rows_per_beat // group_rows
        position = ring_position(tile, group_rows, slots)
        super().__init__({
            "i": In(stream.Signature(row_beat(tile, width, rows_per_beat))),
            "progress": In(position).array(tile),
            "frontier": Out(position),
            "partial": Out(1),
            "values": Out(slots * tile * tile * width),
            "masks": Out(slots * tile * tile),
        })

    def elaborate(self, platform):
        m = Module()
        i, end = self.i, self.frontier
        groups = self._tile // self._rows
        transpose = Signal()
        transposing = Signal(reset_less=True)
        writes = Signal(self._parts)
        done = self._done(m, transpose)
        place, part = self._split(end.group)
        m.d.comb += [
            transpose.eq(i.p.transpose if self._shared else 0),
            i.ready.eq(done[-1]),
            writes.eq(Cat(i.valid & done[n] & (part <= n) for n in range(self._parts))),
            self.partial.eq(~transposing),
        ]
        with m.If(writes.any()):
            m.d.sync += [end.group.eq(end.group + popcount(writes)), transposing.eq(transpose)]
            with m.If(i.ready & (place == groups // self._parts - 1)):
                m.d.sync += [end.group.eq(0), transposing.eq(0)]
                next_slot(m, end, self._slots)

        # The same rows for all slots: as they come, or gathered from one column each.
        rows = [Signal(self._tile * (self._width + 1), name=f"row_{r}") for r in range(self._tile)]
        for r, row in enumerate(rows):
            straight = Cat(self._element(r, c) for c in range(self._tile))
            across = Cat(self._element(c, r) for c in range(self._tile))
            m.d.comb += row.eq(Mux(transpose, across, straight) if self._shared else straight)
        for slot in range(self._slots):
            enables = Signal(groups, name=f"enable_{slot}")
            for g in range(groups):
                here = (end.slot == slot) & (place == g // self._parts)
                m.d.comb += enables[g].eq(writes[g % self._parts] & here)
            for r, row in enumerate(rows):
                self._store(m, slot, r, row, enables, transpose)
        return m

    def _element(self, r, c):
        return Cat(self.i.p.rows[r % self._beat_rows][c], self.i.p.mask[r % self._beat_rows][c])

    def _split(self, group):
        """Number of the beat in its tile, and of the group in its beat."""
        bits = (self._parts - 1).bit_length()
        return group[bits:], group[:bits]

    def _done(self, m, transpose):
        """Per group of the beat: it and those before it are written, or their places are not needed any more."""
        end = self.frontier
        place, part = self._split(end.group)
        free = Signal(self._tile)
        for lane, needed in enumerate(self.progress):
            past = passed(end, needed, ~transpose if self._shared else 0)
            m.d.comb += free[lane].eq(past if self._shared else past | (place != lane // self._beat_rows))
        done = Signal(self._parts)
        for n in range(self._parts):
            lanes = range(self._tile) if self._shared else [
                lane for lane in range(self._tile) if lane // self._rows % self._parts == n]
            ready = (part > n) | Cat(free[lane] for lane in lanes).all()
            m.d.comb += done[n].eq(ready & done[n - 1] if n else ready)
        return done

    def _store(self, m, slot, r, row, enables, transpose):
        """Row r of a slot, in pieces that are written together whichever way the tile lies."""
        tile, bits = self._tile, self._width + 1
        for first in range(0, tile, self._rows):
            piece = Signal(self._rows * bits, name=f"piece_{slot}_{r}_{first}", reset_less=True)
            along = enables[r // self._rows]
            enable = Mux(transpose, enables[first // self._rows], along) if self._shared else along
            with m.If(enable):
                m.d.sync += piece.eq(row[first * bits:(first + self._rows) * bits])
            for c in range(first, first + self._rows):
                element = piece[(c - first) * bits:(c - first + 1) * bits]
                x, y = (c, r) if self._shared else (r, c)
                m.d.comb += [
                    self.values.word_select((x * self._slots + slot) * tile + y, self._width).eq(element[:-1]),
                    self.masks[(slot * tile + r) * tile + c].eq(element[-1]),
                ]
