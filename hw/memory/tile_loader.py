"""The receiving side of a LOAD: packed pieces become writes into a buffer."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..arithmetic import popcount
from ..layout import tile_write
from ..spec.error_codes import MemoryFault
from ..spec.isa import Buffer
from ..streams.stream_queue import StreamQueue
from .axi import beat_bits
from .tile_walk import TileWalk, area_layout

__all__ = ["LINE", "MASK", "TileLoader", "load_layout"]

MASK, LINE = 0, 1
"""The two sizes of pieces, in the order in which the gearboxes know them."""


def load_layout(bus_width):
    """What to load: the beats of the packed stream, the buffer, and the area of its tiles (or row of its lines)."""
    return data.StructLayout({"beats": beat_bits(bus_width), "buffer": 2, "area": area_layout()})


class TileLoader(wiring.Component):
    """Reads masks and lines from the gearbox and writes them, `lines_per_beat` lines at a time where there are as many.

    Takes one piece per cycle; a tile without non-zeros takes two cycles, and starting a LOAD two. A write leaves one
    cycle after the last line it needs. The vector buffer's lines are written one by one, line in ``lines[0]``,
    address in ``slot``. After an error the loader writes nothing more and stays where it is.

    Parameters
    ----------
    tile, width, lines_per_beat : shape of tiles and writes
    bus_width : data bits
    weight_tiles, activation_tiles, vector_lines : capacities

    Members
    -------
    job : In(stream(load_layout)), held while it runs; taken when everything is written and nothing of it is on the bus
    segment, piece, size, short, close : the gearbox
    drained : In(1), the gearbox is rid of what it was given, surplus beats included
    o : Out(stream(tile_write)), with `buffer` : Out(2) its destination
    error : Out(3), 0, or a MemoryFault until reset
    """

    def __init__(self, *, tile, width, lines_per_beat, bus_width, weight_tiles, activation_tiles, vector_lines):
        self._tile = tile
        self._lines_per_beat = lines_per_beat
        self._capacities = {
            Buffer.WEIGHT: weight_tiles, Buffer.ACTIVATION: activation_tiles, Buffer.VECTOR: vector_lines,
        }
        self._write = tile_write(tile, width, lines_per_beat)
        super().__init__({
            "job": In(stream.Signature(load_layout(bus_width))),
            "segment": Out(stream.Signature(beat_bits(bus_width))),
            "piece": In(stream.Signature(max(tile * tile, tile * width))),
            "size": Out(1),
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
        m.submodules.walk = walk = TileWalk()
        vector, inside = job.buffer == Buffer.VECTOR, Signal()
        m.d.comb += [walk.area.eq(job.area), self.segment.payload.eq(job.beats)]
        with m.Switch(job.buffer):
            for buffer, capacity in self._capacities.items():
                with m.Case(buffer):
                    m.d.comb += inside.eq(walk.slot < capacity)

        lines_left = Signal(range(tile + 1), reset_less=True)
        mask = Signal(tile * tile, reset_less=True)
        collecting, taken = Signal(), Signal()
        written = self._write_words(m, walk.slot, mask, lines_left, collecting)
        tile_ends = written & (lines_left <= 1)
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
                m.d.comb += self.size.eq(LINE)
                with m.If(~inside):
                    fail(MemoryFault.SLOT_RANGE)
                with m.Elif(self.short & (lines_left != 0)):
                    fail(MemoryFault.LOAD_SHORT)
                with m.Else():
                    m.d.comb += collecting.eq(1)
                with m.If(taken):
                    m.d.sync += lines_left.eq(lines_left - 1)
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

    def _write_words(self, m, slot, mask, lines_left, collecting):
        """While `collecting`, lines into words and words into the output queue; returns "a word is complete"."""
        m.submodules.writes = writes = StreamQueue(
            shape=data.StructLayout({"buffer": self.buffer.shape(), "write": self._write}), depth=2)
        write = writes.i.payload.write
        count = self._lines_per_beat
        line = self.piece.payload[:len(write.lines[0].as_value())]
        word = [Signal(len(line), name=f"word_{n}", reset_less=True) for n in range(count)]
        position, index = Signal(range(max(2, count))), Signal.like(write.index)
        completes = (lines_left <= 1) | (position == count - 1)
        taken, written = Signal(), Signal()
        m.d.comb += [
            taken.eq(self.piece.valid & self.piece.ready),
            written.eq(collecting & completes & writes.i.ready & (self.piece.valid | (lines_left == 0))),
        ]
        with m.If(collecting & (lines_left != 0)):
            m.d.comb += self.piece.ready.eq(~completes | writes.i.ready)

        with m.If(collecting & taken):
            m.d.sync += position.eq(position + 1)
            with m.Switch(position):
                for n in range(count):
                    with m.Case(n):
                        m.d.sync += word[n].eq(line)
        with m.If(written):
            m.d.sync += [position.eq(0), index.eq(Mux(lines_left <= 1, 0, index + 1))]
        m.d.comb += [
            writes.i.valid.eq(written),
            writes.i.payload.buffer.eq(self.job.payload.buffer),
            write.index.eq(index),
            write.slot.eq(slot),
            write.mask.eq(mask),
            write.last.eq(lines_left <= 1),
            self.o.valid.eq(writes.o.valid),
            self.o.payload.eq(writes.o.payload.write),
            self.buffer.eq(writes.o.payload.buffer),
            writes.o.ready.eq(self.o.ready),
        ]
        for n in range(count):
            m.d.comb += [
                write.lines[n].as_value().eq(Mux(position == n, line, word[n])),
                write.line_enable[n].eq((position >= n) & (lines_left != 0)),
            ]
        return written
