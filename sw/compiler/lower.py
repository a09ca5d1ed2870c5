"""Lowering: operations of the graph to steps, one instruction each, on whole tiles, in the order of computation."""

from dataclasses import dataclass, field, replace
from itertools import groupby, pairwise, takewhile

from ...hw.spec.isa import Opcode, fields_of
from ..ir.errors import CompileError
from ..ir.graph import Gather, LayerNorm, Load, MatMul, Softmax, Store
from .cost import Cost
from .pieces import Piece, Pieces
from .split import split_operations
from .steps import Block, GatherStep, LayerNormStep, LoadStep, MatMulStep, Region, SoftmaxStep, Step, StoreStep

__all__ = ["Plan", "lower"]


_GATHER_PARTS = 4
"""Gathers, and the layer-norms behind them, per group of tile rows."""

_BLOCK_TILES = 32
"""Tiles of a weight block in a fine plan, if that is a grid width of columns: a product starts when its first is there."""

_STRIPED_TILES = max((1 << one.bits) - 1 for one in fields_of(Opcode.LOAD) if one.name == "columns")
"""Tiles of a weight block at most where several memory ports share it, since they are one row of a LOAD then."""


@dataclass
class Plan:
    """Steps in order, the blocks they need, and the pieces of activation tensors, both by owner."""

    steps: list[Step] = field(default_factory=list)
    blocks: dict[str, Block] = field(default_factory=dict)
    pieces: dict[str, Piece] = field(default_factory=dict)

    def split_preload(self, resident, prefetch):
        """(Steps of the preload, without blocks; steps of the program), see `compile_graph`.

        What is prefetched is gathered by both: at the end of the program for its next run.
        """
        first = (*((LoadStep,) if resident else ()), *((GatherStep,) if prefetch else ()))
        preload = [step for step in self.steps if isinstance(step, first)]
        program = [step for step in self.steps if not isinstance(step, first)]
        return preload, program + [step for step in preload if isinstance(step, GatherStep)]


