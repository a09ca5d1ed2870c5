"""From dense rows to a packed tile: the non-zero values of T rows, as writes into a tile buffer."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..arithmetic import popcount
from ..layout import line_layout, tile_write
from ..spec.widths import SLOT_BITS
from ..streams.butterfly import prefix_counts
from ..streams.skid_buffer import skidded

__all__ = ["Compressor"]


class Compressor(wiring.Component):
    """Pack the non-zero values of each tile row-major, `lines_per_write` lines a write, the mask with the last write.

    Packed line n goes to word ``n // lines_per_beat``, line ``n % lines_per_beat``. A write waits for its lines in
    registers; narrow writes take fewer of them, wide ones fewer turns at the buffer. The last row writes what is left, its
    line filled with zeros, with ``last``; if nothing is left, as in an all-zero tile, with ``line_enable = 0``. A last row
    that fills a line and leaves a remainder makes two lines.

    One row per cycle, except for that second line; a write is at the output two cycles after the row that caused it.
    While a write that is not the last of its tile waits, rows that fill no line still enter. The only combinational
    path between the ports is ``o.ready`` to ``i.ready``, a few gates; with a `skid` buffer there is none.

    One butterfly of log2(T) stages both closes the gaps and rotates to the fill level of the line: stage s sets bit s
    of every value's position. Two values meet nowhere: those within the same 2**(s+1) positions have destinations that
    differ by less than 2**(s+1), so the bits already set tell them apart.

    Parameters
    ----------
    tile : T, a power of two
    width : bits of a value
    lines_per_beat : lines in a buffer word, a power of two up to T
    lines_per_write : lines collected for a write, a power of two up to `lines_per_beat`, which is the default
    skid : whether a write that is refused waits in a skid buffer

    Members
    -------
    i : In(stream), ``row`` of T values, ``last`` on row T-1, ``slot`` the same on all rows of a tile
    o : Out(stream(tile_write)), registered, or behind the skid buffer; lines that ``line_enable`` does not name are
        undefined; ``mask`` is zero without ``last``

    Raises
    ------
    ValueError : for sizes that are not powers of two, or out of order
    """

    def __init__(self, *, tile, width, lines_per_beat, lines_per_write=None, skid=False):
        lines_per_write = lines_per_beat if lines_per_write is None else lines_per_write
        sizes = {"tile": tile, "lines_per_beat": lines_per_beat, "lines_per_write": lines_per_write}
        for name, value in sizes.items():
            if value < 1 or value & (value - 1):
                raise ValueError(f"{name} = {value}: must be a power of two")
        if not lines_per_beat <= tile >= 2:
            raise ValueError(f"tile = {tile}: must be at least 2 and at least lines_per_beat = {lines_per_beat}")
        if lines_per_write > lines_per_beat:
            raise ValueError(f"lines_per_write = {lines_per_write}: at most lines_per_beat = {lines_per_beat}")
        self._tile, self._width = tile, width
        self._lines_per_beat, self._lines_per_write, self._skid = lines_per_beat, lines_per_write, skid
        self._level = tile.bit_length() - 1
        super().__init__({
            "i": In(stream.Signature(data.StructLayout({
                "row": line_layout(tile, width), "slot": SLOT_BITS, "last": 1,
            }))),
            "o": Out(stream.Signature(tile_write(tile, width, lines_per_beat))),
        })

    def elaborate(self, platform):
        m = Module()
        tile, level, o = self._tile, self._level, self._output(m)

        valid, done = Signal(name="row_valid"), Signal(name="row_done")
        row, mask, count = self._take(m, valid, done)

        # The row fills the line up to `rest` of the next one, or ends the tile, or both in two steps.
        fill, flush, last = Signal(level), Signal(), Signal()
        total = Signal(level + 1)
        full, rest = total[level], total[:level]
        emits, split, go = Signal(), Signal(), Signal()
        m.d.comb += [
            total.eq(fill + count),
            emits.eq(full | row.last | flush),
            split.eq(full & rest.any() & row.last & ~flush),
            go.eq(valid & (~o.valid | o.ready | ~(emits | last))),
            done.eq(go & ~split),
        ]
        number, mask_rows = Signal(level), Signal(tile * tile, reset_less=True)
        with m.If(go):
            m.d.sync += [flush.eq(split), fill.eq(rest), number.eq(number + full)]
        with m.If(done):
            m.d.sync += mask_rows.eq(Cat(mask_rows[tile:], mask))
            with m.If(row.last):
                m.d.sync += [fill.eq(0), number.eq(0)]

        # Values go behind those already in the line; what wraps round belongs to the next line.
        below, _ = prefix_counts(list(mask), level)
        placed = self._butterfly(m, row.row, mask, [(fill + rank)[:level] for rank in below])
        line = Signal(line_layout(tile, self._width), reset_less=True)
        merged = Signal.like(line, name="merged")
        for p in range(tile):
            held = Signal(name=f"held_{p}")
            m.d.comb += [held.eq((p < fill) | flush), merged[p].eq(Mux(held, line[p], placed[p]))]
            with m.If(go):
                m.d.sync += line[p].eq(Mux(full, Mux(held, placed[p], 0), merged[p]))

        with m.If(o.ready):
            m.d.sync += o.valid.eq(0)
        with m.If(go & emits):
            m.d.sync += last.eq(row.last & ~split)
        self._write(m, o, go & emits, merged, number, total.any() | flush, row.last & ~split, row.slot)
        m.d.comb += [o.payload.last.eq(last), o.payload.mask.eq(Mux(last, mask_rows, 0))]
        return m

    def _output(self, m):
        """The stream of collected lines that becomes `o`."""
        count, write = self._lines_per_write, self.o.payload
        shape = data.StructLayout({
            "lines": data.ArrayLayout(line_layout(self._tile, self._width), count), "enable": count,
            "group": range(self._lines_per_beat // count),
            **{name: len(write[name]) for name in ("index", "slot", "mask", "last")},
        })
        collected = stream.Signature(shape).create(path=("collected",))
        written = skidded(m, collected, self._skid)
        lines, p = self._lines_per_beat, written.payload
        m.d.comb += [
            self.o.valid.eq(written.valid), written.ready.eq(self.o.ready),
            *(write[name].eq(p[name]) for name in ("index", "slot", "mask", "last")),
            *(write.line_enable[n].eq(p.enable[n % count] & (p.group == n // count)) for n in range(lines)),
            *(write.lines[n].eq(p.lines[n % count]) for n in range(lines)),
        ]
        return collected

    def _take(self, m, valid, done):
        """Take a row into a register when that is free or `done`; returns it, its mask, and its number of non-zeros."""
        row = Signal.like(self.i.payload, name="row", reset_less=True)
        mask = Signal(self._tile, name="row_mask", reset_less=True)
        count = Signal(range(self._tile + 1), name="row_count", reset_less=True)
        nonzero = Signal(self._tile)
        m.d.comb += [
            nonzero.eq(Cat(self.i.payload.row[c].any() for c in range(self._tile))),
            self.i.ready.eq(~valid | done),
        ]
        with m.If(self.i.ready):
            m.d.sync += valid.eq(self.i.valid)
        with m.If(self.i.ready & self.i.valid):
            m.d.sync += [row.eq(self.i.payload), mask.eq(nonzero), count.eq(popcount(nonzero))]
        return row, mask, count

    def _write(self, m, o, load, line, number, some, ends, slot):
        """Collect packed line `number`, if there is `some` value in it; written when all are there or the tile ends."""
        count = self._lines_per_write
        bits, beat_bits = (count - 1).bit_length(), (self._lines_per_beat - 1).bit_length()
        place = number[:bits]
        word = Signal(data.StructLayout({
            name: o.payload[name].shape() for name in ("lines", "enable", "group", "index", "slot")}), reset_less=True)
        with m.If(load):
            m.d.sync += [
                o.valid.eq(ends | place.all()),
                word.enable.eq(Mux(place.any(), word.enable, 0) | (some << place)),
                word.group.eq(number[bits:beat_bits]), word.index.eq(number[beat_bits:]), word.slot.eq(slot),
            ]
            for n in range(count):
                with m.If(place == n):
                    m.d.sync += word.lines[n].eq(line)
        m.d.comb += [o.payload[name].eq(word[name]) for name in word.shape().members]

    def _butterfly(self, m, row, mask, targets):
        """Move each value that `mask` marks to its target position; zeros elsewhere."""
        values, marks = [row[c] for c in range(self._tile)], list(mask)
        for s in range(self._level):
            placed = Signal(line_layout(self._tile, self._width), name=f"placed_{s}")
            moved_marks = Signal(self._tile, name=f"placed_mask_{s}")
            moved_targets = [Signal(self._level, name=f"target_{s}_{p}") for p in range(self._tile)]
            for p in range(self._tile):
                if p >> s & 1:
                    continue
                pair = (p, p | 1 << s)
                cross = Signal(name=f"cross_{s}_{p}")
                m.d.comb += cross.eq((marks[pair[0]] & targets[pair[0]][s]) | (marks[pair[1]] & ~targets[pair[1]][s]))
                for here, there in (pair, pair[::-1]):
                    m.d.comb += [
                        placed[here].eq(Mux(cross, values[there], values[here])),
                        moved_marks[here].eq(Mux(cross, marks[there], marks[here])),
                        moved_targets[here].eq(Mux(cross, targets[there], targets[here])),
                    ]
            values, marks, targets = [placed[p] for p in range(self._tile)], list(moved_marks), moved_targets
        return values
