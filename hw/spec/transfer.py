"""How a LOAD moves packed tiles."""

__all__ = ["lines_at_once"]


def lines_at_once(line_bits, bus_width, lines_per_beat):
    """Lines of a tile that a LOAD takes in one cycle: what the bus brings, a power of two, within one word of the buffer."""
    lines = -(-bus_width // line_bits)
    return min(lines_per_beat, 1 << (lines - 1).bit_length())
