"""How long instructions take, roughly: what the planner decides by. The simulation, not this, says how long they do take."""

import torch

from ...hw.isa import Engine, LoopOrder, Opcode
from .loop_order import order_cost

__all__ = ["Cost"]

_MATRIX_LATENCY, _SOFTMAX_LATENCY, _LAYERNORM_LATENCY, _MEMORY_LATENCY = 50, 40, 5, 70
_NORM_SCALARS, _ROW_GAP, _INDEX_GAP = 40, 2, 10
_BANK_USE = 0.4
"""Share of the banks that units which read independently keep busy."""


class Cost:
    """Cycles per step, from its shape, and from how sparse its operands will be.

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
        self._activations = 1 - graph.target / 256 if graph.curves and graph.target else 1.0
        self._weights = {}

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
            case Opcode.LOAD | Opcode.STORE:
                return step.fields["rows"] * step.fields["columns"] * self._tile_load(1.0)
        return 0

    def latency(self, step):
        """Cycles more until a step of another engine that waits for this one is at work."""
        latencies = {Opcode.MATMUL: _MATRIX_LATENCY, Opcode.SOFTMAX: _SOFTMAX_LATENCY, Opcode.LAYERNORM: _LAYERNORM_LATENCY}
        return latencies.get(step.opcode, _MEMORY_LATENCY)

    def load(self, block):
        """Cycles of the LOAD that brings a block."""
        if block.home == "vector":
            return block.columns * self._config.line_bits / self._config.bus_width + _ROW_GAP
        return block.rows * block.columns * self._tile_load(self._density(block.sources[0]))

    def _tile_load(self, density):
        config = self._config
        lines = density * config.tile
        return max(1 + lines, (config.mask_bits + lines * config.line_bits) / config.bus_width)

    def _matmul(self, step):
        fields, config = step.fields, self._config
        groups = -(-fields["rows"] // config.grid_rows) * -(-fields["columns"] // config.grid_columns)
        cost = order_cost(LoopOrder(fields["order"]), fields["rows"], fields["inner"], fields["columns"], fields["batch"],
                          config, **self.densities(step.places["b"]))
        return max(groups * config.tile, cost.cycles)

    def densities(self, b):
        """Expected densities of the operands of a product with this B (a Region), as `order_cost` takes them."""
        density = self._activations if b.home == "activation" else self._density(b.owner.rpartition(".")[0])
        return {"a_density": self._activations, "b_density": density}

    def _density(self, name):
        if name not in self._weights:
            self._weights[name] = float((self._graph.constants[name] != 0).to(torch.float64).mean())
        return self._weights[name]

    def _row(self, step):
        config, columns = self._config, step.fields["columns"]
        if step.opcode is Opcode.SOFTMAX:
            return config.tile * (columns + -(-step.fields["valid_columns"] // config.tile))
        words = min(step.fields["rows"], config.layernorm_units) * config.layernorm_slices * (1 + step.fields["residual"])
        wait = max(1.0, words / config.lines_per_beat / (_BANK_USE * config.activation_banks))
        return wait * 2 * config.tile * -(-columns // config.layernorm_slices) + _NORM_SCALARS
