"""The sending side of a STORE: tiles of the activation buffer become packed pieces."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..arithmetic import popcount
from ..layout import tile_beat
from ..spec.error_codes import MemoryFault
from ..spec.widths import SLOT_BITS
from .gearbox_out import piece_layout
from .pieces import LINE, MASK
from .tile_walk import TileWalk, area_layout

__all__ = ["TileStorer"]


class TileStorer(wiring.Component):
    """Asks for the tiles of an area and passes on each one's mask and lines as pieces.

    Requests run ahead of the tiles as far as the buffer takes them. One piece per cycle: the mask from a tile's first
    beat, which stays until its lines have followed. A slot outside the buffer is not requested: the storer stops there.

    Parameters
    ----------
    tile, width, lines_per_beat : shape of tiles and beats
    activation_tiles : capacity

    Members
    -------
    job : In(stream(area_layout)), not empty, held while it runs; taken when the last piece has gone
    read_request : Out(stream(SLOT_BITS))
    read : In(stream(tile_beat)), the requested tiles in order
    o : Out(stream(piece_layout))
    error : Out(3), 0, or a MemoryFault until reset
    """

    def __init__(self, *, tile, width, lines_per_beat, activation_tiles):
        self._tile = tile
        self._width = width
        self._lines_per_beat = lines_per_beat
        self._activation_tiles = activation_tiles
        super().__init__({
            "job": In(stream.Signature(area_layout())),
            "read_request": Out(stream.Signature(SLOT_BITS)),
            "read": In(stream.Signature(tile_beat(tile, width, lines_per_beat))),
            "o": Out(stream.Signature(piece_layout((tile * tile, tile * width)))),
            "error": Out(3),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.asked = asked = TileWalk()
        m.submodules.stored = stored = TileWalk()
        running, asking = Signal(), Signal()
        start, finish = self.job.valid & ~running, self._send(m, running, stored)
        m.d.comb += [
            asked.area.eq(self.job.payload),
            asked.start.eq(start),
            stored.area.eq(self.job.payload),
            stored.start.eq(start),
            self.job.ready.eq(finish),
        ]
        with m.If(start):
            m.d.sync += [running.eq(1), asking.eq(1)]
        with m.If(finish):
            m.d.sync += running.eq(0)

        # Requests.
        inside = asked.slot < self._activation_tiles
        m.d.comb += [
            self.read_request.payload.eq(asked.slot),
            self.read_request.valid.eq(asking & inside),
            asked.step.eq(self.read_request.valid & self.read_request.ready),
        ]
        with m.If(asked.step & asked.last):
            m.d.sync += asking.eq(0)
        with m.If(asking & ~inside):
            m.d.sync += self.error.eq(MemoryFault.SLOT_RANGE)
        return m

    def _send(self, m, running, stored):
        """Beats into pieces; returns "the last piece goes"."""
        tile, count, beat, o = self._tile, self._lines_per_beat, self.read.payload, self.o
        in_lines, position = Signal(), Signal(range(max(2, count)))
        lines_left = Signal(range(tile + 1), reset_less=True)
        empty = ~beat.mask.any()
        tile_ends = Mux(in_lines, lines_left == 1, empty)
        sent = o.valid & o.ready
        line = beat.lines.as_value().word_select(position, tile * self._width)
        m.d.comb += [
            o.valid.eq(running & self.read.valid),
            o.payload.data.eq(Mux(in_lines, line, beat.mask)),
            o.payload.size.eq(Mux(in_lines, LINE, MASK)),
            o.payload.last.eq(tile_ends & stored.last),
            stored.step.eq(sent & tile_ends),
            self.read.ready.eq(sent & (tile_ends | (in_lines & (position == count - 1)))),
        ]
        with m.If(sent):
            m.d.sync += in_lines.eq(~tile_ends)
            with m.If(in_lines):
                m.d.sync += [lines_left.eq(lines_left - 1), position.eq(Mux(self.read.ready, 0, position + 1))]
            with m.Else():
                m.d.sync += lines_left.eq((popcount(beat.mask) + tile - 1) >> (tile.bit_length() - 1))
        return sent & tile_ends & stored.last
