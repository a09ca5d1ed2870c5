"""Packed tiles to rows with their zeros in place."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..arithmetic import popcount
from ..layout import row_beat, tile_beat
from ..streams.butterfly import crossings, prefix_counts, spread

__all__ = ["Expander"]


class Expander(wiring.Component):
    """Unpacks a stream of packed tiles into a stream of rows.

    The packed values of a tile lie in a ring of ``2 * max(lines_per_beat, rows_per_beat)`` lines. Per beat of rows, the
    ring is folded to the ``rows_per_beat * tile`` values from its head on (in cyclic order), and an inverse butterfly
    network of ``log2(rows_per_beat * tile)`` two-way stages spreads them over the positions whose mask bit is set: every
    position knows the address of its value, the head plus the ones below it.

    Latency: two cycles from the last beat that a row needs to that row. Throughput: one beat of rows per cycle as long
    as lines arrive, without a bubble between tiles. `i.ready` depends on `o.ready` combinationally.

    Parameters
    ----------
    tile : T, a power of two
    width : bits of a value
    lines_per_beat, rows_per_beat : powers of two; any combination

    Members
    -------
    i : In(stream(tile_beat)), packed tiles; a set mask bit may stand for a value of zero
    o : Out(stream(row_beat)), ``tile / rows_per_beat`` beats per tile; positions without mask bit are zero
    """

    def __init__(self, *, tile, width, lines_per_beat, rows_per_beat):
        for name, value in (("tile", tile), ("lines_per_beat", lines_per_beat), ("rows_per_beat", rows_per_beat)):
            if value < 1 or value & (value - 1):
                raise ValueError(f"{name} = {value}: must be a power of two")
        if max(lines_per_beat, rows_per_beat) > tile:
            raise ValueError("lines_per_beat and rows_per_beat: at most tile")
        self.tile, self.width = tile, width
        self.lines_per_beat, self.rows_per_beat = lines_per_beat, rows_per_beat
        super().__init__({
            "i": In(stream.Signature(tile_beat(tile, width, lines_per_beat))),
            "o": Out(stream.Signature(row_beat(tile, width, rows_per_beat))),
        })

    latency = 2

    def elaborate(self, _platform):
        m = Module()
        size = self.rows_per_beat * self.tile
        lines = 2 * max(self.lines_per_beat, self.rows_per_beat)
        ring = Array(Signal(self.tile * self.width, name=f"line_{n}", reset_less=True) for n in range(lines))

        issue = Signal()
        head, mask, counts, flags = self._control(m, issue, ring)

        # Stage 1: the values from the head on, at their address modulo `size`, and the address each position wants.
        folded = [Signal(self.width, name=f"folded_{n}", reset_less=True) for n in range(size)]
        wanted = [Signal(range(size), name=f"wanted_{n}", reset_less=True) for n in range(size)]
        present = Signal(size, reset_less=True)
        base = head[: len(wanted[0])]
        below = [(sum(counts[:row], base) + ones)[:len(base)] for row in range(self.rows_per_beat)
                 for ones in prefix_counts(list(mask[row * self.tile:(row + 1) * self.tile]), len(base))[0]]
        stage_flags = Signal.like(flags, reset_less=True)
        valid = Signal()
        with m.If(~valid | self.o.ready):
            m.d.sync += valid.eq(issue)
        with m.If(issue):
            m.d.sync += [present.eq(mask), stage_flags.eq(flags)]
            for n in range(size):
                row, column = divmod(n, self.tile)
                groups = Array(ring[row + g].word_select(column, self.width)
                               for g in range(0, lines, self.rows_per_beat))
                group = Signal(range(len(groups)), name=f"group_{n}")
                m.d.comb += group.eq(head[len(base):] + (base > n))
                m.d.sync += [folded[n].eq(groups[group]), wanted[n].eq(below[n])]

        # Stage 2: spread.
        m.d.comb += [self.o.valid.eq(valid), Cat(self.o.p.first, self.o.p.last, self.o.p.transpose).eq(stage_flags)]
        for n, value in enumerate(spread(m, folded, crossings(m, wanted, list(present)))):
            row, column = divmod(n, self.tile)
            m.d.comb += [
                self.o.p.rows[row][column].eq(Mux(present[n], value, 0)),
                self.o.p.mask[row][column].eq(present[n]),
            ]
        return m

    def _control(self, m, issue, ring):
        """Fill the ring, keep the mask of the rows to come, and its ones by rows and by beats, counted as the tile arrives.

        Returns (head, mask and ones of the next rows, first/last/transpose).
        """
        i, o = self.i, self.o
        size = self.rows_per_beat * self.tile
        beat = self.lines_per_beat * self.tile
        capacity = len(ring) * self.tile
        groups = self.tile // self.rows_per_beat

        active, expect_first = Signal(), Signal(init=1)
        head = Signal(range(capacity))
        have, left = Signal(range(capacity + 1)), Signal(range(capacity + 1))
        write = Signal(range(max(2, len(ring) // self.lines_per_beat)))
        mask = Signal(self.tile**2, reset_less=True)
        counts = [Signal(range(self.tile + 1), name=f"count_{n}", reset_less=True) for n in range(self.tile)]
        needs = [Signal(range(size + 1), name=f"need_{n}", reset_less=True) for n in range(groups)]
        need = needs[0]
        group = Signal(range(max(2, groups)))
        transpose = Signal(reset_less=True)
        accept, finish = Signal(), Signal()
        enough, room, room_after = Signal(), Signal(), Signal()

        # `o.ready` comes late and passes on to `i.ready`: what that may be is there before.
        last_group = group == groups - 1
        m.d.comb += [
            enough.eq(active & (need <= have)),
            room.eq(Mux(expect_first, ~active, have <= capacity - beat)),
            room_after.eq(Mux(expect_first, last_group, have - need <= capacity - beat)),
            issue.eq(enough & (~o.valid | o.ready)),
            i.ready.eq(room | (room_after & issue)),
            finish.eq(issue & last_group),
            left.eq(have - Mux(issue, need, 0)),
            accept.eq(i.valid & i.ready),
        ]
        with m.If(issue):
            m.d.sync += mask.eq(mask >> size)
            m.d.sync += [here.eq(after) for here, after in zip(counts, counts[self.rows_per_beat:], strict=False)]
            m.d.sync += [here.eq(after) for here, after in zip(needs, needs[1:], strict=False)]
        with m.If(finish):
            m.d.sync += [active.eq(0), have.eq(0), head.eq(0), group.eq(0), write.eq(0)]
        with m.Elif(issue):
            m.d.sync += [have.eq(left), head.eq(head + need), group.eq(group + 1)]
        with m.If(accept):
            m.d.sync += [
                expect_first.eq(i.p.last),
                have.eq(Mux(expect_first, beat, left + beat)),
                write.eq(Mux(expect_first, 1, write + 1)),
            ]
            for n, line in enumerate(ring):
                place, source = divmod(n, self.lines_per_beat)
                with m.If(Mux(expect_first, 0, write) == place):
                    m.d.sync += line.eq(i.p.lines[source])
            with m.If(expect_first):
                m.d.sync += [active.eq(1), transpose.eq(i.p.transpose), mask.eq(i.p.mask)]
                for parts in (counts, needs):
                    bits = self.tile**2 // len(parts)
                    m.d.sync += [part.eq(popcount(i.p.mask[n * bits:(n + 1) * bits])) for n, part in enumerate(parts)]
        return head, mask[:size], counts[:self.rows_per_beat], Cat(group == 0, last_group, transpose)
