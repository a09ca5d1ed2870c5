"""How long instructions take, roughly: what the planner decides by. The simulation, not this, says how long they do take."""

from ..golden.tiles import tiles_of
from ..ir.densities import is_even
from .steps import LoadStep

__all__ = ["Cost"]


class Cost:
    """Cycles per step, from its shape, and from how sparse its operands are: exactly for constants, as expected for the rest.

    The formulas stand with the steps; here is what they share.

    Parameters
    ----------
    graph : Graph
    config : AcceleratorConfig

    Members
    -------
    begin : cycles until the first data come from main memory
    """

    begin = 130

    def __init__(self, graph, config):
        self.graph, self.config = graph, config
        self._nonzeros, self._even = {}, {}

    def servers(self, step):
        """How many parts of steps the resource of a step works on at once."""
        return step.servers(self.config)

    def busy(self, step):
        """Cycles for which one part of the step occupies its server."""
        return step.busy(self)

    def load(self, block):
        """Cycles of the LOAD that brings a block."""
        return LoadStep.of(block).busy(self)

    def transfer(self, nonzeros):
        """Cycles to move packed tiles, from the numbers of their non-zero values: a mask and the lines in use of each."""
        config = self.config
        lines = int((-(-nonzeros // config.tile)).sum())
        return max(nonzeros.size + lines, (nonzeros.size * config.mask_bits + lines * config.line_bits) / config.bus_width)

    def nonzeros(self, name):
        """How many values of each tile of a constant are not zero."""
        if name not in self._nonzeros:
            self._nonzeros[name] = (tiles_of(self.graph.constants[name].numpy(), self.graph.tile) != 0).sum((2, 3))
        return self._nonzeros[name]

    def even(self, name):
        """Whether the zeros of a constant are spread evenly, see `is_even`."""
        if name not in self._even:
            self._even[name] = is_even(self.graph.constants[name].numpy() != 0)
        return self._even[name]

    def densities(self, operation, column, columns):
        """Expected densities of the operands of some tile columns of a MatMul, as `order_cost` takes them."""
        a, b = (self.graph.tensors[view.tensor] for view in (operation.a, operation.b))
        share, even = b.density, False
        if b.home == "weight":
            share = float(self.nonzeros(b.name)[:, column: column + columns].mean()) / self.graph.tile**2
            even = self.even(b.name)
        return {"a_density": a.density, "b_density": share, "b_even": even}
