"""What random programs find in main memory: packed tiles, lines, a table and lists of its rows; and where their results go."""

import random

import numpy as np

from acceltran.hw.spec.registers import PAGE_BITS
from acceltran.sw.compiler.image import pack_vectors
from acceltran.sw.golden.tiles import lines_to_bytes, to_stream

__all__ = ["MEMORY_BITS", "PROGRAMS", "RESULTS", "ProgramData"]

MEMORY_BITS = 20
_PAGE = 1 << PAGE_BITS
PROGRAMS = range(16 * _PAGE, 80 * _PAGE)
"""Where programs lie, from the beginning of main memory on."""

_DATA = 80 * _PAGE
_WEIGHTS = 96 * _PAGE
_STRIPES = 112 * _PAGE, 48 * _PAGE
"""Of the weights of further ports: where the first lies, and how far each is from the weights of the port before."""

RESULTS = range(176 * _PAGE, 256 * _PAGE)
_STREAMS, _TILES = 8, 24
_ROWS, _COLUMNS = 64, 4
_LISTS = 64


class ProgramData:
    """Main memory for a configuration, from a seed.

    Members
    -------
    activations, weights : of each stream of tiles its address, and the bytes that the first n tiles take, for every n
    vectors : address of as many lines as the vector buffer has
    table, row_bytes, indices : of a table of tiles, and of indices of its rows
    """

    def __init__(self, config, seed):
        self._config, rng = config, np.random.default_rng(seed)
        self.memory = bytearray(random.Random(seed).randbytes(1 << MEMORY_BITS))
        self.memory[_DATA: RESULTS.start] = bytes(RESULTS.start - _DATA)
        self._place = _DATA
        self.activations = [self._put(*self._tiles(rng, config.width)) for _ in range(_STREAMS)]
        limit = 1 << config.width - 1
        values = rng.integers(-limit, limit, (config.vector_lines, config.tile)) >> rng.integers(0, 8, (config.vector_lines, 1))
        scales = rng.integers(0, 1 << min(2, config.scale_bits), values.shape)
        self.vectors, _ = self._put(pack_vectors(values, scales, config), ())
        self.row_bytes = -(-_COLUMNS * config.line_bits // 512) * 64
        rows = [lines_to_bytes(rng.integers(-limit, limit, _COLUMNS * config.tile), config.width).ljust(self.row_bytes, b"\0")
                for _ in range(_ROWS)]
        self.table, _ = self._put(b"".join(rows), ())
        self.indices, _ = self._put(rng.integers(0, _ROWS, _LISTS * config.tile).astype("<u4").tobytes(), ())
        assert self._place <= _WEIGHTS, "the data of activations take the place of the weights"
        self._place, self.weights = _WEIGHTS, []
        for _ in range(_STREAMS):
            shares = [self._tiles(rng, config.b_width) for _ in range(config.memory_ports)]
            place = self._place
            for port, (raw, _) in enumerate(shares):
                at = place + port * _STRIPES[1] - (port and _WEIGHTS + _STRIPES[1] - _STRIPES[0])
                self.memory[at: at + len(raw)] = raw
            self._place = place + -(-max(len(raw) for raw, _ in shares) // 64) * 64
            self.weights.append((place, [max(ends) for ends in zip(*(ends for _, ends in shares), strict=True)]))
        assert self._place <= _STRIPES[0], "the weights take the place of their stripes"

    def port_base(self, port):
        """What a further port adds to addresses beside the base of main memory."""
        return (port - 1) * _STRIPES[1] + _STRIPES[0] - _WEIGHTS

    def _tiles(self, rng, width):
        """(tiles packed one behind the other, bytes of the first n of them)."""
        size, limit, parts, ends = self._config.tile, 1 << width - 1, [], [0]
        for _ in range(_TILES):
            density = rng.choice([0, 0.05, 0.3, 0.6, 1])
            values = rng.integers(-limit, limit, (size, size)) >> rng.integers(0, width // 2)
            parts.append(to_stream(values * (rng.random((size, size)) < density), size, width))
            ends.append(ends[-1] + len(parts[-1]))
        return b"".join(parts), ends

    def _put(self, raw, ends):
        place = self._place
        self.memory[place: place + len(raw)] = raw
        self._place = place + -(-len(raw) // 64) * 64
        return place, list(ends)
