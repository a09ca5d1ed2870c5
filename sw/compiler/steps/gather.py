"""GATHER: rows of a table to the activation buffer."""

from dataclasses import dataclass

from ....hw.spec.isa import Opcode
from ...ir.graph import Gather
from .region import Region
from .step import Step

__all__ = ["GatherStep"]

_ROW_GAP, _INDEX_GAP = 2, 10


@dataclass(frozen=True)
class GatherStep(Step):
    """Some tile rows of a Gather."""

    operation: Gather
    o: Region
    clusters: tuple[int, ...] = ()

    opcode = Opcode.GATHER
    latency = 70
    section = "indices"

    @property
    def reads(self):
        """Nothing that lies in a buffer."""
        return []

    @property
    def writes(self):
        """Its result."""
        return [self.o]

    @property
    def counts(self):
        """Tiles of the result."""
        return {"rows": self.o.rows, "columns": self.o.columns}

    def busy(self, cost):
        """Every row is a transfer of its own; clusters have theirs one after the other, as far as they share a memory port."""
        config = cost.config
        bits = self.o.columns * config.line_bits
        row = -(-bits // config.bus_width) + (_ROW_GAP if bits % config.bus_width else 0)
        return -(-cost.clusters // config.memory_ports) * self.o.rows * (config.tile * row + _INDEX_GAP)

    def contents(self, graph, config, indices):
        """The row numbers."""
        first, count = self.o.tensor_row * graph.tile, self.o.rows * graph.tile
        return indices[self.operation.indices][first: first + count].numpy().astype("<u4").tobytes()

    def fields(self, places):
        """See `Step`."""
        address, row_bytes = places.tables[self.operation.table]
        return self.counts | places.tiles(self.o) | {
            "address": address, "indices": places.addresses[self][0], "row_bytes": row_bytes}
