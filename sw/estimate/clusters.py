"""The clusters in time: their buffers and both of their engines."""

import numpy as np

from ...hw.spec.isa import Opcode
from .banks import new_banks
from .buffers import Buffers
from .matrix_engine import MatrixEngine, Product
from .vector_engine import VectorEngine

__all__ = ["Clusters"]

_FOLLOWED_PES = 64
"""PEs of all clusters that are followed, at least those of one: the others have as much to do."""

_JOIN = 1
"""Cycles until it is known that all clusters are done."""


class Clusters:
    """The same instructions in every cluster: each is taken, and done, when the last cluster takes it, and is done.

    Parameters
    ----------
    program : Program
    tensors, densities, seed : see `Buffers`

    Members
    -------
    counters : performance counters that only these engines know, by name, of all clusters
    periods : (opcode, unit, start, end) of every tile row, in the first cluster
    """

    def __init__(self, program, tensors, densities, seed):
        config = program.config
        followed = min(config.clusters, max(1, _FOLLOWED_PES // config.cluster.pes))
        self._scale, self._join = config.clusters / followed, _JOIN * (config.clusters > 1)
        self._all = [_Cluster(program, tensors, densities, seed, number) for number in range(followed)]

    @property
    def first(self):
        """The Buffers of the first cluster."""
        return self._all[0].buffers

    @property
    def counters(self):
        return {name: round(self._scale * sum(one.matrix.counters[name] for one in self._all))
                for name in self._all[0].matrix.counters}

    @property
    def periods(self):
        return self._all[0].vector.periods

    def named(self, fields):
        """The clusters that an instruction is for, as far as they are followed."""
        named = fields.get("clusters", 0)
        return [one for number, one in enumerate(self._all) if not named or named >> number & 1]

    def load(self, fields):
        """See `Buffers.load`."""
        return [one.buffers.load(fields) for one in self.named(fields)][0]

    def read(self, fields):
        """See `Buffers.read`; of a cluster that is not followed, as the first one has it."""
        return (self.named(fields) or self._all)[0].buffers.read(fields)

    def gather(self, number, fields):
        """What a GATHER leaves in the buffers."""
        for one in self.named(fields):
            one.buffers.write(number, Opcode.GATHER, fields)

    def multiply(self, number, fields, offered):
        """A MATMUL; returns a Product."""
        products = []
        for one in self.named(fields):
            counts = one.buffers.write(number, Opcode.MATMUL, fields)
            products.append(one.matrix.run(fields, offered, counts))
        if not fields["b_buffer"]:
            # All clusters get the same weights, so the last one decides when.
            asked = np.max([one.matrix.asked for one in self._all], axis=0)
            for one in self._all:
                one.matrix.asked[:] = asked
        if not products:
            return Product(offered, offered, offered, offered, np.zeros(4, np.int64))
        return Product(max(one.accepted for one in products), max(one.done for one in products) + self._join,
                       min(one.first for one in products), max(one.last for one in products),
                       np.round(self._scale * sum(one.tally for one in products)).astype(np.int64))

    def stream(self, number, opcode, fields, offered):
        """A SOFTMAX or LAYERNORM; when it is taken, and when it is done."""
        times = []
        for one in self.named(fields):
            one.buffers.write(number, opcode, fields)
            times.append(one.vector.run(opcode, fields, offered))
        accepted, done = (max(values) for values in zip(*times, strict=True)) if times else (offered, offered)
        return accepted, done + self._join


class _Cluster:
    def __init__(self, program, tensors, densities, seed, number):
        config = program.config.cluster
        self.buffers = Buffers(program, tensors, densities, seed, cluster=number)
        banks = new_banks()
        self.matrix = MatrixEngine(config, self.buffers, banks)
        self.vector = VectorEngine(config, self.buffers, banks)
