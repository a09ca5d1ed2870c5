"""Lowering: operations of the graph to steps, one instruction each, on whole tiles, in the order of computation."""

from dataclasses import dataclass, field
from itertools import groupby, pairwise, takewhile

from ..ir.errors import CompileError
from ..ir.graph import Gather, LayerNorm, Load, MatMul, Softmax, Store
from .cost import Cost
from .loop_order import best_order
from .steps import Block, GatherStep, LayerNormStep, LoadStep, MatMulStep, Region, SoftmaxStep, Step, StoreStep

__all__ = ["Plan", "lower"]


_GATHER_PARTS = 4
"""Gathers, and the layer-norms behind them, per group of tile rows."""

_BLOCK_TILES = 32
"""Tiles of a weight block in a fine plan, if that is a grid width of columns: a product starts when its first is there."""


@dataclass
class Plan:
    """Steps in order, and the blocks they need."""

    steps: list[Step] = field(default_factory=list)
    blocks: dict[str, Block] = field(default_factory=dict)


def lower(graph, config, *, chunks, stagger=0, order=None, fine=False):
    """Lower a graph.

    Products with weights are cut into blocks of columns, so that at most a quarter of the weight buffer (half, if one
    grid width of columns needs that much) is loaded at once, and into `chunks` groups of tile rows, so that the
    layer-norm of one group runs under the product of the next. With `stagger`, the scores of that many heads come before
    the first context, and the value projection runs under the first softmax.

    Parameters
    ----------
    graph : Graph
    config : AcceleratorConfig
    chunks : groups of tile rows, at least one grid height each
    stagger : heads in flight, from 1; 0, or another graph than an encoder's, keeps the order of the graph
    order : LoopOrder of every product, or None for the best of each
    fine : count `chunks` per sequence instead of per batch, cut attention and softmax too, gather in smaller groups, and load
        smaller blocks

    Returns
    -------
    Plan
    """
    stagger = stagger if _has_heads(graph.operations) else 0
    groups = _stagger(graph.operations, stagger) if stagger else [[operation] for operation in graph.operations]
    return _Lowering(graph, config, chunks, order, fine).run(groups)


def _has_heads(operations):
    """Whether each softmax stands between its scores and its context, as in an encoder: the value was made before."""
    return all(isinstance(after, MatMul) and after.a.tensor == softmax.o.tensor
               for softmax, after in pairwise(operations) if isinstance(softmax, Softmax))


def _stagger(operations, stagger):
    """Reorder attention: operations grouped so that consecutive products of one group may interleave their chunks."""
    groups: list[list] = []
    heads: list[list] = []
    for operation in operations:
        if isinstance(operation, Softmax):
            heads.append([groups.pop(), [operation]])
        elif heads and len(heads[-1]) == 2:
            heads[-1].append([operation])
        elif heads and isinstance(operation, MatMul) and operation.transpose:
            groups.append([operation])
        else:
            if heads:
                groups, heads = _interleave(groups, heads, stagger), []
            groups.append([operation])
    return groups


def _interleave(groups, heads, stagger):
    # Before the heads stand query, key and value; value moves behind the first softmaxes.
    query, key, value = groups[-3:]
    ordered = [*groups[:-3], query + key]
    for scores, softmax, _ in heads[:stagger]:
        ordered += [scores, softmax]
    ordered.append(value)
    for index, (_, _, context) in enumerate(heads):
        ordered.append(context)
        if index + stagger < len(heads):
            ordered += heads[index + stagger][:2]
    return ordered


