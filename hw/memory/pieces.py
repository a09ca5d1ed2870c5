"""The pieces that a LOAD cuts out of its stream: masks, and as many lines at once as the bus brings in a cycle."""

from dataclasses import dataclass

from ..spec.isa import Buffer
from ..spec.transfer import lines_at_once

__all__ = ["LINE", "MASK", "Pieces"]

MASK, LINE = 0, 1
"""The sizes of a mask and of a single line of activations, as the gearboxes number them."""


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """Sizes of the pieces for every buffer.

    Parameters
    ----------
    tile, width, b_width, scale_bits, lines_per_beat : shape of tiles, of weights and of the lines of the vector buffer
    bus_width : data bits
    buffers : those that are loaded
    """

    tile: int
    width: int
    b_width: int
    scale_bits: int
    lines_per_beat: int
    bus_width: int
    buffers: tuple[Buffer, ...] = tuple(Buffer)

    def line_bits(self, buffer):
        """Bits of a line for a Buffer."""
        return self.tile * {Buffer.WEIGHT: self.b_width, Buffer.ACTIVATION: self.width,
                            Buffer.VECTOR: self.width + self.scale_bits}[buffer]

    def most(self, buffer):
        """Lines in the largest piece, see `lines_at_once`; one of vectors."""
        if buffer == Buffer.VECTOR:
            return 1
        return lines_at_once(self.line_bits(buffer), self.bus_width, self.lines_per_beat)

    @property
    def sizes(self):
        """Distinct sizes in bits; first those called `MASK` and `LINE`, the latter of weights where no activations come."""
        lines = {lines * self.line_bits(buffer) for buffer in self.buffers for lines in range(1, self.most(buffer) + 1)}
        first = (self.tile**2, self.line_bits(Buffer.ACTIVATION if Buffer.ACTIVATION in self.buffers else self.buffers[0]))
        return (*first, *sorted(lines - {first[LINE]}))
