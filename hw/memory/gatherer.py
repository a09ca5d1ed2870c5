"""GATHER: rows of a table, by index, to tiles with full masks."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from ..layout import tile_write
from ..spec.error_codes import MemoryFault
from ..spec.widths import SLOT_BITS
from ..streams.stream_queue import StreamQueue
from .axi import beat_bits, read_beat, read_request
from .row_requester import RowRequester, gather_layout
from .tile_walk import AREA_REACH_BITS, area_layout

__all__ = ["Gatherer"]


class Gatherer(wiring.Component):
    """Reads indices, requests the table rows they name, and writes each row's lines into one line of a row of tiles.

    Row t goes to line ``t % T`` of tile row ``t // T``, its line j to tile column j; the T-th row of a tile row also
    writes the masks, all ones. Up to `rows_ahead` reads run ahead of the data, so the addresses of one instruction can
    be issued while the data of the one before arrive. A beat and a line per cycle; two cycles between rows, unless rows are
    whole beats: then they follow each other without a gap, up to the next indices or the next job.

    Parameters
    ----------
    tile, width, lines_per_beat : shape of tiles and writes
    bus_width : data bits
    activation_tiles : capacity
    rows_ahead : reads requested and not yet complete

    Members
    -------
    issue : In(stream(gather_layout)), not empty
    issued : Out(1), everything that was issued has been requested
    job : In(stream(area_layout)), the destination, held while it runs; taken when everything is written
    request : Out(stream(read_request))
    indices : In(stream(read_beat)), ready when the next beats are indices, which do not go through the gearbox
    segment, append, piece, close : the gearbox; all pieces are lines
    o : Out(stream(tile_write))
    error : Out(3), 0, or a MemoryFault of this job until reset; of indices that came ahead, once their own job begins
    """

    def __init__(self, *, tile, width, lines_per_beat, bus_width, activation_tiles, rows_ahead):
        self._tile = tile
        self._width = width
        self._lines_per_beat = lines_per_beat
        self._bus_width = bus_width
        self._activation_tiles = activation_tiles
        self._rows_ahead = rows_ahead
        super().__init__({
            "issue": In(stream.Signature(gather_layout(bus_width))),
            "issued": Out(1),
            "job": In(stream.Signature(area_layout())),
            "request": Out(stream.Signature(read_request(bus_width))),
            "indices": In(stream.Signature(read_beat(bus_width))),
            "segment": Out(stream.Signature(beat_bits(bus_width))),
            "append": Out(1),
            "piece": In(stream.Signature(tile * width)),
            "close": Out(1),
            "o": Out(stream.Signature(tile_write(tile, width, lines_per_beat))),
            "error": Out(3),
        })

    def elaborate(self, platform):
        m = Module()
        tag = data.StructLayout({"beats": beat_bits(self._bus_width), "index": 1, "ahead": 1})
        m.submodules.requester = requester = RowRequester(
            tile=self._tile, width=self._width, bus_width=self._bus_width)
        m.submodules.tags = tags = SyncFIFO(width=data.Layout.cast(tag).size, depth=self._rows_ahead)
        wiring.connect(m, wiring.flipped(self.issue), requester.job)

        # Every request leaves a note of what its data will be.
        asked, request = requester.o.payload, self.request
        m.d.comb += [
            request.payload.beat.eq(asked.beat),
            request.payload.beats.eq(asked.beats),
            request.valid.eq(requester.o.valid & tags.w_rdy),
            requester.o.ready.eq(request.ready & tags.w_rdy),
            tags.w_data.eq(Cat(asked.beats, asked.index, asked.ahead)),
            tags.w_en.eq(requester.o.valid & request.ready),
            self.issued.eq(requester.idle),
        ]
        expected = data.View(tag, tags.r_data)

        # Indices are only due between rows. Those that came with an error name row 0: no read goes astray.
        fault, spoiled = Signal(self.error.shape()), Signal(self.error.shape())
        m.d.comb += fault.eq(Mux(self.indices.payload.refused, MemoryFault.READ_WINDOW, MemoryFault.BUS_READ))
        row_begins, row_awaited = self._move_rows(m, expected.beats, tags.r_rdy & ~expected.index, spoiled)
        count, indices_end = Signal.like(expected.beats), Signal()
        with m.If(self.indices.valid & self.indices.ready & self.indices.payload.error):
            with m.If(expected.ahead):
                m.d.sync += spoiled.eq(fault)
            with m.Else():
                m.d.sync += self.error.eq(fault)
        m.d.comb += [
            self.indices.ready.eq(row_awaited & tags.r_rdy & expected.index),
            requester.indices.payload.eq(Mux(self.indices.payload.error, 0, self.indices.payload.data)),
            requester.indices.valid.eq(self.indices.valid & self.indices.ready),
            indices_end.eq(requester.indices.valid & (count == expected.beats - 1)),
        ]
        with m.If(requester.indices.valid):
            m.d.sync += count.eq(Mux(indices_end, 0, count + 1))
        m.d.comb += tags.r_en.eq(indices_end | row_begins)
        return m

    def _move_rows(self, m, beats, row_next, spoiled):
        """Lines from the gearbox into tiles; returns "the gearbox begins with a row" and "it waits for a row".

        `spoiled` is 0, or the fault with which the indices of the job that begins next came.
        """
        area, o, write = self.job.payload, self.o, self.o.payload
        tile, count = self._tile, self._lines_per_beat
        token, row = Signal(range(tile), reset_less=True), Signal(12, reset_less=True)
        row_slot, slot = Signal(AREA_REACH_BITS, reset_less=True), Signal(AREA_REACH_BITS, reset_less=True)
        column = Signal(16, reset_less=True)
        row_ends, row_begins, row_awaited = Signal(), Signal(), Signal()
        last_token, last_column = token == tile - 1, column == area.columns - 1
        last_row = last_token & (row == area.rows - 1)
        following, continues, ahead, whole = Signal(AREA_REACH_BITS), Signal(), Signal(), Signal()
        shape = data.StructLayout({"line": tile * self._width, "token": range(tile), "slot": SLOT_BITS})
        m.submodules.lines = lines = StreamQueue(shape=shape, depth=2)
        m.d.comb += [
            self.segment.payload.eq(beats),
            row_begins.eq(self.segment.valid & self.segment.ready),
            whole.eq((area.columns * (tile * self._width))[: (self._bus_width - 1).bit_length()] == 0),
            continues.eq(ahead | row_begins),
            self.close.eq(row_ends & ~continues),
            following.eq(row_slot + Mux(last_token, area.pitch, 0)),
        ]

        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [token.eq(0), row.eq(0), row_slot.eq(area.slot), ahead.eq(0)]
                with m.If(self.job.valid & (spoiled != 0)):
                    m.d.sync += self.error.eq(spoiled)
                    m.next = "FAILED"
                with m.Elif(self.job.valid):
                    m.next = "ROW"
            with m.State("ROW"):
                m.d.comb += [row_awaited.eq(1), self.segment.valid.eq(row_next)]
                m.d.sync += [slot.eq(row_slot), column.eq(0)]
                with m.If(row_begins):
                    m.next = "LINES"
            with m.State("LINES"):
                # Whole beats: the next row of the same job may follow without a gap.
                m.d.comb += [self.append.eq(whole & ~ahead & ~last_row), self.segment.valid.eq(self.append & row_next)]
                m.d.sync += ahead.eq(continues & ~row_ends)
                with m.If(slot >= self._activation_tiles):
                    m.d.sync += self.error.eq(MemoryFault.SLOT_RANGE)
                    m.next = "FAILED"
                with m.Elif(lines.i.ready):
                    m.d.comb += [self.piece.ready.eq(1), row_ends.eq(self.piece.valid & last_column)]
                    with m.If(self.piece.valid):
                        m.d.sync += [slot.eq(slot + 1), column.eq(column + 1)]
                with m.If(row_ends):
                    m.d.sync += [token.eq(token + 1), slot.eq(following), column.eq(0)]
                    with m.If(~continues):
                        m.next = "ROW"
                    with m.If(last_token):
                        m.d.sync += [row.eq(row + 1), row_slot.eq(following)]
                        with m.If(last_row):
                            m.next = "FINISH"
            with m.State("FINISH"):
                with m.If(~o.valid):
                    m.d.comb += self.job.ready.eq(1)
                    m.next = "IDLE"
            with m.State("FAILED"):
                pass

        entry, line = lines.i.payload, lines.o.payload
        m.d.comb += [
            lines.i.valid.eq(self.piece.valid & self.piece.ready),
            entry.line.eq(self.piece.payload), entry.token.eq(token), entry.slot.eq(slot),
            o.valid.eq(lines.o.valid),
            write.line_enable.eq(1 << (line.token & (count - 1))),
            write.index.eq(line.token >> (count.bit_length() - 1)),
            write.slot.eq(line.slot),
            write.mask.eq(-1),
            write.last.eq(line.token == tile - 1),
            *(write.lines[n].as_value().eq(line.line) for n in range(count)),
            lines.o.ready.eq(o.ready),
        ]
        return row_begins, row_awaited
