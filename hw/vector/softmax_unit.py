"""Row softmax over a tile row, T values per cycle: the gates of `sw.golden.softmax.softmax`."""

from functools import reduce
from itertools import combinations
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..arithmetic import tree_sum
from ..layout import tile_beat, tile_write
from ..post_process.compressor import Compressor
from ..spec.exponential import ARGUMENT_FRAC
from ..spec.softmax import x_shifts
from ..spec.widths import SLOT_BITS
from ..streams.stream_queue import StreamQueue
from .row_expander import RowExpander
from .softmax_column import FLOOR_BITS, SHIFT_BITS, SoftmaxColumn
from .softmax_requester import SoftmaxRequester
from .softmax_rows import SoftmaxRows
from .softmax_sequencer import SoftmaxSequencer

__all__ = ["SoftmaxUnit", "softmax_command"]


def softmax_command(width):
    """The softmax of one tile row: tiles ``x_slot ..`` to tiles ``o_slot ..``, `columns` of each.

    Columns (elements) from `valid_columns` on become zero. Scores are base-2 logarithms, which `x_shift` brings to 16
    fraction bits.
    """
    return data.StructLayout({
        "x_slot": SLOT_BITS,
        "o_slot": SLOT_BITS,
        "columns": 12,
        "valid_columns": 16,
        "x_shift": SHIFT_BITS,
        "o_frac": 5,
        "tau": width - 1,
    })


