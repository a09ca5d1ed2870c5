"""How long instructions take, roughly: what the planner decides by. The simulation, not this, says how long they do take."""

import numpy as np

from ..ir.densities import is_even
from .loop_order import best_order, order_cost
from .steps import LoadStep
from .write_ports import leaving

__all__ = ["Cost"]


class Cost:
    """Cycles per step, from its shape, and from how sparse its operands are: exactly for constants, as expected for the rest.

    The formulas stand with the steps; here is what they share.

    Parameters
    ----------
    graph : Graph
    config : AcceleratorConfig of one cluster
    clusters : how many there are

    Members
    -------
    begin : cycles until the first data come from main memory
    """

    begin = 130

    def __init__(self, graph, config, clusters=1):
        self.graph, self.config, self.clusters = graph, config, clusters
        self._nonzeros, self._even = {}, {}
        self._orders, self._cycles, self._leaving = {}, {}, {}

    def servers(self, step):
        """How many parts of steps the resource of a step works on at once."""
        return step.servers(self.config)

    def busy(self, step):
        """Cycles for which one part of the step occupies its server."""
        return step.busy(self)

    def load(self, block):
        """Cycles of the LOAD that brings a block."""
        return LoadStep.of(block).busy(self)

    def transfer(self, nonzeros, line_bits, at_once=1):
        """Cycles to move packed tiles, from the numbers of their non-zero values: a mask and the lines in use of each.

        Parameters
        ----------
        nonzeros : of each tile
        line_bits : bits of a line
        at_once : lines that move in a cycle
        """
        config, lines = self.config, -(-nonzeros // self.config.tile)
        bits = nonzeros.size * config.mask_bits + int(lines.sum()) * line_bits
        return max(nonzeros.size + int((-(-lines // at_once)).sum()), bits / config.bus_width)

    def nonzeros(self, name):
        """How many values of each tile of a constant are not zero."""
        if name not in self._nonzeros:
            tile, flags = self.graph.tile, self.graph.constants[name].numpy() != 0
            strips = flags.reshape(flags.shape[0], -1, tile).sum(2, dtype=np.uint16)
            self._nonzeros[name] = strips.reshape(-1, tile, strips.shape[1]).sum(1, dtype=np.int64)
        return self._nonzeros[name]

    def even(self, name):
        """Whether the zeros of a constant are spread evenly, see `is_even`."""
        if name not in self._even:
            self._even[name] = is_even(self.graph.constants[name].numpy() != 0)
        return self._even[name]

    def best_order(self, operation, column, rows, inner, columns):
        """The LoopOrder of the least cost for some rows and tile columns of a MatMul, by its densities in hundredths."""
        densities = {name: round(value, 2) for name, value in self.densities(operation, column, columns).items()}
        key = rows, inner, columns, *densities.values()
        if key not in self._orders:
            self._orders[key] = best_order(rows, inner, columns, 1, self.config, **densities)
        return self._orders[key]

    def grid_cycles(self, order, rows, inner, columns, **densities):
        """Cycles of the grid for a product in a LoopOrder, see `order_cost`."""
        key = order, rows, inner, columns, *densities.values()
        if key not in self._cycles:
            self._cycles[key] = order_cost(order, rows, inner, columns, 1, self.config, **densities).cycles
        return self._cycles[key]

    def leaving(self, name, rows, columns):
        """Cycles in which some tile rows and columns of a tensor leave the grid, see `write_ports`."""
        key = name, rows, columns
        if key not in self._leaving:
            self._leaving[key] = leaving(rows, columns, self.config, self.graph.tensors[name].density)
        return self._leaving[key]

    def densities(self, operation, column, columns):
        """Expected densities of the operands of some tile columns of a MatMul, as `order_cost` takes them."""
        a, b = (self.graph.tensors[view.tensor] for view in (operation.a, operation.b))
        share, even = b.density, False
        if b.home == "weight":
            share = float(self.nonzeros(b.name)[:, column: column + columns].mean()) / self.graph.tile**2
            even = self.even(b.name)
        return {"a_density": a.density, "b_density": share, "b_even": even}
