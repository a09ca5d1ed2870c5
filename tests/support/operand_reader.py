"""What reads the operand slots of a PE, and what fills them."""

from acceltran.sw.golden.tiles import pack_bits

__all__ = ["Reader", "row_beats"]


def row_beats(tile, p, transpose):
    """The row beats of a tile."""
    rows, size, width = p["rows_per_beat"], p["tile"], p["width"]
    words = []
    for first in range(0, size, rows):
        part = tile[first:first + rows].reshape(-1)
        flags = (first == 0) | (first + rows == size) << 1 | transpose << 2
        head = pack_bits(part != 0, 1) | flags << rows * size
        words.append(pack_bits(part, width) | head << rows * size * width)
    return words


class Reader:
    """A lane that reads tile after tile, group after group, at its own pace."""

    def __init__(self, p):
        self.groups = p["tile"] // p["group_rows"]
        self.slots = p["slots"]
        self.tile = self.group = 0

    def word(self):
        """Its position as a `ring_position`."""
        group_bits, slot_bits = (self.groups - 1).bit_length(), (self.slots - 1).bit_length()
        lap, slot = divmod(self.tile, self.slots)
        return self.group | slot << group_bits | (lap & 1) << group_bits + slot_bits
