"""LAYERNORM: rows plus their residual, normalised."""

from dataclasses import dataclass

from ....hw.spec.isa import Opcode
from ...ir.graph import LayerNorm
from .region import Region
from .step import Step

__all__ = ["LayerNormStep"]

_SCALARS = 40
_BANK_USE = 0.4
"""Share of the banks that units which read independently keep busy."""


@dataclass(frozen=True)
class LayerNormStep(Step):
    """Some tile rows of a LayerNorm; each is a part for one unit.

    Parameters
    ----------
    operation : LayerNorm
    x, residual, o : regions; x is one tile row that is read again and again where the operation's view of it has a batch
    gamma, beta : regions of the vector buffer
    """

    operation: LayerNorm
    x: Region
    residual: Region | None
    o: Region
    gamma: Region
    beta: Region

    opcode = Opcode.LAYERNORM
    latency = 5

    @property
    def reads(self):
        """Rows, residual and vectors."""
        return [self.x, *([] if self.residual is None else [self.residual]), self.gamma, self.beta]

    @property
    def writes(self):
        """Its result."""
        return [self.o]

    @property
    def counts(self):
        """Tiles of the result."""
        return {"rows": self.o.rows, "columns": self.o.columns}

    @property
    def parts(self):
        """Tile rows."""
        return self.o.rows

    def servers(self, config):
        """The units."""
        return config.layernorm_units

    def busy(self, cost):
        """Both passes over a tile row, slower where the units share the banks."""
        config = cost.config
        words = min(self.o.rows, config.layernorm_units) * config.layernorm_slices * (1 + (self.residual is not None))
        wait = max(1.0, words / config.lines_per_beat / (_BANK_USE * config.activation_banks))
        return wait * 2 * config.tile * -(-self.o.columns // config.layernorm_slices) + _SCALARS

    def fields(self, places):
        """See `Step`."""
        one = self.operation
        x = places.tiles(self.x, "x_") | ({"x_pitch": 0} if one.x.batch > 1 else {})
        residual = {"r_slot": 0, "r_pitch": 0} if self.residual is None else places.tiles(self.residual, "r_")
        return self.counts | x | residual | places.tiles(self.o, "o_") | {
            "residual": int(self.residual is not None), "gamma_line": places.slot(self.gamma),
            "beta_line": places.slot(self.beta), "x_shift": one.x_shift, "r_shift": one.r_shift,
            "reciprocal": one.reciprocal, "reciprocal_shift": one.reciprocal_shift, "epsilon": one.epsilon,
            "beta_shift": one.beta_shift, "shift": one.shift, "curve": one.curve}
