"""The receiving side of a LOAD: packed pieces become writes into a buffer."""

from amaranth.hdl import Array, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..arithmetic import popcount
from ..layout import tile_write
from ..spec.error_codes import MemoryFault
from ..spec.isa import Buffer
from ..streams.stream_queue import StreamQueue
from .axi import beat_bits
from .pieces import LINE, MASK
from .tile_walk import TileWalk, area_layout

__all__ = ["TileLoader", "load_layout"]


def load_layout(bus_width):
    """What to load: the beats of the packed stream, the buffer, and the area of its tiles (or row of its lines)."""
    return data.StructLayout({"beats": beat_bits(bus_width), "buffer": 2, "area": area_layout()})


class TileLoader(wiring.Component):
    """Reads masks and lines from the gearbox and writes them, `lines_per_beat` lines at a time where there are as many.

    Takes one piece per cycle: a mask, or as many lines as there are, up to `Pieces.most`. A tile without non-zeros takes two
    cycles, and starting a LOAD two. A write leaves one cycle after the last line it needs. The vector buffer's lines are
    written one by one, line in ``lines[0]``, address in ``slot``. After an error the loader writes nothing more and stays
    where it is.

    With `stripes` ports the tiles of a LOAD to the weight buffer, which has one row, are shared: this loader takes those whose
    number is `first` modulo `stripes`, packed one behind the other.

    Parameters
    ----------
    pieces : Pieces, which names the buffers
    capacities : {Buffer: tiles or lines}
    stripes, first : ports, and the number of this one

    Members
    -------
    job : In(stream(load_layout)), held while it runs; taken when everything is written and nothing of it is on the bus
    segment, piece, size, short, close : the gearbox
    drained : In(1), the gearbox is rid of what it was given, surplus beats included
    o : Out(stream(tile_write)) of lines as wide as the widest, with `buffer` : Out(2) its destination
    error : Out(3), 0, or a MemoryFault until reset
    """

    def __init__(self, *, pieces, capacities, stripes=1, first=0):
        self._pieces, self._tile, self._lines_per_beat = pieces, pieces.tile, pieces.lines_per_beat
        self._capacities = {buffer: capacities[buffer] for buffer in pieces.buffers}
        self._stripes, self._first = stripes, first
        widest = max(pieces.line_bits(buffer) for buffer in pieces.buffers) // pieces.tile
        self._write = tile_write(pieces.tile, widest, pieces.lines_per_beat)
        super().__init__({
            "job": In(stream.Signature(load_layout(pieces.bus_width))),
            "segment": Out(stream.Signature(beat_bits(pieces.bus_width))),
            "piece": In(stream.Signature(max(pieces.sizes))),
            "size": Out(range(len(pieces.sizes))),
            "short": In(1),
            "close": Out(1),
            "drained": In(1),
            "o": Out(stream.Signature(self._write)),
            "buffer": Out(2),
            "error": Out(3),
        })

    def elaborate(self, platform):
        m = Module()
        tile, job = self._tile, self.job.payload
        m.submodules.walk = walk = TileWalk(stripes=self._stripes, first=self._first)
        vector, inside = job.buffer == Buffer.VECTOR, Signal()
        m.d.comb += [walk.area.eq(job.area), self.segment.payload.eq(job.beats)]
        if self._stripes > 1:
            m.d.comb += walk.striped.eq(job.buffer == Buffer.WEIGHT)
        with m.Switch(job.buffer):
            for buffer, capacity in self._capacities.items():
                with m.Case(buffer):
                    m.d.comb += inside.eq(walk.slot < capacity)

        lines_left = Signal(range(tile + 1), reset_less=True)
        mask = Signal(tile * tile, reset_less=True)
        collecting, taken = Signal(), Signal()
        tile_ends = self._write_words(m, walk.slot, mask, lines_left, collecting)
        m.d.comb += [walk.step.eq(tile_ends), taken.eq(self.piece.valid & self.piece.ready)]

        def fail(error):
            m.d.sync += self.error.eq(error)
            m.next = "FAILED"

        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [self.segment.valid.eq(self.job.valid), walk.start.eq(1)]
                m.d.sync += lines_left.eq(1)
                with m.If(self.segment.valid & self.segment.ready):
                    m.next = "MASK"
                    with m.If(vector):
                        m.next = "LINES"
            with m.State("MASK"):
                m.d.comb += self.size.eq(MASK)
                m.d.sync += [
                    mask.eq(self.piece.payload),
                    lines_left.eq((popcount(self.piece.payload[:tile * tile]) + tile - 1) >> (tile.bit_length() - 1)),
                ]
                with m.If(~inside):
                    fail(MemoryFault.SLOT_RANGE)
                with m.Elif(self.short):
                    fail(MemoryFault.LOAD_SHORT)
                with m.Else():
                    m.d.comb += self.piece.ready.eq(1)
                    with m.If(taken):
                        m.next = "LINES"
            with m.State("LINES"):
                with m.If(~inside):
                    fail(MemoryFault.SLOT_RANGE)
                with m.Elif(self.short & (lines_left != 0)):
                    fail(MemoryFault.LOAD_SHORT)
                with m.Else():
                    m.d.comb += collecting.eq(1)
                with m.If(tile_ends):
                    m.d.sync += lines_left.eq(1)
                    with m.If(walk.last):
                        m.d.comb += self.close.eq(1)
                        m.next = "FINISH"
                    with m.Elif(~vector):
                        m.next = "MASK"
            with m.State("FINISH"):
                with m.If(~self.o.valid & self.drained):
                    m.d.comb += self.job.ready.eq(1)
                    m.next = "IDLE"
            with m.State("FAILED"):
                pass
        return m

    def _of_buffer(self, value):
        """`value(most, bits)` of the Buffer that is written, by its lines in a piece and the bits of a line."""
        pieces, buffer = self._pieces, self.job.payload.buffer
        formats = [(pieces.most(one), pieces.line_bits(one)) for one in pieces.buffers]
        values = {form: value(*form) for form in formats}
        if len(values) == 1:
            return values[formats[0]]
        return Array(values[formats[min(n, len(formats) - 1)]] for n in range(1 << len(buffer)))[buffer]

    def _size(self, taking):
        """The number of the size of a piece of so many lines."""
        def size(most, bits):
            numbers = [self._pieces.sizes.index(lines * bits, LINE) for lines in range(1, most + 1)]
            return Array([numbers[0], *numbers])[taking] if most > 1 else Const(numbers[0], len(self.size))

        return self._of_buffer(size)

    def _write_words(self, m, slot, mask, lines_left, collecting):
        """While `collecting`, lines into words and words into the output queue; returns "the last of a tile is there".

        `size` is that of the next piece of lines, unless the mask is asked for.
        """
        m.submodules.writes = writes = StreamQueue(
            shape=data.StructLayout({"buffer": self.buffer.shape(), "write": self._write}), depth=2)
        write = writes.i.payload.write
        count, piece = self._lines_per_beat, self.piece.payload
        position, index = Signal(range(max(2, count))), Signal.like(write.index)
        most, taking = self._of_buffer(lambda most, bits: most), Signal(range(count + 1))
        last = lines_left <= most
        m.d.comb += [taking.eq(Mux(last, lines_left, most)), self.size.eq(self._size(taking))]

        # A piece of several lines lies where a word is divided by them.
        word = [Signal(write.lines[0].shape().size, name=f"word_{n}", reset_less=True) for n in range(count)]
        lines = [self._of_buffer(lambda most, bits, n=n: piece.word_select(n % most, bits)) for n in range(count)]
        here = [self._of_buffer(lambda most, bits, n=n: position >> most.bit_length() - 1 == n // most) for n in range(count)]
        completes = last | (position + most == count)
        taken, written = Signal(), Signal()
        m.d.comb += [
            taken.eq(self.piece.valid & self.piece.ready),
            written.eq(collecting & completes & writes.i.ready & (self.piece.valid | (lines_left == 0))),
        ]
        with m.If(collecting & (lines_left != 0)):
            m.d.comb += self.piece.ready.eq(~completes | writes.i.ready)

        with m.If(collecting & taken):
            m.d.sync += [lines_left.eq(lines_left - taking), position.eq(position + most)]
            for n in range(count):
                with m.If(here[n]):
                    m.d.sync += word[n].eq(lines[n])
        with m.If(written):
            m.d.sync += [position.eq(0), index.eq(Mux(last, 0, index + 1))]
        m.d.comb += [
            writes.i.valid.eq(written),
            writes.i.payload.buffer.eq(self.job.payload.buffer),
            write.index.eq(index),
            write.slot.eq(slot),
            write.mask.eq(mask),
            write.last.eq(last),
            self.o.valid.eq(writes.o.valid),
            self.o.payload.eq(writes.o.payload.write),
            self.buffer.eq(writes.o.payload.buffer),
            writes.o.ready.eq(self.o.ready),
        ]
        for n in range(count):
            m.d.comb += [
                write.lines[n].as_value().eq(Mux(here[n], lines[n], word[n])),
                write.line_enable[n].eq((position + taking > n) & (lines_left != 0)),
            ]
        return written & last
