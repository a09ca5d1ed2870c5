"""Programs written by hand: a memory image that grows piece by piece, and the instructions that use it."""

import numpy as np

from ..hw.spec import isa
from ..sw.compiler.image import pack_vectors
from ..sw.golden.tiles import from_stream, to_stream

__all__ = ["HandProgram"]


class HandProgram:
    """Instructions and main memory for `config`: the program at address `base`, room for `capacity` instructions, then data."""

    def __init__(self, config, capacity=1024, base=0):
        self.config = config
        self.base = base
        self.capacity = capacity
        self.instructions = []
        self.memory = bytearray(capacity * isa.INSTRUCTION_BYTES)

    def place(self, raw):
        """Append bytes, padded to 64; returns (address, padded length)."""
        address, length = self.base + len(self.memory), -(-len(raw) // 64) * 64
        self.memory += raw.ljust(length, b"\0")
        return address, length

    def add(self, opcode, **fields):
        """Append an instruction."""
        self.instructions.append(isa.encode(opcode, **fields))

    def load(self, buffer, slot, matrix, pitch=None, **header):
        """LOAD a matrix to a tile buffer; returns the bytes it takes in main memory.

        Raises
        ------
        ValueError : a matrix for the weight buffer, where several memory ports share it
        """
        if buffer == isa.Buffer.WEIGHT and self.config.memory_ports > 1:
            raise ValueError(f"memory_ports = {self.config.memory_ports}: programs by hand load weights by one; set it to 1")
        size = self.config.tile
        rows, columns = (-(-n // size) for n in matrix.shape)
        width = self.config.b_width if buffer == isa.Buffer.WEIGHT else self.config.width
        address, length = self.place(to_stream(matrix, size, width))
        self.add(isa.Opcode.LOAD, address=address, bytes=length, buffer=int(buffer), slot=slot, rows=rows,
                 columns=columns, pitch=columns if pitch is None else pitch, **header)
        return length

    def load_vector(self, line, values, scales=(), **header):
        """LOAD values, and scales of columns, to lines of the vector buffer."""
        lines = -(-len(values) // self.config.tile)
        padded = np.zeros((2, lines * self.config.tile), dtype=np.int64)
        padded[0, : len(values)], padded[1, : len(scales)] = values, scales
        address, length = self.place(pack_vectors(*padded.reshape(2, lines, -1), self.config))
        self.add(isa.Opcode.LOAD, address=address, bytes=length, buffer=int(isa.Buffer.VECTOR), slot=line, rows=1,
                 columns=lines, pitch=0, **header)

    def store(self, slot, rows, columns, pitch, **header):
        """STORE tiles; returns a function that reads the matrix from a RunResult."""
        c = self.config
        room = rows * columns * (c.mask_bits + c.tile * c.line_bits) // 8
        address, length = self.place(bytes(room))
        self.add(isa.Opcode.STORE, address=address, slot=slot, pitch=pitch, rows=rows, columns=columns, **header)
        return lambda result: from_stream(result.memory_bytes(address, length), rows, columns, c.tile, c.width)[0]

    def image(self):
        """Main memory from `base` on, with the program in place."""
        program = b"".join(self.instructions)
        if len(self.instructions) > self.capacity:
            raise ValueError(f"{len(self.instructions)} instructions: the program was given room for {self.capacity}")
        return program + bytes(self.memory[len(program):])
