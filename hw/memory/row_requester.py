"""The asking side of a GATHER: indices from main memory become addresses of table rows."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..streams.stream_queue import StreamQueue
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
    """A read request that also tells whether it is for indices or for a table row, and whether these are indices of the next
    job, of which the rows of this one are still to be requested.
    """
    return data.StructLayout({"beat": beat_bits(bus_width), "beats": beat_bits(bus_width), "index": 1, "ahead": 1})


class RowRequester(wiring.Component):
    """Requests indices in chunks of up to 64 bytes, two ahead, and for each index the beats of its table row.

    The indices of the next job are asked for while the rows of this one are. A place for indices is kept before they are
    requested, so they are always taken. A row request per cycle, four cycles after its index came (read, multiply,
    request).

    Parameters
    ----------
    tile, width : shape of tiles
    bus_width : data bits, 64 to 512

    Members
    -------
    job : In(stream(gather_layout)), not empty; taken when its first indices may be asked for
    indices : In(stream(bus_width)), the beats of the requests for indices; always ready
    o : Out(stream(gather_request)), in the order in which the data have to come
    idle : Out(1), everything has been requested
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
            "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.jobs = jobs = StreamQueue(shape=self.job.payload.shape(), depth=2)  # Whose rows are not all requested.
        job, rows_left = jobs.o.payload, Signal(16)
        starting, running = Signal(), Signal()
        m.d.comb += starting.eq(jobs.o.valid & ~running)

        beats_freed, asked, row_taken = Signal(), Signal(), Signal()
        beat, beats, ask = self._ask(m, jobs.i, beats_freed, asked)
        index = self._store(m, job, starting, beats_freed)
        row, row_beats = self._multiply(m, job, starting, index, row_taken)

        # Indices go first, so that they are there when the rows before them have been requested.
        o = self.o
        with m.If(o.ready):
            m.d.sync += o.valid.eq(0)
        with m.If(~o.valid | o.ready):
            m.d.comb += [asked.eq(ask), row_taken.eq(row.valid & ~ask)]
            m.d.sync += [
                o.valid.eq(ask | row.valid),
                o.payload.beat.eq(Mux(ask, beat, row.payload)),
                o.payload.beats.eq(Mux(ask, beats, row_beats)),
                o.payload.index.eq(ask),
                o.payload.ahead.eq(ask & (jobs.level == 2)),
            ]
        with m.If(starting):
            m.d.sync += [running.eq(1), rows_left.eq(self._tokens(job))]
        with m.If(row_taken):
            m.d.sync += rows_left.eq(rows_left - 1)
            with m.If(rows_left == 1):
                m.d.comb += jobs.o.ready.eq(1)
                m.d.sync += running.eq(0)
        m.d.comb += self.idle.eq(~jobs.o.valid & ~o.valid)
        return m

    def _tokens(self, job):
        return job.rows << (self._tile.bit_length() - 1)

    def _ask(self, m, taken, beats_freed, asked):
        """Requests for the indices of one job after the other, while there is room; returns (beat, beats, wanted)."""
        chunk, per_beat = self._chunk, self._per_beat
        job = self.job.payload
        beat, left = Signal.like(job.indices, reset_less=True), Signal(16)
        beats = Mux(left < chunk, left, chunk)
        free = Signal(range(2 * chunk + 1), init=2 * chunk)
        m.d.comb += [
            taken.payload.eq(job),
            taken.valid.eq(self.job.valid & (left == 0)),
            self.job.ready.eq(taken.ready & (left == 0)),
        ]
        m.d.sync += free.eq(free + beats_freed - Mux(asked, beats, 0))
        with m.If(asked):
            m.d.sync += [beat.eq(beat + beats), left.eq(left - beats)]
        with m.If(self.job.valid & self.job.ready):
            m.d.sync += [
                beat.eq(job.indices),
                left.eq((self._tokens(job) + per_beat - 1) >> (per_beat.bit_length() - 1)),
            ]
        return beat, beats, (left != 0) & (free >= beats)

    def _store(self, m, job, starting, beat_freed):
        """Two chunks of indices; returns the stream of single indices. Each job begins with a beat of its own."""
        chunk, per_beat = self._chunk, self._per_beat
        m.submodules.store = store = Memory(shape=self._bus_width, depth=2 * chunk, init=[])
        write, read = store.write_port(), store.read_port(domain="comb")
        waiting, within = Signal(range(2 * chunk + 1)), Signal(range(per_beat))
        written, head = Signal.like(write.addr), Signal.like(read.addr)
        index, left, moved = stream.Signature(_INDEX_BITS).create(), Signal(16), Signal()
        m.d.comb += [
            self.indices.ready.eq(1),
            write.addr.eq(written),
            write.data.eq(self.indices.payload),
            write.en.eq(self.indices.valid),
            read.addr.eq(head),
            index.payload.eq(read.data.word_select(within, _INDEX_BITS)),
            index.valid.eq((waiting != 0) & (left != 0)),
            moved.eq(index.valid & index.ready),
            beat_freed.eq(moved & ((within == per_beat - 1) | (left == 1))),
        ]
        m.d.sync += [
            waiting.eq(waiting + write.en - beat_freed),
            written.eq(written + write.en),
            head.eq(head + beat_freed),
            within.eq(Mux(beat_freed, 0, within + moved)),
            left.eq(left - moved),
        ]
        with m.If(starting):
            m.d.sync += left.eq(self._tokens(job))
        return index

    def _multiply(self, m, job, starting, index, row_taken):
        """Indices to beat addresses, in two registers; returns the stream of rows and the beats of one."""
        bus = self._bus_width
        table, row_beats = Signal.like(job.table, reset_less=True), Signal.like(job.table, reset_less=True)
        pitch = Signal.like(job.row_beats, reset_less=True)
        with m.If(starting):
            m.d.sync += [table.eq(job.table), pitch.eq(job.row_beats)]
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
            m.d.sync += [row.payload.eq(table + held * pitch), row.valid.eq(held_valid)]
        return row, row_beats
