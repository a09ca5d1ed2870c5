"""Packed tiles: a mask and the non-zero values, as buffers and main memory hold them.

In main memory a matrix is its tiles in row-major order, back to back: per tile the mask (T*T bits, element (r, c) at
bit r*T + c), then ``ceil(nnz / T)`` lines of T values of W bits, element 0 lowest, the last line filled with zeros.
Everything is little-endian; T is a multiple of 8, so each piece is whole bytes.
"""

import numpy as np

__all__ = ["pack_bits", "unpack_bits", "pack_tile", "unpack_tile", "tiles_of", "matrix_of", "to_stream", "from_stream",
           "lines_to_bytes"]


def pack_bits(values, width):
    """Concatenate signed or unsigned integers of `width` bits into one Python int, element 0 lowest."""
    mask, word = (1 << width) - 1, 0
    for value in reversed(list(values)):
        word = (word << width) | (int(value) & mask)
    return word


def unpack_bits(word, width, count, *, signed=True):
    """The inverse of `pack_bits`: an int64 array of `count` values."""
    raw = [(word >> (n * width)) & ((1 << width) - 1) for n in range(count)]
    return np.array([v - (1 << width) if signed and v >> (width - 1) else v for v in raw], dtype=np.int64)


def pack_tile(tile):
    """A T x T integer array to (mask as T x T bool array, lines as n x T int64 array)."""
    tile = np.asarray(tile, dtype=np.int64)
    mask = tile != 0
    values = tile[mask]
    size = tile.shape[1]
    lines = np.zeros((-(-len(values) // size), size), dtype=np.int64)
    lines.reshape(-1)[: len(values)] = values
    return mask, lines


def unpack_tile(mask, lines):
    """The inverse of `pack_tile`; `lines` may hold more than the mask needs."""
    mask = np.asarray(mask, dtype=bool)
    tile = np.zeros(mask.shape, dtype=np.int64)
    tile[mask] = np.asarray(lines, dtype=np.int64).reshape(-1)[: mask.sum()]
    return tile


def tiles_of(matrix, size):
    """Cut a rows x columns array (zero-padded to whole tiles) into an array [I, J, T, T]."""
    matrix = np.asarray(matrix, dtype=np.int64)
    rows, columns = (-(-n // size) for n in matrix.shape)
    padded = np.zeros((rows * size, columns * size), dtype=np.int64)
    padded[: matrix.shape[0], : matrix.shape[1]] = matrix
    return padded.reshape(rows, size, columns, size).swapaxes(1, 2)


def matrix_of(tiles):
    """The inverse of `tiles_of`, padding included."""
    tiles = np.asarray(tiles)
    i, j, t, _ = tiles.shape
    return tiles.swapaxes(1, 2).reshape(i * t, j * t)


def lines_to_bytes(values, width):
    """Values of `width` bits, concatenated little-endian; their number times `width` must be whole bytes."""
    flat = np.asarray(values, dtype=np.int64).reshape(-1)
    bits = ((flat[:, None] >> np.arange(width)) & 1).astype(np.uint8)
    return np.packbits(bits.reshape(-1), bitorder="little").tobytes()


def to_stream(matrix, size, width):
    """A matrix as the bytes main memory holds (not padded to the bus)."""
    out = bytearray()
    for row in tiles_of(matrix, size):
        for tile in row:
            mask, lines = pack_tile(tile)
            out += np.packbits(mask.reshape(-1), bitorder="little").tobytes()
            out += lines_to_bytes(lines, width)
    return bytes(out)


def from_stream(raw, rows, columns, size, width):
    """Read `rows` x `columns` tiles back; returns (matrix of whole tiles, bytes used)."""
    tiles = np.zeros((rows, columns, size, size), dtype=np.int64)
    line_bytes, position = size * width // 8, 0
    weights = 1 << np.arange(width, dtype=np.int64)
    for i in range(rows):
        for j in range(columns):
            bits = np.unpackbits(np.frombuffer(raw, np.uint8, size * size // 8, position), bitorder="little")
            position += size * size // 8
            mask = bits.reshape(size, size).astype(bool)
            count = -(-int(mask.sum()) // size)
            line_bits = np.unpackbits(np.frombuffer(raw, np.uint8, count * line_bytes, position), bitorder="little")
            position += count * line_bytes
            values = line_bits.reshape(-1, width).astype(np.int64) @ weights
            values -= (values >> (width - 1)) << width
            tiles[i, j] = unpack_tile(mask, values.reshape(count, size))
    return matrix_of(tiles), position
