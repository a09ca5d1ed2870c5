"""Rebuild tensors from the log of buffer writes, as they stood when the instruction that made them was complete."""

import numpy as np

from ..sw.golden.tiles import matrix_of, unpack_tile
from .clock import edge_of

__all__ = ["BufferReplay"]


class BufferReplay:
    """The activation buffer through time; `advance` moves forward only.

    Parameters
    ----------
    config : AcceleratorConfig
    folder : the logs of a simulation
    cluster : whose buffer, of several
    """

    def __init__(self, config, folder, cluster=0):
        scope = f".cluster_{cluster}." if config.clusters > 1 else "."
        self._config = config = config.cluster
        self._slots = {}
        self._events = []
        for bank in range(config.activation_banks):
            for kind in ("lines", "masks"):
                (path,) = folder.glob(f"activation_{kind}_{bank}.*{scope}*.log")
                with open(path) as log:
                    for line in log:
                        when, address, enable, word = line.split()
                        self._events.append((int(when), kind == "masks", bank, int(address), int(enable, 16), word))
        self._events.sort(key=lambda event: event[0])
        self._position = 0

    def advance(self, cycle):
        """Apply every write up to and including `cycle`."""
        limit = edge_of(cycle)
        c = self._config
        lines, words = c.lines_per_beat, c.words_per_slot
        line_bytes, mask_bytes = c.line_bits // 8, c.mask_bits // 8
        while self._position < len(self._events) and self._events[self._position][0] <= limit:
            _, is_mask, bank, address, enable, word = self._events[self._position]
            self._position += 1
            raw = bytes.fromhex(word)[::-1]
            if is_mask:
                self._slot(address * c.activation_banks + bank)[1] = raw[:mask_bytes]
            else:
                slot = self._slot(address // words * c.activation_banks + bank)
                for lane in range(lines):
                    if enable >> lane & 1:
                        slot[0][address % words * lines + lane] = raw[lane * line_bytes: (lane + 1) * line_bytes]

    def _slot(self, number):
        c = self._config
        return self._slots.setdefault(number, [[bytes(c.line_bits // 8)] * c.tile, bytes(c.mask_bits // 8)])

    def matrix(self, slot, pitch, rows, columns):
        """The values of `rows` x `columns` tiles from `slot` on, int64 [rows * T, columns * T]."""
        c = self._config
        tiles = np.zeros((rows, columns, c.tile, c.tile), dtype=np.int64)
        weights = 1 << np.arange(c.width, dtype=np.int64)
        for i in range(rows):
            for j in range(columns):
                lines, mask = self._slot(slot + i * pitch + j)
                bits = np.unpackbits(np.frombuffer(b"".join(lines), np.uint8), bitorder="little")
                values = bits.reshape(-1, c.width).astype(np.int64) @ weights
                values -= (values >> (c.width - 1)) << c.width
                mask = np.unpackbits(np.frombuffer(mask, np.uint8), bitorder="little").reshape(c.tile, c.tile)
                tiles[i, j] = unpack_tile(mask.astype(bool), values)
        return matrix_of(tiles)
