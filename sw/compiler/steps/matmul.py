"""MATMUL: a product, its bias, its activation function."""

from dataclasses import dataclass

from ....hw.spec.isa import Function, LoopOrder, Opcode
from ...ir.graph import MatMul
from .region import Region
from .step import Step

__all__ = ["MatMulStep"]


@dataclass(frozen=True)
class MatMulStep(Step):
    """Some rows and columns of a MatMul.

    Parameters
    ----------
    operation : MatMul
    a, b, c, bias : regions; B is a part of a block, or of an activation tensor
    column : first of the operation's tile columns
    order : LoopOrder
    """

    operation: MatMul
    a: Region
    b: Region
    c: Region
    bias: Region | None
    column: int
    order: LoopOrder

    opcode = Opcode.MATMUL
    latency = 50

    @property
    def reads(self):
        """Operands and bias."""
        return [self.a, self.b] if self.bias is None else [self.a, self.b, self.bias]

    @property
    def writes(self):
        """Its result."""
        return [self.c]

    @property
    def counts(self):
        """Tiles of A and C."""
        return {"rows": self.a.rows, "inner": self.a.columns, "columns": self.c.columns}

    def densities(self, cost):
        """Expected densities of its operands, see `Cost.densities`."""
        return cost.densities(self.operation, self.column, self.c.columns)

    def busy(self, cost):
        """The grid's cycles, or those in which the results leave it."""
        counts = self.counts
        return max(cost.leaving(self.operation.c.tensor, counts["rows"], counts["columns"]),
                   cost.grid_cycles(self.order, **counts, **self.densities(cost)))

    def fields(self, places):
        """See `Step`."""
        one = self.operation
        return self.counts | places.tiles(self.a, "a_") | places.tiles(self.b, "b_") | places.tiles(self.c, "c_") | {
            "b_buffer": int(self.b.home == "activation"), "transpose": int(one.transpose), "batch": 1, "a_batch": 0,
            "b_batch": 0, "c_batch": 0, "order": int(self.order), "bias": int(self.bias is not None),
            "bias_line": 0 if self.bias is None else places.slot(self.bias), "bias_shift": one.bias_shift, "shift": one.shift,
            "function": int(Function[one.function.upper()]), "function_shift": one.function_shift, "curve": one.curve}