class SoftmaxUnit(wiring.Component):
    """Two passes over the tiles of a tile row: maximum and sum, then the probabilities.

    Both passes go through the same columns (`SoftmaxColumn`), which raise 2 to the score, less maximum and logarithm of
    the sum in the second pass. The logarithms follow the sums in a pipeline of their own (`SoftmaxRows`).
    One enable moves everything; it waits only while two rows do, for the compressor.

    Throughput: one row per cycle in each pass, if tiles arrive; the first pass ends with the last tile that has a valid
    column. Between the passes there are `bubbles` idle cycles (0 for tile 16, 4 for tile 8), between commands none: the
    next command's tiles are asked for, and its first pass runs, while the second pass of this one drains. Latency of a
    row of the second pass: five cycles, expander and compressor not counted. No combinational path from `o.ready` to
    any other port.

    Parameters
    ----------
    tile, width, lines_per_beat : T, bits of a value, packed lines per beat

    Members
    -------
    command : In(stream(softmax_command)); columns, valid_columns >= 1, x_shift <= 26 - width, o_frac <= width - 2
    x_request : Out(stream(SLOT_BITS)), at most four tiles ahead; may name tiles of the next command before `done`
    x : In(stream(tile_beat)), the tiles, in the order of the requests
    o : Out(stream(tile_write))
    done : Out(1), high for one cycle after the last write of a command was accepted
    busy : Out(1), a command is in the unit
    """

    def __init__(self, *, tile, width, lines_per_beat):
        self._tile, self._width, self._lines_per_beat = tile, width, lines_per_beat
        self.bubbles = max(0, SoftmaxRows.turnaround - tile)
        super().__init__({
            "command": In(stream.Signature(softmax_command(width))),
            "x_request": Out(stream.Signature(SLOT_BITS)),
            "x": In(stream.Signature(tile_beat(tile, width, lines_per_beat))),
            "o": Out(stream.Signature(tile_write(tile, width, lines_per_beat))),
            "done": Out(1),
            "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        tile, width = self._tile, self._width
        m.submodules.expander = expander = RowExpander(
            tile=tile, width=width, lines_per_beat=self._lines_per_beat)
        m.submodules.compressor = compressor = Compressor(
            tile=tile, width=width, lines_per_beat=self._lines_per_beat, lines_per_write=1, skid=True)
        m.submodules.results = results = StreamQueue(shape=compressor.i.payload.shape(), depth=2)
        m.submodules.rows = rows = SoftmaxRows(tile=tile)
        columns = []
        for n in range(tile):
            m.submodules[f"column_{n}"] = column = SoftmaxColumn(width=width)
            columns.append(column)
        enable = Signal()
        m.d.comb += [part.enable.eq(enable) for part in (rows, *columns)]
        connect(m, flipped(self.x), expander.i)

        sequencer, current = self._commands(m, enable, expander.finished)
        unwritten, bound, o_frac, o_slot = self._output_command(m, sequencer, current, results.i)

        # Stage 1: a row and its label enter.
        label = {"row": sequencer.row, "first": sequencer.first, "final": sequencer.final, "mask": sequencer.mask,
                 "last": sequencer.last, "second": sequencer.second & sequencer.step,
                 "update": ~sequencer.second & sequencer.step}
        stages = [label]
        for stage in range(1, 5):
            stages.append({name: self._register(m, enable, f"{name}_{stage}", value)
                           for name, value in stages[-1].items()})
        m.d.comb += [
            expander.o.ready.eq(enable & sequencer.open),
            sequencer.step.eq(expander.o.valid & expander.o.ready),
        ]
        x_shift = self._register(m, enable, "x_shift_1", current.x_shift)
        for n, column in enumerate(columns):
            m.d.comb += [
                column.x.eq(self._register(m, enable, f"x_{n}", expander.o.payload[n])),
                column.x_shift.eq(x_shift),
                column.masked.eq(~stages[3]["mask"][n]),
                column.reference.eq(rows.reference),
                column.offset.eq(rows.offset),
            ]

        # Stages 1 and 2: the maximum of the row's part, found as if shifted by the most, and the row's state.
        most = x_shifts(width)[-1]
        less = self._register(m, enable, "less_1", (most - current.x_shift)[:most.bit_length()])
        tops = [Cat(Const(0, most), column.x)[ARGUMENT_FRAC:].as_signed() for column in columns]
        lowest = -(1 << (FLOOR_BITS - 1))
        highest = self._highest(m, [Mux(stages[1]["mask"][n], top, lowest) for n, top in enumerate(tops)])
        m.d.comb += [
            rows.highest.eq(self._register(m, enable, "highest_2", highest >> less)),
            rows.read_row.eq(sequencer.row),
            rows.read_second.eq(sequencer.second),
            rows.next_row.eq(stages[1]["row"]),
            rows.o_frac.eq(o_frac),
            *(getattr(rows, name).eq(stages[2][name]) for name in ("row", "update", "second", "first", "final")),
        ]

        # Stage 5: the sum of the first pass, and the rounded and pruned result of the second, in a queue of its own.
        total = tree_sum(column.o for column in columns)
        m.d.comb += rows.total.eq(self._register(m, enable, "total_5", total))
        for n, column in enumerate(columns):
            rounded = Signal(width - 1, name=f"rounded_{n}")
            m.d.comb += [
                rounded.eq((column.o[:width] + 1) >> 1),
                results.i.payload.row[n].eq(Mux(column.o[:width] < bound, 0, rounded)),
            ]
        m.d.comb += [
            results.i.valid.eq(stages[4]["second"]),
            results.i.payload.last.eq(stages[4]["last"]),
            results.i.payload.slot.eq(o_slot),
            enable.eq(~results.i.valid | results.i.ready),
            self.busy.eq(sequencer.busy | ~self.command.ready | (unwritten != 0)),
        ]
        connect(m, results.o, compressor.i)
        connect(m, compressor.o, flipped(self.o))
        return m

    def _commands(self, m, enable, finished):
        """Requests start with a command, its rows when the sequencer is free; returns (sequencer, its command)."""
        m.submodules.requester = requester = SoftmaxRequester(tile=self._tile)
        m.submodules.sequencer = sequencer = SoftmaxSequencer(tile=self._tile, bubbles=self.bubbles)
        following = Signal.like(self.command.payload, name="following", reset_less=True)
        current = Signal.like(self.command.payload, name="current", reset_less=True)
        waiting, received = Signal(), Signal()
        command = self.command
        m.d.sync += received.eq(finished)
        m.d.comb += [
            command.ready.eq(requester.ready & ~waiting),
            requester.start.eq(command.valid & command.ready),
            requester.slot.eq(command.payload.x_slot),
            requester.columns.eq(command.payload.columns),
            requester.valid_columns.eq(command.payload.valid_columns),
            requester.received.eq(received),
            sequencer.enable.eq(enable),
            sequencer.start.eq(waiting),
            sequencer.columns.eq(following.columns),
            sequencer.valid_columns.eq(following.valid_columns),
        ]
        connect(m, requester.o, flipped(self.x_request))
        with m.If(waiting & sequencer.ready):
            m.d.sync += [waiting.eq(0), current.eq(following)]
        with m.If(requester.start):
            m.d.sync += [waiting.eq(1), following.eq(command.payload)]
        return sequencer, current

    def _output_command(self, m, sequencer, current, result):
        """What the late stages need; taken over as the second pass begins, which waits for the previous writes.

        ``(x + 1) >> 1 < tau`` is ``x < 2 * tau - 1``: the bound is compared with what is not rounded yet.
        """
        unwritten, bound = Signal(12), Signal(self._width, reset_less=True)
        o_frac, o_slot = (Signal.like(field, name=name, reset_less=True)
                          for name, field in (("o_frac", current.o_frac), ("o_slot", current.o_slot)))
        last_write = self.o.valid & self.o.ready & self.o.payload.last
        m.d.comb += sequencer.drained.eq(unwritten == 0)
        m.d.sync += self.done.eq(last_write & (unwritten == 1))
        with m.If(last_write):
            m.d.sync += unwritten.eq(unwritten - 1)
        with m.If(result.valid & result.ready & result.payload.last):
            m.d.sync += o_slot.eq(o_slot + 1)
        with m.If(sequencer.step & sequencer.begin):
            m.d.sync += [
                unwritten.eq(current.columns),
                bound.eq(Mux(current.tau == 0, 0, Cat(1, current.tau - 1))),
                o_frac.eq(current.o_frac), o_slot.eq(current.o_slot),
            ]
        return unwritten, bound, o_frac, o_slot

    def _highest(self, m, values):
        """Signed maximum, as a tree of groups of four of which all pairs are compared at once."""
        level = 0
        while len(values) > 1:
            winners = []
            for start in range(0, len(values), 4):
                group = values[start:start + 4]
                wins = [Signal(len(group), name=f"wins_{level}_{start + n}") for n in range(len(group))]
                for a, b in combinations(range(len(group)), 2):
                    m.d.comb += [wins[a][b].eq(group[a] >= group[b]), wins[b][a].eq(~wins[a][b])]
                m.d.comb += [win[n].eq(1) for n, win in enumerate(wins)]
                chosen = (Mux(win.all(), value, 0) for win, value in zip(wins, group, strict=True))
                winner = Signal.like(values[0], name=f"highest_{level}_{start}")
                m.d.comb += winner.eq(reduce(or_, chosen))
                winners.append(winner)
            values, level = winners, level + 1
        return values[0]

    @staticmethod
    def _register(m, enable, name, value):
        register = Signal.like(value, name=name)
        with m.If(enable):
            m.d.sync += register.eq(value)
        return register
