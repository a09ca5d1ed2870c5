"""Main memory with a secret in it, and programs that are after it: mutated, random and malformed ones."""

import random

from acceltran.hw.spec.isa import HEADER, INSTRUCTIONS, Buffer, Opcode, encode
from acceltran.hw.spec.registers import PAGE_BITS

__all__ = ["MEMORY_BITS", "READ", "WRITE", "Attack", "secret_program"]

MEMORY_BITS = 20
_PAGE = 1 << PAGE_BITS
READ, WRITE = (16 * _PAGE, 96 * _PAGE), (80 * _PAGE, 112 * _PAGE)
"""Begin and end of what the hostile user may read and write, counted from the beginning of main memory. The hostile programs
lie inside; everything outside is secret.
"""

_SECRET_PROGRAM = 0
_SECRET_DATA = 2 * _PAGE
_PROGRAMS = READ[0]
_DATA = 64 * _PAGE


def secret_program(config):
    """Instructions that fill every buffer with the secret data: (address, list of bytes)."""
    instructions = []
    for buffer, tiles in ((Buffer.WEIGHT, config.weight_tiles), (Buffer.ACTIVATION, config.cluster.activation_tiles)):
        start, end, tile_bytes = _secret_tiles(config)[buffer]
        most = min(64, (end - start) // tile_bytes)
        for slot in range(0, tiles, most):
            columns = min(most, tiles - slot)
            instructions.append(encode(
                Opcode.LOAD, address=start, bytes=-(-columns * tile_bytes // 64) * 64, buffer=int(buffer), slot=slot,
                pitch=0, rows=1, columns=columns))
    line_bytes = config.vector_line_bits // 8
    instructions.append(encode(
        Opcode.LOAD, address=_SECRET_DATA, bytes=-(-config.vector_lines * line_bytes // 64) * 64, buffer=int(Buffer.VECTOR),
        slot=0, pitch=0, rows=1, columns=config.vector_lines))
    return _SECRET_PROGRAM, [*instructions, encode(Opcode.HALT)]


def _secret_tiles(config):
    """Where the secret tiles of a Buffer lie in main memory, and the bytes of one: (start, end, bytes)."""
    middle = (_SECRET_DATA + READ[0]) // 2 & ~63
    return {buffer: (start, end, (config.mask_bits + config.tile * bits) // 8) for buffer, start, end, bits in (
        (Buffer.WEIGHT, _SECRET_DATA, middle, config.weight_line_bits),
        (Buffer.ACTIVATION, middle, READ[0], config.line_bits))}


class Attack:
    """Random hostile programs for a configuration, the same for every secret.

    Parameters
    ----------
    harmless : programs that only move data, in ways that are allowed, for as much traffic as possible

    Members
    -------
    runs : of each its address, length, watchdog, base (added to that of main memory) and, where it is cut off, the cycle
    """

    def __init__(self, config, count, seed, *, watchdog=1500, harmless=False):
        self.config, self.rng, self.harmless, self.runs = config, random.Random(seed), harmless, []
        self._texts = []
        place = _PROGRAMS
        for _ in range(count):
            text = b"".join(self._program())
            if place + len(text) > _DATA:
                assert not harmless, "too many programs for their place: later ones would lie over earlier ones"
                place = _PROGRAMS + 64 * self.rng.randrange(32)
            # A later program may lie over an earlier one: who reads it is after all allowed to.
            cut = self.rng.randrange(1, 600) if self.rng.random() < 0.1 else None
            base = self.rng.choice((0, _PAGE, 16 * _PAGE, -8 * _PAGE)) if self.rng.random() < 0.3 and not harmless else 0
            start = place
            if not harmless and self.rng.random() < 0.05:
                start = self.rng.choice((_SECRET_PROGRAM, READ[0] - 64, READ[1], 1 << MEMORY_BITS))
            self.runs.append({"address": start, "length": len(text) // 64 + self.rng.choice((0, 0, 0, 1, 40)),
                              "watchdog": watchdog, "base": base, "cut": cut})
            self._texts.append((place, text))
            place += len(text)

    def image(self, secret):
        """Main memory, with data that look like `secret` (an integer) wherever the hostile user must not look."""
        config, rng = self.config, random.Random(4)
        memory = bytearray(random.Random(secret).randbytes(1 << MEMORY_BITS))
        for start, end, size in _secret_tiles(config).values():
            self._tiles(memory, start, end, size, random.Random(secret))
        for start, end in (READ, WRITE):
            memory[start:end] = bytes(end - start)
        self._tiles(memory, _DATA, READ[1], (config.mask_bits + config.tile * config.line_bits) // 8, rng)
        for place, text in self._texts:
            memory[place:place + len(text)] = text
        address, instructions = secret_program(config)
        memory[address:address + 64 * len(instructions)] = b"".join(instructions)
        return bytes(memory)

    def _tiles(self, memory, start, end, size, rng):
        """Dense tiles of `size` bytes, whose stream a LOAD of tiles can take."""
        mask = self.config.mask_bits // 8
        for place in range(start, end - size, size):
            memory[place:place + size] = b"\xff" * mask + rng.randbytes(size - mask)

    def _program(self):
        rng = self.rng
        if self.harmless:
            return [*(self._movement() for _ in range(12)), encode(Opcode.HALT)]
        if rng.random() < 0.1:
            return [rng.randbytes(64) for _ in range(rng.randrange(1, 5))]
        program = [self._instruction() for _ in range(rng.randrange(1, 9))]
        if rng.random() < 0.5:
            area = self._area(self.config.cluster.activation_tiles)
            program.append(encode(Opcode.STORE, signal=0, **area, address=self._target(), **self._clusters(Opcode.STORE)))
        return [*program, encode(Opcode.HALT)]

    def _address(self, window):
        """Mostly inside, often at an edge, sometimes anywhere."""
        rng, (start, end) = self.rng, window
        kind = rng.random()
        if kind < 0.5:
            return rng.randrange(start, end, 64)
        if kind < 0.85:
            return max(0, rng.choice((start, end)) + 64 * rng.randrange(-40, 40))
        return rng.choice((rng.getrandbits(32) & ~63, rng.randrange(0, 1 << MEMORY_BITS, 64), 0xFFFF_FFC0))

    def _source(self):
        return self._address((_DATA, READ[1]))

    def _target(self):
        return self._address(WRITE)

    def _area(self, tiles):
        rng = self.rng
        return {"slot": rng.choice((0, rng.randrange(tiles), tiles - 1, tiles - 4)), "pitch": rng.randrange(6),
                "rows": rng.randrange(1, 4), "columns": rng.choice((1, 2, 3, 4, 9, 40))}

    def _movement(self):
        """A LOAD, GATHER or STORE that is allowed."""
        rng, config = self.rng, self.config
        area = {"slot": rng.randrange(8), "pitch": 8, "rows": rng.randrange(1, 3), "columns": rng.randrange(1, 4)}
        opcode = rng.choice((Opcode.LOAD, Opcode.STORE, Opcode.STORE, Opcode.GATHER))
        if opcode is Opcode.STORE:
            return encode(opcode, address=rng.randrange(WRITE[0], WRITE[1] - 4 * _PAGE, 64), **area)
        if opcode is Opcode.GATHER:
            return encode(opcode, address=_DATA, indices=_DATA, row_bytes=0, **area)
        room = 8 * (config.mask_bits + config.tile * config.line_bits) // 8
        return encode(opcode, address=rng.randrange(_DATA, READ[1] - room - 64, 64), bytes=room // 64 * 64,
                      buffer=rng.randrange(2), **area)

    def _instruction(self):
        rng, config = self.rng, self.config
        header = {"signal": rng.choice((0, 0, 1, 2, 4, 7))}
        if rng.random() < 0.15:
            header[rng.choice(("wait_memory", "wait_matrix", "wait_vector"))] = 1
        opcode = rng.choice((Opcode.LOAD, Opcode.LOAD, Opcode.STORE, Opcode.STORE, Opcode.GATHER, Opcode.MATMUL, Opcode.SOFTMAX,
                             Opcode.LAYERNORM))
        if opcode is Opcode.LOAD:
            buffer = rng.choice(list(Buffer))
            tiles = {Buffer.WEIGHT: config.weight_tiles, Buffer.ACTIVATION: config.cluster.activation_tiles,
                     Buffer.VECTOR: config.vector_lines}[buffer]
            count = rng.choice((64, 256, 640, 4096, 8192, 1 << 20))
            fields = self._area(tiles) | {"address": self._source(), "bytes": count, "buffer": int(buffer)}
        elif opcode is Opcode.STORE:
            fields = self._area(config.cluster.activation_tiles) | {"address": self._target()}
        elif opcode is Opcode.GATHER:
            fields = self._area(config.cluster.activation_tiles) | {
                "address": self._source(), "indices": self._source(), "row_bytes": rng.choice((0, 64, 256, 4096))}
        else:
            fields = self._computed(opcode)
        return encode(opcode, **header, **fields | self._clusters(opcode))

    def _clusters(self, opcode):
        """Of several clusters one for a STORE, and mostly all for what is the same in all."""
        if self.config.clusters == 1:
            return {}
        one = 1 << self.rng.randrange(self.config.clusters)
        return {"clusters": one if opcode is Opcode.STORE or self.rng.random() < 0.2 else 0}

    def _computed(self, opcode):
        """Fields of an instruction between buffers: small numbers mostly, so that many are legal."""
        rng, fields = self.rng, {}
        for field in next(i.fields for i in INSTRUCTIONS if i.opcode == opcode):
            low, high = (-(1 << field.bits - 1), (1 << field.bits - 1) - 1) if field.signed else (0, (1 << field.bits) - 1)
            small = rng.randrange(0, min(high, 3) + 1)
            fields[field.name] = small if rng.random() < 0.9 else rng.randint(low, high)
            if field.name.endswith("slot"):
                fields[field.name] = rng.randrange(self.config.weight_tiles)
            elif field.name in ("rows", "columns", "inner", "batch"):
                fields[field.name] = rng.randrange(1, 4)
            elif field.name == "valid_columns":
                fields[field.name] = rng.randrange(1, 3 * self.config.tile)
        assert not fields.keys() & {f.name for f in HEADER}
        return fields
