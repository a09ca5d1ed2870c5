"""The buffers of an accelerator in Python, which know how often each of their places was written."""

import numpy as np

from acceltran.sw.golden.tiles import lines_to_bytes

__all__ = ["LineBuffer", "Operand", "TileBuffer"]


class TileBuffer:
    """Tiles in slots. A tile is its values, its mask (a value that is there may be zero), and what fills up its last line.

    Parameters
    ----------
    values : int64 [slots, T, T], what is there at first
    width : bits of a value

    Members
    -------
    values, masks, fill : [slots, T, T], [slots, T, T] and [slots, T]
    writes : [slots], writes so far
    """

    def __init__(self, values, width):
        self.values, self.width, self.size = values, width, values.shape[1]
        self.masks, self.fill = values != 0, np.zeros(values.shape[:2], dtype=np.int64)
        self.writes = np.zeros(len(values), dtype=np.int64)

    def put(self, slots, tiles, masks=None, fill=0):
        """Write tiles [..., T, T] to slots of the same shape; `masks` say which values are there, by default those not zero."""
        self.values[slots], self.fill[slots] = tiles, fill
        self.masks[slots] = tiles != 0 if masks is None else masks
        self.writes[slots] += 1

    def packed(self, slot):
        """The tile of a slot as main memory holds it."""
        mask, values = self.masks[slot], self.values[slot]
        there = values[mask]
        rest = len(there) % self.size
        lines = np.concatenate([there, self.fill[slot][rest:]]) if rest else there
        return np.packbits(mask.reshape(-1), bitorder="little").tobytes() + lines_to_bytes(lines, self.width)

    def clear(self):
        """As a scrub leaves it."""
        self.put(np.arange(len(self.values)), 0, False)


class LineBuffer:
    """Lines of values, each value with a scale.

    Members
    -------
    values, scales : [lines, T]
    writes : [lines], writes so far
    """

    def __init__(self, values, scales):
        self.values, self.scales, self.writes = values, scales, np.zeros(len(values), dtype=np.int64)

    def put(self, lines, values, scales):
        self.values[lines], self.scales[lines] = values, scales
        self.writes[lines] += 1

    def clear(self):
        """As a scrub leaves it."""
        self.put(np.arange(len(self.values)), 0, 0)


class Operand:
    """What an instruction reads from a buffer, as it was when the instruction began, until `read` finds something newer.

    Members
    -------
    values : of the places, in their shape
    """

    def __init__(self, buffer, places):
        self._buffer, self._places, self._writes = buffer, places, buffer.writes[places]
        self.values = buffer.values[places]

    def read(self, part):
        """Read the places of an index into their array; whether one of them was written since it was read last."""
        places = self._places[part]
        writes = self._buffer.writes[places]
        if (writes == self._writes[part]).all():
            return False
        self._writes[part], self.values[part] = writes, self._buffer.values[places]
        return True
