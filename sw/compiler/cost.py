"""How long instructions take, roughly: what the planner decides by. The simulation, not this, says how long they do take."""

import numpy as np

from ...hw.spec.isa import Engine, LoopOrder, Opcode
from ..golden.tiles import tiles_of
from .loop_order import order_cost

__all__ = ["Cost"]

_MATRIX_LATENCY, _SOFTMAX_LATENCY, _LAYERNORM_LATENCY, _MEMORY_LATENCY = 50, 40, 5, 70
_NORM_SCALARS, _ROW_GAP, _INDEX_GAP = 40, 2, 10
_BANK_USE = 0.4
"""Share of the banks that units which read independently keep busy."""


class Cost:
    """Cycles per step, from its shape, and from how sparse its operands are: exactly for constants, as expected for the rest.

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
        self._graph, self._config = graph, config
        self._nonzeros = {}

    def resource(self, step):
        """What the step occupies: its engine; the vector engine runs softmax and layer-norm side by side."""
        return step.opcode if step.engine is Engine.VECTOR else step.engine

    def servers(self, resource):
        """How many parts of steps the resource works on at once."""
        return {Opcode.SOFTMAX: self._config.softmax_units, Opcode.LAYERNORM: self._config.layernorm_units}.get(resource, 1)

    def parts(self, step):
        """In how many parts, one after the other, the step is handed to the servers: tile rows to units."""
        return step.fields["rows"] if step.engine is Engine.VECTOR else 1

    def busy(self, step):
        """Cycles for which one part of the step occupies its server."""
        match step.opcode:
            case Opcode.MATMUL:
                return self._matmul(step)
            case Opcode.SOFTMAX | Opcode.LAYERNORM:
                return self._row(step)
            case Opcode.GATHER:
                row_bits = step.fields["columns"] * self._config.line_bits
                row = -(-row_bits // self._config.bus_width) + (_ROW_GAP if row_bits % self._config.bus_width else 0)
                return step.fields["rows"] * (self._config.tile * row + _INDEX_GAP)
            case Opcode.LOAD:
                block = step.fields["block"]
                return self._transfer(self._tiles(block.owner)[block.row: block.row + block.rows])
            case Opcode.STORE:
                return self._transfer(np.full((step.fields["rows"], step.fields["columns"]), self._config.tile**2))
        return 0

    def latency(self, step):
        """Cycles more until a step of another engine that waits for this one is at work."""
        latencies = {Opcode.MATMUL: _MATRIX_LATENCY, Opcode.SOFTMAX: _SOFTMAX_LATENCY, Opcode.LAYERNORM: _LAYERNORM_LATENCY}
        return latencies.get(step.opcode, _MEMORY_LATENCY)

    def load(self, block):
        """Cycles of the LOAD that brings a block."""
        if block.home == "vector":
            return block.columns * self._config.line_bits / self._config.bus_width + _ROW_GAP
        return self._transfer(self._tiles(block.sources[0])[:, block.column: block.column + block.columns])

    def _transfer(self, nonzeros):
        """Cycles to move packed tiles, from the numbers of their non-zero values: a mask and the lines in use of each."""
        config = self._config
        lines = int((-(-nonzeros // config.tile)).sum())
        return max(nonzeros.size + lines, (nonzeros.size * config.mask_bits + lines * config.line_bits) / config.bus_width)

    def _tiles(self, name):
        """How many values of each tile of a constant are not zero."""
        if name not in self._nonzeros:
            self._nonzeros[name] = (tiles_of(self._graph.constants[name].numpy(), self._graph.tile) != 0).sum((2, 3))
        return self._nonzeros[name]

    def _matmul(self, step):
        fields, config = step.fields, self._config
        groups = -(-fields["rows"] // config.grid_rows) * -(-fields["columns"] // config.grid_columns)
        cost = order_cost(LoopOrder(fields["order"]), fields["rows"], fields["inner"], fields["columns"], fields["batch"],
                          config, **self.densities(step.places["a"], step.places["b"]))
        return max(groups * config.tile, cost.cycles)

    def densities(self, a, b):
        """Expected densities of the operands of a product, two Regions, as `order_cost` takes them."""
        return {"a_density": self._density(a), "b_density": self._density(b)}

    def _density(self, region):
        if region.home == "activation":
            return self._graph.tensors[region.owner].density
        name, _, first = region.owner.rpartition(".")
        first = int(first) + region.column
        return float(self._tiles(name)[:, first: first + region.columns].mean()) / self._graph.tile**2

    def _row(self, step):
        config, columns = self._config, step.fields["columns"]
        if step.opcode is Opcode.SOFTMAX:
            return config.tile * (columns + -(-step.fields["valid_columns"] // config.tile))
        words = min(step.fields["rows"], config.layernorm_units) * config.layernorm_slices * (1 + step.fields["residual"])
        wait = max(1.0, words / config.lines_per_beat / (_BANK_USE * config.activation_banks))
        return wait * 2 * config.tile * -(-columns // config.layernorm_slices) + _NORM_SCALARS