def lower(graph, config, *, chunks, stagger=0, order=None, fine=False, cost=None, split=None, resident=False):
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
    split : Split, which sets the order: `stagger` counts pieces of scores then
    resident : every block and every loaded tensor is brought once
    cost : Cost of the same graph, which remembers what it has calculated; None for a new one

    Returns
    -------
    Plan
    """
    lowering = _Lowering(graph, config, chunks, order, fine, cost or Cost(graph, config))
    if split:
        return lowering.run_split(split, max(1, stagger), resident)
    stagger = stagger if _has_heads(graph.operations) else 0
    groups = _stagger(graph.operations, stagger) if stagger else [[operation] for operation in graph.operations]
    return lowering.run(groups)


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
    def __init__(self, graph, config, chunks, order, fine, cost):
        self.graph, self.config, self.chunks, self.order, self.fine, self.cost = graph, config, chunks, order, fine, cost
        self.pieces = Pieces(graph)
        self.plan = Plan(pieces=self.pieces.by_owner)
        self.again = ""
        self.vector_owner = {}
        wide = [operation.b for operation in graph.operations if isinstance(operation, MatMul)
                and graph.tensors[operation.b.tensor].home == "weight"
                and operation.b.columns > config.grid_columns * graph.tile]
        self.last_weights = wide[-1].tensor if wide else None
        self.gathered = {operation.o.tensor for operation in graph.operations if isinstance(operation, Gather)}

    def run(self, groups):
        """All groups, operation by operation."""
        self._group_vectors()
        for operations in groups:
            self._lower(operations, {})
        self._interleave_gathers()
        return self.plan

    def run_split(self, split, stagger, resident):
        """The operations of a split graph; what does not fit beside everything else is brought again for each."""
        operations, cuts = split_operations(self.graph, split, stagger=stagger, resident=resident)
        self.pieces = Pieces(self.graph, cuts)
        self.plan.pieces = self.pieces.by_owner
        constants = [tensor for tensor in self.graph.tensors.values() if tensor.home in ("weight", "vector")]
        tiles, lines = (sum(tensor.rows * tensor.columns for tensor in constants if tensor.home == home) for home in
                        ("weight", "vector"))
        weights_again = not resident and tiles > self.config.weight_tiles * self.graph.tile**2
        vectors_again = not resident and lines > self.config.vector_lines * self.graph.tile
        if not vectors_again:
            self._group_vectors()
        for number, (operation, copies) in enumerate(operations):
            if weights_again:
                self.again = f"#{number}"
            if vectors_again and (names := _vectors_of(operation)):
                self._add_vectors(f"vectors.{number}", names)
            self._lower([operation], copies)
        return self.plan

    def _lower(self, operations, copies):
        handler = {Gather: self._gather, MatMul: self._matmuls, Softmax: self._softmax, LayerNorm: self._layernorm,
                   Load: self._load, Store: self._store}[type(operations[0])]
        first = len(self.plan.steps)
        handler(operations)
        self.plan.steps[first:] = [self.pieces.settled(step, copies) for step in self.plan.steps[first:]]

    def _tiles(self, view, home="activation"):
        size = self.graph.tile
        return Region(home, view.tensor, view.row // size, view.column // size, view.rows // size, view.columns // size)

    def _row_chunks(self, *regions, parts=1, anchor=0, whole=False):
        """Regions of as many rows in groups of tile rows, multiples of the grid's height, or (fine) that in `parts` parts.

        Fine groups end at multiples of their size, counted from the top of the tensor of the region of number `anchor`. Pieces
        of tensors end groups too, and, if `whole`, only they. None stays None.

        Returns
        -------
        list of one region for each given, by group
        """
        given = [region for region in regions if region is not None]
        region, height = regions[anchor], self.config.grid_rows
        if whole:
            edges = {0, region.rows}
        elif self.fine:
            units = -(-self.graph.sequence // self.graph.tile // height)
            step = -(-units // min(self.chunks, units)) * height
            step = max(min(step, 2), step // parts)
            edges = {0, *range(step - region.row % step, region.rows, step), region.rows}
        else:
            units = -(-region.rows // height)
            count = min(self.chunks, units)
            edges = {min(units * n // count * height, region.rows) for n in range(count + 1)}
        edges = edges.union(*(self.pieces.cuts(one.owner).inside(one.row, one.rows) for one in given))
        return [[one and replace(one, row=one.row + low, rows=high - low) for one in regions]
                for low, high in pairwise(sorted(edges))]

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
            self._add_vectors(f"vectors.{number}", tuple(group))

    def _add_vectors(self, owner, names):
        line = 0
        for name in names:
            self.vector_owner[name] = owner, line
            line += self.graph.tensors[name].columns // self.graph.tile
        self.plan.blocks[owner] = Block("vector", owner, 1, line, tuple(names))

    def _vector(self, name, column=0, columns=None):
        owner, line = self.vector_owner[name]
        columns = self.graph.tensors[name].columns // self.graph.tile if columns is None else columns
        return Region("vector", owner, 0, line + column, 1, columns)

    def _gather(self, operations):
        for operation in operations:
            for (chunk,) in self._row_chunks(self._tiles(operation.o), parts=_GATHER_PARTS):
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
        inner, columns, start = tensor.rows // size, operation.b.columns // size, operation.b.column // size
        width = config.weight_tiles // 4 // inner
        if width < min(config.grid_columns, columns):
            width = config.weight_tiles // 2 // inner
        if width == 0:
            need = -(-2 * inner // config.weight_banks) * config.weight_banks
            raise CompileError(f"{tensor.name} has columns of {inner} tiles, of which the weight buffer must hold two, "
                               f"and has {config.weight_tiles}: raise weight_tiles to {need}")
        if self.fine:
            width = min(width, max(config.grid_columns, _BLOCK_TILES // inner))
        if config.memory_ports > 1:
            width = max(1, min(width, _STRIPED_TILES // inner))
        if columns > width >= config.grid_columns:
            width -= width % config.grid_columns
        count = -(-columns // width)
        unit = config.grid_columns if width % config.grid_columns == 0 else 1
        units = -(-columns // unit)
        edges = [min(units * n // count * unit, columns) for n in range(count + 1)]
        if self.fine and tensor.name == self.last_weights:
            edges = sorted({*edges, columns - min(config.grid_columns, columns)})  # Little is left to do when the last arrive.
        blocks = []
        for low, high in pairwise(edges):
            owner = f"{tensor.name}.{start + low}{self.again}"
            self.plan.blocks[owner] = Block("weight", owner, inner, high - low, (tensor.name,), start + low)
            blocks.append((Region("weight", owner, 0, 0, inner, high - low), low))
        return blocks

    def _chunked(self, operation, block):
        region, column = block
        a, c = self._tiles(operation.a), self._tiles(operation.c)
        transpose, weights = operation.transpose, region.home == "weight"
        start = operation.b.column // self.graph.tile if weights else 0
        pairs = self._row_chunks(a, c, anchor=1, whole=not weights and not self.fine)
        for rows, result in pairs:
            for first, count in self._column_parts(region.rows if transpose else region.columns, operation.column_parts):
                b = (Region(region.home, region.owner, region.row + first, region.column, count, region.columns) if transpose
                     else Region(region.home, region.owner, region.row, region.column + first, region.rows, count))
                part = Region(c.home, c.owner, result.row, result.column + column + first, result.rows, count)
                yield operation, rows, b, part, start + column + first

    def _matmul(self, operation, a, b, c, column):
        order = self.order
        if order is None:
            order = self.cost.best_order(operation, column, a.rows, a.columns, c.columns)
        bias = None if operation.bias is None else self._vector(operation.bias, column, c.columns)
        self.plan.steps.append(MatMulStep(operation, a, b, c, bias, column, order))

    def _softmax(self, operations):
        for operation in operations:
            whole = [self._tiles(operation.x), self._tiles(operation.o)]
            for x, o in self._row_chunks(*whole, whole=not self.fine):
                self.plan.steps.append(SoftmaxStep(operation, x, o))

    def _layernorm(self, operations):
        for operation in operations:
            gamma, beta = (self._vector(name) for name in (operation.gamma, operation.beta))
            parts = _GATHER_PARTS if operation.x.tensor in self.gathered else 1
            x, o = self._tiles(operation.x), self._tiles(operation.o)
            residual, again = operation.residual and self._tiles(operation.residual), operation.x.batch > 1
            for rows, beside, result in self._row_chunks(None if again else x, residual, o, parts=parts, anchor=2):
                self.plan.steps.append(LayerNormStep(operation, x if again else rows, beside, result, gamma, beta))

    def _load(self, operations):
        for operation in operations:
            self.plan.steps += [LoadStep(chunk, operation=operation) for (chunk,) in self._row_chunks(self._tiles(operation.o))]

    def _store(self, operations):
        self.plan.steps += [StoreStep(operation, self._tiles(operation.x)) for operation in operations]


def _vectors_of(operation):
    if isinstance(operation, LayerNorm):
        return [operation.gamma, operation.beta]
    return [operation.bias] if isinstance(operation, MatMul) and operation.bias else []
