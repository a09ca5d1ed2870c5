"""LOAD: packed tiles, or lines of vectors, to a buffer."""

from dataclasses import dataclass
from typing import Any

from ....hw.spec.isa import Buffer, Opcode
from ....hw.spec.transfer import lines_at_once
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
    operation: Any = None
    clusters: tuple[int, ...] = ()

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
        """The beats of the lines, or of the packed tiles; of weights those of the port with most of them."""
        if self.o.home == "vector":
            return self.o.columns * cost.config.vector_line_bits / cost.config.bus_width + _ROW_GAP
        config = cost.config
        if self.block is None:
            nonzeros, bits = cost.nonzeros(self.operation.values)[self._rows(cost.graph.tile)], config.line_bits
        else:
            first, bits = self.block.column, config.weight_line_bits
            nonzeros = cost.nonzeros(self.block.sources[0])[:, first: first + self.block.columns]
        ports = 1 if self.block is None else config.memory_ports
        at_once = lines_at_once(bits, config.bus_width, config.lines_per_beat)
        return max(cost.transfer(nonzeros.ravel()[port::ports], bits, at_once) for port in range(ports))

    def contents(self, graph, config, indices):
        """The packed tiles of what it brings."""
        rows, tile = self._rows(graph.tile), graph.tile
        matrix = graph.constants[self.operation.values].numpy()[rows.start * tile: rows.stop * tile]
        return pack_matrix(matrix, tile, config.width)

    def _rows(self, tile):
        """Which tile rows of the operation's values it brings."""
        first = self.o.tensor_row + (self.operation.first - self.operation.o.row) // tile
        return slice(first, first + self.o.rows)

    def fields(self, places):
        """See `Step`."""
        address, count = places.addresses[self if self.block is None else self.block.owner]
        area = self.counts | places.tiles(self.o)
        if places.striped and self.o.home == "weight":
            area |= {"rows": 1, "columns": self.o.rows * self.o.columns, "pitch": 0}
        return area | {
            "address": address, "bytes": count, "buffer": int(Buffer[self.o.home.upper()])}