class _Lowering:
    def __init__(self, graph, config, chunks, order, fine):
        self.graph, self.config, self.chunks, self.order, self.fine = graph, config, chunks, order, fine
        self.cost = Cost(graph, config)
        self.plan = Plan()
        self.vector_owner = {}
        self.gathered = {operation.o.tensor for operation in graph.operations if isinstance(operation, Gather)}

    def run(self, groups):
        """All groups, operation by operation."""
        self._group_vectors()
        for operations in groups:
            handler = {Gather: self._gather, MatMul: self._matmuls, Softmax: self._softmax, LayerNorm: self._layernorm,
                       Load: self._load, Store: self._store}[type(operations[0])]
            handler(operations)
        self._interleave_gathers()
        return self.plan

    def _tiles(self, view, home="activation"):
        size = self.graph.tile
        return Region(home, view.tensor, view.row // size, view.column // size, view.rows // size, view.columns // size)

    def _row_chunks(self, region, parts=1, anchor=None):
        """The region in groups of tile rows, each a multiple of the grid's height, or (fine) that in `parts` parts.

        Fine groups end at multiples of their size, counted from the top of the tensor, or as if the region began at `anchor`.
        """
        height = self.config.grid_rows
        if self.fine:
            units = -(-self.graph.sequence // self.graph.tile // height)
            step = -(-units // min(self.chunks, units)) * height
            step, row = max(min(step, 2), step // parts), region.row if anchor is None else anchor
            edges = [0, *range(step - row % step, region.rows, step), region.rows]
        else:
            units = -(-region.rows // height)
            count = min(self.chunks, units)
            edges = [min(units * n // count * height, region.rows) for n in range(count + 1)]
        return [Region(region.home, region.owner, region.row + low, region.column, high - low, region.columns)
                for low, high in zip(edges, edges[1:], strict=False)]

    def _column_parts(self, columns, parts):
        """(First, number) of the tile columns of each part, as many as whole grid widths allow."""
        width = self.config.grid_columns
        units = -(-columns // width)
        parts = min(parts, units) if self.fine else 1
        edges = [min(units * n // parts * width, columns) for n in range(parts + 1)]
        return [(low, high - low) for low, high in zip(edges, edges[1:], strict=False)]

    def _group_vectors(self):
        """One LOAD for the vectors of a group that follow each other, such as those of half a layer."""
        vectors = dict.fromkeys(name for operation in self.graph.operations for name in _vectors_of(operation))
        for number, (_, group) in enumerate(groupby(vectors, lambda name: self.graph.tensors[name].group)):
            names, line = tuple(group), 0
            owner = f"vectors.{number}"
            for name in names:
                self.vector_owner[name] = owner, line
                line += self.graph.tensors[name].columns // self.graph.tile
            self.plan.blocks[owner] = Block("vector", owner, 1, line, names)

    def _vector(self, name, column=0, columns=None):
        owner, line = self.vector_owner[name]
        columns = self.graph.tensors[name].columns // self.graph.tile if columns is None else columns
        return Region("vector", owner, 0, line + column, 1, columns)

    def _gather(self, operations):
        for operation in operations:
            for chunk in self._row_chunks(self._tiles(operation.o), _GATHER_PARTS):
                self.plan.steps.append(GatherStep(operation, chunk))

    def _interleave_gathers(self):
        """What the first rows need comes first, so that the layer-norm can start."""
        steps = self.plan.steps
        count = sum(1 for _ in takewhile(lambda step: isinstance(step, GatherStep | LoadStep), steps))
        steps[:count] = sorted(steps[:count], key=lambda step: step.writes[0].row)

    def _matmuls(self, operations):
        parts = [self._blocks_of(operation) for operation in operations]
        if all(len(blocks) == 1 for blocks in parts):
            lists = [list(self._chunked(operation, blocks[0])) for operation, blocks in zip(operations, parts,
                                                                                            strict=True)]
            for emissions in zip(*lists, strict=True):
                for arguments in emissions:
                    self._matmul(*arguments)
            return
        for operation, blocks in zip(operations, parts, strict=True):
            for block in blocks:
                for arguments in self._chunked(operation, block):
                    self._matmul(*arguments)

    def _blocks_of(self, operation):
        """Column blocks of B as regions; those of weights are named, to be loaded."""
        size, graph, config = self.graph.tile, self.graph, self.config
        tensor = graph.tensors[operation.b.tensor]
        if tensor.home != "weight":
            return [(self._tiles(operation.b), 0)]
        inner, columns = tensor.rows // size, tensor.columns // size
        width = config.weight_tiles // 4 // inner
        if width < min(config.grid_columns, columns):
            width = config.weight_tiles // 2 // inner
        if width == 0:
            need = -(-2 * inner // config.weight_banks) * config.weight_banks
            raise CompileError(f"{tensor.name} has columns of {inner} tiles, of which the weight buffer must hold two, "
                               f"and has {config.weight_tiles}: raise weight_tiles to {need}")
        if self.fine:
            width = min(width, max(config.grid_columns, _BLOCK_TILES // inner))
        if columns > width >= config.grid_columns:
            width -= width % config.grid_columns
        count = -(-columns // width)
        unit = config.grid_columns if width % config.grid_columns == 0 else 1
        units = -(-columns // unit)
        edges = [min(units * n // count * unit, columns) for n in range(count + 1)]
        blocks = []
        for low, high in zip(edges, edges[1:], strict=False):
            owner = f"{tensor.name}.{low}"
            self.plan.blocks[owner] = Block("weight", owner, inner, high - low, (tensor.name,), low)
            blocks.append((Region("weight", owner, 0, 0, inner, high - low), low))
        return blocks

    def _chunked(self, operation, block):
        region, column = block
        a, c = self._tiles(operation.a), self._tiles(operation.c)
        transpose = operation.transpose
        if region.home == "activation" and not self.fine:
            pairs = [(a, c)]
        else:
            pairs = list(zip(self._row_chunks(a, anchor=c.row), self._row_chunks(c), strict=True))
        for rows, result in pairs:
            for first, count in self._column_parts(region.rows if transpose else region.columns, operation.column_parts):
                b = (Region(region.home, region.owner, region.row + first, region.column, count, region.columns) if transpose
                     else Region(region.home, region.owner, region.row, region.column + first, region.rows, count))
                part = Region(c.home, c.owner, result.row, result.column + column + first, result.rows, count)
                yield operation, rows, b, part, column + first

    def _matmul(self, operation, a, b, c, column):
        order = self.order
        if order is None:
            order = best_order(a.rows, a.columns, c.columns, 1, self.config,
                               **self.cost.densities(operation, column, c.columns))
        bias = None if operation.bias is None else self._vector(operation.bias, column, c.columns)
        self.plan.steps.append(MatMulStep(operation, a, b, c, bias, column, order))

    def _softmax(self, operations):
        for operation in operations:
            whole = [self._tiles(operation.x), self._tiles(operation.o)]
            for x, o in zip(*map(self._row_chunks, whole), strict=True) if self.fine else [whole]:
                self.plan.steps.append(SoftmaxStep(operation, x, o))

    def _layernorm(self, operations):
        for operation in operations:
            gamma, beta = (self._vector(name) for name in (operation.gamma, operation.beta))
            parts = _GATHER_PARTS if operation.x.tensor in self.gathered else 1
            x, o = self._tiles(operation.x), self._tiles(operation.o)
            results = self._row_chunks(o, parts)
            rows = [x] * len(results) if operation.x.batch > 1 else self._row_chunks(x, parts, o.row)
            residuals = [None] * len(results)
            if operation.residual:
                residuals = self._row_chunks(self._tiles(operation.residual), parts, o.row)
            for group in zip(rows, residuals, results, strict=True):
                self.plan.steps.append(LayerNormStep(operation, *group, gamma, beta))

    def _load(self, operations):
        for operation in operations:
            self.plan.steps += [LoadStep(chunk, operation=operation) for chunk in self._row_chunks(self._tiles(operation.o))]

    def _store(self, operations):
        self.plan.steps += [StoreStep(operation, self._tiles(operation.x)) for operation in operations]


def _vectors_of(operation):
    if isinstance(operation, LayerNorm):
        return [operation.gamma, operation.beta]
    return [operation.bias] if isinstance(operation, MatMul) and operation.bias else []
