"""Which values are zero in the buffers, as a program proceeds."""

import numpy as np

from ...hw.spec.isa import Buffer, Opcode
from ..compiler.program import written_area
from ..golden.tiles import tiles_of
from .kernel import kernel
from .ones import ones

__all__ = ["Buffers"]


class Buffers:
    """Masks of the tiles in both tile buffers: of weights as the memory image has them, of activations as tensors have them.

    Parameters
    ----------
    program : Program
    tensors : {name: integers}, of the golden model; of others zeros are drawn at random
    densities : {name: share of non-zeros} of tensors that are not among these; by default what the graph expects
    seed : of these draws
    cluster : whose activation buffer, of several

    Members
    -------
    activation, weight : int64 [tiles + 1, T], rows of masks, of a word each; the last tile is empty
    """

    def __init__(self, program, tensors=None, densities=None, seed=1, cluster=0):
        config = program.config.cluster
        self._config, self._program = config, program
        self._tensors, self._densities, self._random = tensors or {}, densities or {}, np.random.default_rng(seed)
        self._image = np.frombuffer(program.image, np.uint8)
        self._pieces = {step: (name, piece) for name, tensor in program.tensors.items()
                        for piece in tensor["pieces"] if piece["cluster"] == cluster for step in piece["steps"]}
        self._masks, self._loads = {}, {}
        self.activation, self.weight = (np.zeros((tiles + 1, config.tile), np.int64)
                                        for tiles in (config.activation_tiles, config.weight_tiles))
        for name, tensor in program.tensors.items():
            for piece in tensor["pieces"]:
                if not piece["steps"] and piece["cluster"] == cluster:
                    self._place(name, piece, piece["slot"], piece["rows"], piece["columns"], None)

    def load(self, fields):
        """Tiles of a LOAD come in; the non-zero values of each, in order."""
        buffer = Buffer(fields["buffer"])
        weight = buffer is Buffer.WEIGHT
        key = fields["address"], fields["rows"], fields["columns"], weight
        if key not in self._loads:
            self._loads[key] = self._packed(fields, weight)
        masks, counts = self._loads[key]
        (self.weight if weight else self.activation)[_slots(*written_area(Opcode.LOAD, fields))] = masks
        return counts

    def _packed(self, fields, weight):
        """Masks and counts of the tiles that a LOAD brings; of weights every port has its share."""
        config, tiles = self._config, fields["rows"] * fields["columns"]
        line_bytes = (config.weight_line_bits if weight else config.line_bits) // 8
        places = [0, *self._program.port_bases(0)] if weight else [0]
        masks, counts = np.zeros((tiles, config.tile), np.int64), np.zeros(tiles, np.int64)
        for port, place in enumerate(places):
            share = slice(port, None, len(places))
            masks[share], counts[share] = _unpack(self._image, place + fields["address"], len(counts[share]), config.tile,
                                                  line_bytes)
        return masks, counts

    def read(self, fields):
        """The non-zero values of each tile that a STORE reads, in order."""
        return self._counts(_slots(fields["slot"], fields["pitch"], fields["rows"], fields["columns"]))

    def indices(self, fields):
        """The rows that a GATHER names."""
        address = fields["indices"]
        return self._image[address: address + 4 * fields["rows"] * self._config.tile].view("<i4")

    def write(self, number, opcode, fields):
        """What an instruction that writes the activation buffer leaves there; the non-zero values of each tile, in order."""
        slot, pitch, rows, columns = written_area(opcode, fields)
        slots = _slots(slot, pitch, rows, columns)
        if opcode is Opcode.GATHER:
            self.activation[slots] = (1 << self._config.tile) - 1
        elif number in self._pieces:
            name, piece = self._pieces[number]
            self._place(name, piece, slot, rows, columns, fields.get("valid_columns"))
        return self._counts(slots)

    def _counts(self, slots):
        return np.bitwise_count(self.activation[slots]).sum(1, dtype=np.int64)

    def _place(self, name, piece, slot, rows, columns, valid):
        """Some tiles of a tensor, from `slot` of its piece on."""
        row, column = divmod(slot - piece["slot"], piece["pitch"])
        top, left = piece["row"] + row, piece["column"] + column
        masks = self._of(name)[top: top + rows, left: left + columns]
        if valid is not None and name not in self._tensors:
            tile = self._config.tile
            seen = np.clip(valid - tile * np.arange(columns), 0, tile)
            masks = masks & ((1 << seen) - 1)[:, None]
        self.activation[_slots(slot, piece["pitch"], rows, columns)] = masks.reshape(rows * columns, -1)

    def _of(self, name):
        """Masks of a tensor, [I, J, T]."""
        if name not in self._masks:
            tile, shape = self._config.tile, self._program.tensors[name]
            if name in self._tensors:
                flags = tiles_of(np.asarray(self._tensors[name]), tile) != 0
            else:
                share = self._densities.get(name, self._program.graph.tensors[name].density if self._program.graph else 1.0)
                size = shape["rows"], shape["columns"], tile, tile
                flags = np.ones(size, np.bool_) if share >= 1 else self._random.random(size, dtype=np.float32) < share
            self._masks[name] = flags @ (1 << np.arange(tile))
        return self._masks[name]


def _slots(slot, pitch, rows, columns):
    """Slots of tiles, row by row."""
    return (slot + pitch * np.arange(rows)[:, None] + np.arange(columns)).ravel()


@kernel
def _unpack(image, address, tiles, tile, line_bytes):
    """Masks and counts of packed tiles that lie back to back."""
    masks, counts = np.zeros((tiles, tile), np.int64), np.zeros(tiles, np.int64)
    for n in range(tiles):
        for row in range(tile):
            for byte in range(tile // 8):
                word = np.int64(image[address])
                masks[n, row] |= word << 8 * byte
                counts[n] += ones(word)
                address += 1
        address += (counts[n] + tile - 1) // tile * line_bytes
    return masks, counts
