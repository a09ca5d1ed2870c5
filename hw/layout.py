"""The data types that blocks exchange: tile beats, row beats, buffer accesses.

A tile of T x T values of W bits travels packed: its mask (bit ``r*T + c`` is set where element (r, c) may be
non-zero) and ``ceil(nnz / T)`` lines of T values, row-major, `lines_per_beat` lines in each beat. Unused positions
of the last line are zero; unused lines of the last beat are undefined. A tile without non-zeros is one beat whose
lines are ignored.
"""

from amaranth.lib import data
from amaranth.hdl import signed

__all__ = ["SLOT_BITS", "LINE_ADDRESS_BITS", "line_layout", "tile_beat", "row_beat", "tile_write"]

SLOT_BITS = 20
"""Bits of a slot number in either tile buffer."""

LINE_ADDRESS_BITS = 16
"""Bits of a line address in the vector buffer."""


def line_layout(tile, width):
    """A line: T signed values of `width` bits, element 0 lowest."""
    return data.ArrayLayout(signed(width), tile)


def tile_beat(tile, width, lines_per_beat):
    """A beat of an operand tile stream.

    ``first``, ``last`` frame the tile; ``mask`` is valid on the first beat (and may be held on the others);
    ``transpose`` is the same on all beats of a tile and asks the expander of a PE to write the tile transposed.
    """
    return data.StructLayout({
        "lines": data.ArrayLayout(line_layout(tile, width), lines_per_beat),
        "mask": tile * tile,
        "first": 1,
        "last": 1,
        "transpose": 1,
    })


def row_beat(tile, width, rows_per_beat):
    """`rows_per_beat` expanded rows (zeros in place) with their mask bits; rows come in order, `last` ends the tile."""
    return data.StructLayout({
        "rows": data.ArrayLayout(line_layout(tile, width), rows_per_beat),
        "mask": data.ArrayLayout(tile, rows_per_beat),
        "first": 1,
        "last": 1,
        "transpose": 1,
    })


def tile_write(tile, width, lines_per_beat):
    """One self-contained write into a tile buffer.

    Lines enabled in ``line_enable`` go to word ``index`` of slot ``slot``; with ``last`` the slot's mask is written
    as well. An all-zero tile is one write with ``line_enable = 0`` and ``last = 1``.
    """
    words = tile // lines_per_beat
    return data.StructLayout({
        "lines": data.ArrayLayout(line_layout(tile, width), lines_per_beat),
        "line_enable": lines_per_beat,
        "index": max(1, (words - 1).bit_length()),
        "slot": SLOT_BITS,
        "mask": tile * tile,
        "last": 1,
    })
