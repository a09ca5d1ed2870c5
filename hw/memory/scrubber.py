"""Zeroes every buffer through the ports by which the memory engine writes them."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..layout import tile_write, vector_write

__all__ = ["Scrubber"]


class Scrubber(wiring.Component):
    """Writes zeros to every word, and an empty mask to every slot, of both tile buffers and the vector buffer.

    The three are written beside each other, a word per cycle: `start` to `done` takes the cycles of the largest,
    ``max(weight_tiles, activation_tiles) * tile / lines_per_beat`` or `vector_lines`, and two, where no write waits.

    Parameters
    ----------
    tile, width, lines_per_beat : shape of tiles and writes
    b_width, scale_bits : bits of a weight, and of a scale in the vector buffer
    weight_tiles, activation_tiles, vector_lines : capacities

    Members
    -------
    start : In(1), pulse, while not busy
    busy : Out(1), from the cycle after `start` on; done : Out(1), pulse, when the last word has been taken
    weight_write, activation_write : Out(stream(tile_write)); vector_write : Out(stream(vector_write))
    """

    def __init__(self, *, tile, width, b_width, scale_bits, lines_per_beat, weight_tiles, activation_tiles, vector_lines):
        words = tile // lines_per_beat
        self._index_bits = words.bit_length() - 1
        self._words = {"weight": weight_tiles * words, "activation": activation_tiles * words, "vector": vector_lines}
        super().__init__({
            "start": In(1),
            "busy": Out(1),
            "done": Out(1),
            "weight_write": Out(stream.Signature(tile_write(tile, b_width, lines_per_beat))),
            "activation_write": Out(stream.Signature(tile_write(tile, width, lines_per_beat))),
            "vector_write": Out(stream.Signature(vector_write(tile, width, scale_bits))),
        })

    def elaborate(self, platform):
        m = Module()
        finished = [self._walk(m, name, words) for name, words in self._words.items()]
        ends = Signal()
        m.d.comb += ends.eq(self.busy)
        for end in finished:
            with m.If(~end):
                m.d.comb += ends.eq(0)
        m.d.sync += self.done.eq(ends)
        with m.If(ends):
            m.d.sync += self.busy.eq(0)
        with m.If(self.start):
            m.d.sync += self.busy.eq(1)
        return m

    def _walk(self, m, name, words):
        """Writes of one buffer, word after word; returns "all are taken"."""
        port = getattr(self, f"{name}_write")
        word = Signal(range(words), name=f"{name}_word")
        m.d.comb += port.valid.eq(self.busy & ~(finished := Signal(name=f"{name}_finished")))
        if name == "vector":
            m.d.comb += port.payload.address.eq(word)
        else:
            write, bits = port.payload, self._index_bits
            m.d.comb += [
                write.slot.eq(word >> bits),
                write.index.eq(word[:bits]),
                write.line_enable.eq(-1),
                write.last.eq(word[:bits].all()),
            ]
        with m.If(port.valid & port.ready):
            m.d.sync += [word.eq(word + 1), finished.eq(word == words - 1)]
        with m.If(self.start):
            m.d.sync += [word.eq(0), finished.eq(0)]
        return finished
