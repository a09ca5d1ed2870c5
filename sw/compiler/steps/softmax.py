"""SOFTMAX: probabilities of rows of scores."""

from dataclasses import dataclass

from ....hw.spec.isa import Opcode
from ...ir.graph import Softmax
from .region import Region
from .step import Step

__all__ = ["SoftmaxStep"]


@dataclass(frozen=True)
class SoftmaxStep(Step):
    """Some tile rows of a Softmax; each is a part for one unit."""

    operation: Softmax
    x: Region
    o: Region
    clusters: tuple[int, ...] = ()

    opcode = Opcode.SOFTMAX
    latency = 40

    @property
    def reads(self):
        """The scores."""
        return [self.x]

    @property
    def writes(self):
        """The probabilities."""
        return [self.o]

    @property
    def counts(self):
        """Tiles of either."""
        return {"rows": self.x.rows, "columns": self.x.columns}

    @property
    def parts(self):
        """Tile rows."""
        return self.x.rows

    def servers(self, config):
        """The units."""
        return config.softmax_units

    def busy(self, cost):
        """Both passes over a tile row."""
        tile = cost.config.tile
        return tile * (self.x.columns + -(-self.operation.valid_columns // tile))

    def fields(self, places):
        """See `Step`."""
        one = self.operation
        return self.counts | places.tiles(self.x, "x_") | places.tiles(self.o, "o_") | {
            "valid_columns": one.valid_columns, "x_shift": one.x_shift, "o_frac": one.o_frac, "curve": one.curve}
