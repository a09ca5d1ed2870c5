"""The asking side of a GATHER: indices from main memory become addresses of table rows."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .axi import beat_bits, size_code

__all__ = ["RowRequester", "gather_layout", "gather_request"]

_CHUNK_BITS = 512
_INDEX_BITS = 32


def gather_layout(bus_width):
    """A GATHER in beats: the table, the indices, from row to row; T times `rows` rows of `columns` lines."""
    bits = beat_bits(bus_width)
    return data.StructLayout({
        "table": bits, "indices": bits, "row_beats": 16 - size_code(bus_width), "rows": 12, "columns": 16,
    })


def gather_request(bus_width):
    """A read request that also tells whether it is for indices or for a table row."""
    return data.StructLayout({"beat": beat_bits(bus_width), "beats": beat_bits(bus_width), "index": 1})


class RowRequester(wiring.Component):
    """Requests indices in chunks of 64 bytes, two ahead, and for each index the beats of its table row.

    A place for the indices is kept before they are requested, so they are always taken. A row request per cycle,
    four cycles after its index came (read, multiply, request).

    Parameters
    ----------
    tile, width : shape of tiles
    bus_width : data bits, 64 to 512

    Members
    -------
    job : In(stream(gather_layout)), not empty, held while it runs; taken when the last row has been requested
    indices : In(stream(bus_width)), the beats of the requests for indices; always ready
    o : Out(stream(gather_request)), in the order in which the data have to come
    """

    def __init__(self, *, tile, width, bus_width):
        self._tile = tile
        self._line_bits = tile * width
        self._bus_width = bus_width
        self._chunk = _CHUNK_BITS // bus_width
        self._per_beat = bus_width // _INDEX_BITS
        super().__init__({
            "job": In(stream.Signature(gather_layout(bus_width))),
            "indices": In(stream.Signature(bus_width)),
            "o": Out(stream.Signature(gather_request(bus_width))),
        })

    def elaborate(self, platform):
        m = Module()
        running, start, finish = Signal(), Signal(), Signal()
        m.d.comb += [start.eq(self.job.valid & ~running), self.job.ready.eq(finish)]
        with m.If(start | finish):
            m.d.sync += running.eq(start)

        chunk_freed, asked, row_taken = Signal(), Signal(), Signal()
        beat, beats, ask = self._ask(m, start, chunk_freed, asked)
        index = self._store(m, start, chunk_freed)
        row, row_beats = self._multiply(m, start, index, row_taken)

        # Indices go first, so that they are there when the rows before them have been requested.
        o, rows_left = self.o, Signal(16)
        with m.If(o.ready):
            m.d.sync += o.valid.eq(0)
        with m.If(~o.valid | o.ready):
            m.d.comb += [asked.eq(ask), row_taken.eq(row.valid & ~ask)]
            m.d.sync += [
                o.valid.eq(ask | row.valid),
                o.payload.beat.eq(Mux(ask, beat, row.payload)),
                o.payload.beats.eq(Mux(ask, beats, row_beats)),
                o.payload.index.eq(ask),
            ]
        with m.If(start):
            m.d.sync += rows_left.eq(self._tokens)
        with m.Elif(row_taken):
            m.d.sync += rows_left.eq(rows_left - 1)
        m.d.comb += finish.eq(running & (rows_left == 0) & ~o.valid)
        return m

    @property
    def _tokens(self):
        return self.job.payload.rows << (self._tile.bit_length() - 1)

    def _ask(self, m, start, chunk_freed, asked):
        """Requests for indices, while a chunk is free; returns (beat, beats, wanted)."""
        chunk, per_beat = self._chunk, self._per_beat
        beat, left = Signal.like(self.job.payload.indices, reset_less=True), Signal(16)
        beats = Mux(left < chunk, left, chunk)
        free = Signal(2)
        m.d.sync += free.eq(free + chunk_freed - asked)
        with m.If(asked):
            m.d.sync += [beat.eq(beat + beats), left.eq(left - beats)]
        with m.If(start):
            m.d.sync += [
                free.eq(2),
                beat.eq(self.job.payload.indices),
                left.eq((self._tokens + per_beat - 1) >> (per_beat.bit_length() - 1)),
            ]
        return beat, beats, (left != 0) & (free != 0)

    def _store(self, m, start, chunk_freed):
        """Two chunks of indices; returns the stream of single indices."""
        chunk, per_beat = self._chunk, self._per_beat
        m.submodules.store = store = Memory(shape=self._bus_width, depth=2 * chunk, init=[])
        write, read = store.write_port(), store.read_port(domain="comb")
        waiting, within = Signal(range(2 * chunk + 1)), Signal(range(per_beat), reset_less=True)
        written, head = Signal.like(write.addr, reset_less=True), Signal.like(read.addr, reset_less=True)
        index, left, moved, beat_done = stream.Signature(_INDEX_BITS).create(), Signal(16), Signal(), Signal()
        m.d.comb += [
            self.indices.ready.eq(1),
            write.addr.eq(written),
            write.data.eq(self.indices.payload),
            write.en.eq(self.indices.valid),
            read.addr.eq(head),
            index.payload.eq(read.data.word_select(within, _INDEX_BITS)),
            index.valid.eq((waiting != 0) & (left != 0)),
            moved.eq(index.valid & index.ready),
            beat_done.eq(moved & (within == per_beat - 1)),
            chunk_freed.eq(beat_done & ((head & (chunk - 1)) == chunk - 1)),
        ]
        m.d.sync += [
            waiting.eq(waiting + write.en - beat_done),
            written.eq(written + write.en),
            head.eq(head + beat_done),
            within.eq(within + moved),
            left.eq(left - moved),
        ]
        with m.If(start):
            m.d.sync += [waiting.eq(0), written.eq(0), head.eq(0), within.eq(0), left.eq(self._tokens)]
        return index

    def _multiply(self, m, start, index, row_taken):
        """Indices to beat addresses, in two registers; returns the stream of rows and the beats of one."""
        job, bus = self.job.payload, self._bus_width
        row_beats = Signal.like(job.table, reset_less=True)
        with m.If(start):
            m.d.sync += row_beats.eq((job.columns * self._line_bits + bus - 1) >> (bus.bit_length() - 1))

        row = stream.Signature(len(job.table)).create()
        held, held_valid, held_moves = Signal(_INDEX_BITS, reset_less=True), Signal(), Signal()
        m.d.comb += [
            row.ready.eq(row_taken),
            held_moves.eq(~row.valid | row.ready),
            index.ready.eq(~held_valid | held_moves),
        ]
        with m.If(index.ready):
            m.d.sync += [held.eq(index.payload), held_valid.eq(index.valid)]
        with m.If(held_moves):
            m.d.sync += [row.payload.eq(job.table + held * job.row_beats), row.valid.eq(held_valid)]
        return row, row_beats
