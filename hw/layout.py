"""The data types that blocks exchange: tile beats, row beats, buffer accesses.

A tile of T x T values of W bits travels packed: its mask (bit ``r*T + c`` is set where element (r, c) may be
non-zero) and ``ceil(nnz / T)`` lines of T values, row-major, `lines_per_beat` lines in each beat. Unused positions
of the last line are zero; unused lines of the last beat are undefined. A tile without non-zeros is one beat whose
lines are ignored.
"""

from amaranth.hdl import signed
from amaranth.lib import data

from .spec.widths import LINE_ADDRESS_BITS, SLOT_BITS, TAG_BITS

__all__ = ["line_layout", "pe_command", "pe_output", "pe_step", "post_command", "row_beat", "tile_beat", "tile_write",
           "vector_line", "vector_values", "vector_write"]


def line_layout(tile, width):
    """A line: T signed values of `width` bits, element 0 lowest."""
    return data.ArrayLayout(signed(width), tile)


def tile_beat(tile, width, lines_per_beat):
    """A beat of an operand tile stream.

    ``first``, ``last`` frame the tile; ``mask`` is valid on the first beat (a tile reader holds it on the others);
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


def vector_line(tile, width, scale_bits=0):
    """A line of the vector buffer: T values, and with `scale_bits` the scales of T columns, for biases of narrow weights."""
    line = line_layout(tile, width)
    return data.StructLayout({"values": line, "scales": data.ArrayLayout(scale_bits, tile)}) if scale_bits else line


def vector_values(line):
    """The values of a `vector_line`."""
    return line["values"] if isinstance(line.shape(), data.StructLayout) else line


def vector_write(tile, width, scale_bits=0):
    """A line for the vector buffer and where it goes."""
    return data.StructLayout({"address": LINE_ADDRESS_BITS, "line": vector_line(tile, width, scale_bits)})


def pe_step(psum_tiles):
    """One pair of tiles: C += A * B over the T values of k.

    ``psum`` names the partial sum of C; output tiles begin and end in the order of their numbers, modulo `psum_tiles`.
    ``last`` completes the output tile; a slot that is not released serves the next step again.
    """
    return data.StructLayout({"psum": range(psum_tiles), "last": 1, "a_release": 1, "b_release": 1})


def post_command(tile, width, scale_bits=0):
    """What the post-process does with one output tile; the fields are those of MATMUL, `tau` the threshold."""
    return data.StructLayout({
        "slot": SLOT_BITS,
        "bias": vector_line(tile, width, scale_bits),
        "bias_shift": 6,
        "shift": signed(7),
        "function": 3,
        "function_shift": signed(6),
        "tau": width - 1,
    })


def pe_command(tile, width, scale_bits=0):
    """One output tile of a PE: its post-process, its product's tag, and whether it only pads the grid."""
    return data.StructLayout({"post": post_command(tile, width, scale_bits), "tag": TAG_BITS, "discard": 1})


def pe_output(tile, width, lines_per_beat):
    """A write of a PE with the tag of its product."""
    return data.StructLayout({"write": tile_write(tile, width, lines_per_beat), "tag": TAG_BITS})
