"""Which instructions of a program may touch the same tiles at the same time, from the tokens alone."""

from dataclasses import dataclass

import numpy as np

from acceltran.hw.spec.isa import Buffer, Engine, Opcode

from .tile_operations import slots_of

__all__ = ["Footprints", "Hazards"]


class Footprints:
    """What instructions read and write, as integers with a bit for each slot of each buffer, and each line.

    Members
    -------
    size : bits
    """

    def __init__(self, config):
        c = self._config = config
        self._first = {Buffer.WEIGHT: 0, Buffer.VECTOR: c.weight_tiles, Buffer.ACTIVATION: c.weight_tiles + c.vector_lines}
        self._each = c.cluster.activation_tiles
        self.size = self._first[Buffer.ACTIVATION] + c.clusters * self._each

    def bits(self, buffer, places, clusters=(0,)):
        """The bits of slots or lines."""
        word = 0
        for place in np.unique(places).tolist():
            word |= 1 << place
        if buffer != Buffer.ACTIVATION:
            return word << self._first[buffer]
        return sum(word << self._first[buffer] + cluster * self._each for cluster in clusters)

    def of(self, opcode, f, clusters):
        """(read, written, whether it reads or writes again what it wrote)."""
        area = [f.get(name) for name in ("slot", "pitch", "rows", "columns")]
        if opcode is Opcode.LOAD:
            places = f["slot"] + np.arange(f["columns"]) if f["buffer"] == Buffer.VECTOR else slots_of(*area)
            return 0, self.bits(Buffer(f["buffer"]), places, clusters), False
        if opcode is Opcode.GATHER:
            return 0, self.bits(Buffer.ACTIVATION, slots_of(*area), clusters), False
        if opcode is Opcode.STORE:
            return self.bits(Buffer.ACTIVATION, slots_of(*area), clusters), 0, False
        if opcode is Opcode.MATMUL:
            read, written = self._of_product(f)
        elif opcode in (Opcode.SOFTMAX, Opcode.LAYERNORM):
            read, written = self._of_rows(opcode, f)
        else:
            return 0, 0, False
        reads = 0
        for buffer, places in read:
            reads |= self.bits(buffer, places, clusters)
        writes = self.bits(Buffer.ACTIVATION, written, clusters)
        return reads, writes, bool(reads & writes) or len(np.unique(written)) < written.size

    def _of_product(self, f):
        def area(name, rows, columns):
            batch = f[f"{name}_batch"] * np.arange(f["batch"])[:, None, None]
            return batch + slots_of(f[f"{name}_slot"], f[f"{name}_pitch"], rows, columns)

        stored = (f["columns"], f["inner"]) if f["transpose"] else (f["inner"], f["columns"])
        read = [(Buffer.ACTIVATION, area("a", f["rows"], f["inner"])),
                (Buffer.ACTIVATION if f["b_buffer"] else Buffer.WEIGHT, area("b", *stored))]
        if f["bias"]:
            read.append((Buffer.VECTOR, f["bias_line"] + np.arange(f["columns"])))
        return read, area("c", f["rows"], f["columns"])

    def _of_rows(self, opcode, f):
        def area(name):
            return slots_of(f[f"{name}_slot"], f[f"{name}_pitch"], f["rows"], f["columns"])

        read = [(Buffer.ACTIVATION, area("x"))]
        if opcode is Opcode.LAYERNORM:
            read += [(Buffer.VECTOR, f[name] + np.arange(f["columns"])) for name in ("gamma_line", "beta_line")]
            read += [(Buffer.ACTIVATION, area("r"))] if f["residual"] else []
        return read, area("o")


@dataclass
class _Begun:
    engine: Engine
    ordinal: int
    reads: int
    writes: int
    known: dict


class Hazards:
    """Follows a program in an order in which it may run, and tells whether it may run in another with other results.

    What is complete when an instruction begins follows from the tokens that it takes, from what its engine knew when it began
    the one before, and from the order of STOREs: one begins when everything before it in its engine is complete, and nothing
    behind it begins before it is.

    Members
    -------
    found : whether two instructions that are in no order touch the same place, and one of them writes it
    """

    def __init__(self):
        self.found = False
        self._begun, self._given = [], {(p, c): [] for p in Engine for c in Engine}
        self._taken = dict.fromkeys(self._given, 0)
        self._last = {engine: (0, dict.fromkeys(Engine, 0), False) for engine in Engine}

    def add(self, engine, opcode, fields, reads, writes, again):
        """The next instruction, which begins and is complete."""
        ordinal, known, stored = self._last[engine]
        ordinal, known = ordinal + 1, dict(known)
        if stored or opcode is Opcode.STORE:
            known[engine] = ordinal - 1
        for producer in Engine:
            self._taken[producer, engine] += fields[f"wait_{producer.name.lower()}"]
            if fields[f"wait_{producer.name.lower()}"]:
                giver, at_its_start = self._given[producer, engine][self._taken[producer, engine] - 1]
                for other, seen in at_its_start.items():
                    known[other] = max(known[other], seen)
                known[producer] = max(known[producer], giver)
        self._last[engine] = ordinal, known, opcode is Opcode.STORE
        for consumer in Engine:
            if fields["signal"] >> consumer & 1:
                self._given[engine, consumer].append((ordinal, known))
        self.found |= again
        if reads or writes:
            self.found |= any(
                one.ordinal > known[one.engine] and (one.writes & (reads | writes) or one.reads & writes)
                for one in self._begun)
            self._begun.append(_Begun(engine, ordinal, reads, writes, known))
