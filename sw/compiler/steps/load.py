"""LOAD: packed tiles, or lines of vectors, to a buffer."""

from dataclasses import dataclass

from ....hw.spec.isa import Buffer, Opcode
from ...ir.graph import Load
from ..image import pack_matrix
from .region import Block, Region
from .step import Step

__all__ = ["LoadStep"]

_ROW_GAP = 2


@dataclass(frozen=True)
class LoadStep(Step):
    """Of a block; or, without one, some tile rows of a Load."""

    o: Region
    block: Block | None = None
    operation: Load | None = None

    opcode = Opcode.LOAD
    latency = 70
    section = "activations"

    @classmethod
    def of(cls, block):
        """The LOAD of a block."""
        return cls(block.region, block)

    @property
    def reads(self):
        """Nothing that lies in a buffer."""
        return []

    @property
    def writes(self):
        """What it brings."""
        return [self.o]

    @property
    def counts(self):
        """Tiles, or lines."""
        return {"rows": self.o.rows, "columns": self.o.columns}

    def busy(self, cost):
        """The beats of the lines, or of the packed tiles."""
        if self.o.home == "vector":
            return self.o.columns * cost.config.line_bits / cost.config.bus_width + _ROW_GAP
        if self.block is None:
            return cost.transfer(cost.nonzeros(self.o.owner)[self.o.row: self.o.row + self.o.rows])
        first = self.block.column
        return cost.transfer(cost.nonzeros(self.block.sources[0])[:, first: first + self.block.columns])

    def contents(self, graph, config, indices):
        """The packed tiles of an activation tensor's rows."""
        rows = graph.constants[self.o.owner].numpy()[self.o.row * graph.tile:][: self.o.rows * graph.tile]
        return pack_matrix(rows, graph.tile, config.width)

    def fields(self, places):
        """See `Step`."""
        address, count = places.addresses[self if self.block is None else self.block.owner]
        return self.counts | places.tiles(self.o) | {
            "address": address, "bytes": count, "buffer": int(Buffer[self.o.home.upper()])}
