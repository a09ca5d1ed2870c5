"""STORE: packed tiles of the activation buffer to main memory."""

from dataclasses import dataclass

import numpy as np

from ....hw.spec.isa import Opcode
from ...ir.graph import Store
from .region import Region
from .step import Step

__all__ = ["StoreStep"]


@dataclass(frozen=True)
class StoreStep(Step):
    """All of a Store."""

    operation: Store
    x: Region
    clusters: tuple[int, ...] = ()

    opcode = Opcode.STORE
    latency = 70
    section = "outputs"

    @property
    def reads(self):
        """What it stores."""
        return [self.x]

    @property
    def writes(self):
        """Nothing that lies in a buffer."""
        return []

    @property
    def counts(self):
        """Tiles."""
        return {"rows": self.x.rows, "columns": self.x.columns}

    def busy(self, cost):
        """As if no value were zero, one cluster's after another's."""
        return cost.clusters * cost.transfer(np.full((self.x.rows, self.x.columns), cost.config.tile**2), cost.config.line_bits)

    def most_bytes(self, config):
        """Bytes of its tiles if no value is zero."""
        return self.x.rows * self.x.columns * config.tile**2 * (1 + config.width) // 8

    def contents(self, graph, config, indices):
        """Room for the most that it writes, in whole beats."""
        bus_bytes = config.bus_width // 8
        return -(-self.most_bytes(config) // bus_bytes) * bus_bytes

    def fields(self, places):
        """See `Step`."""
        return self.counts | places.tiles(self.x) | {"address": places.addresses[self][0]}
