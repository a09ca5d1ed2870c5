"""Splitting a graph so that it needs less room: sentences in parts, heads in groups, rows in pieces."""

from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

import numpy as np

from ..ir.graph import Gather, LayerNorm, Load, MatMul, Softmax, Store, target
from .pieces import Cuts

__all__ = ["Split", "is_encoder", "split_operations"]


@dataclass(frozen=True)
class Split:
    """How far a graph is split.

    Parameters
    ----------
    sequences : of a part; a part runs through all layers before the next one begins
    heads : of a group; queries, keys and values of a group are there at once
    rows : tile rows of a piece of whatever is worked on row by row, such as the hidden tensors of a feed-forward network
    score_rows : tile rows of a piece of the scores of a head
    grain : tile rows that find their place, and are free again, on their own
    """

    sequences: int
    heads: int
    rows: int
    score_rows: int
    grain: int


def is_encoder(graph):
    """Whether a graph can be split: each softmax stands between its scores and its context, and belongs to one sequence."""
    operations, tensors = graph.operations, graph.tensors
    heads = [n for n, operation in enumerate(operations) if isinstance(operation, Softmax)]
    products = sum(isinstance(one, MatMul) and tensors[one.b.tensor].home == "activation" for one in operations)
    return products == 2 * len(heads) > 0 and all(
        0 < n < len(operations) - 1 and tensors[operations[n].o.tensor].head is not None
        and isinstance(operations[n - 1], MatMul) and operations[n - 1].c == operations[n].x
        and isinstance(operations[n + 1], MatMul) and operations[n + 1].a == operations[n].o for n in heads)


def split_operations(graph, split, *, stagger=1, resident=False, parts=None):
    """The operations of a graph, each for some rows or columns, in an order that needs little room.

    Parameters
    ----------
    graph : Graph for which `is_encoder`
    split : Split
    stagger : pieces of scores that come before the first context
    resident : what is loaded comes first, whole, instead of again wherever it is used
    parts : so many of the first parts only

    Returns
    -------
    list of (operation, {tensor: (name, first tile row, tile rows) of a copy})
    dict of Cuts by tensor
    """
    return _Splitter(graph, split, stagger, resident).run(parts)


class _Splitter:
    def __init__(self, graph, split, stagger, resident):
        self.graph, self.split, self.stagger, self.resident = graph, split, stagger, resident
        self.tile, self.sequence = graph.tile, graph.sequence // graph.tile
        self.operations: list[tuple] = []
        self.stored = {operation.x.tensor for operation in graph.operations if isinstance(operation, Store)}
        made = [operation for operation in graph.operations if not isinstance(operation, Store)]
        products = {target(one).tensor for one in made if not isinstance(one, Gather | Load)}
        self.sources = defaultdict(list)
        for one in made:
            if target(one).tensor not in products:
                self.sources[target(one).tensor].append(one)
        self.kept = {name for name, writers in self.sources.items() if resident and isinstance(writers[0], Load)}
        self.parts, self.starts = self._parts()
        self.row_edges: dict[str, list[int]] = {}
        self.column_edges: dict[str, set[int]] = {}
        self.copies = 0

    def run(self, parts=None):
        """Part by part, the first `parts` of them, then what is stored."""
        for name in sorted(self.kept):
            self.operations += [(operation, {}) for operation in self.sources[name]]
        for part, operations in sorted(self._by_part().items())[:parts]:
            self._part(operations, part)
        self.operations += [(operation, {}) for operation in self.graph.operations if isinstance(operation, Store)]
        return self.operations, {name: self._cuts(name) for name in self.parts}

    def _parts(self):
        """The part of every tile row of every tensor that is not only brought, and the first row of each part in it."""
        parts: dict[str, np.ndarray] = {}
        for operation in self.graph.operations:
            view = target(operation)
            if view is None or view.tensor in self.sources:
                continue
            tensor = self.graph.tensors[view.tensor]
            rows = parts.setdefault(view.tensor, np.zeros(tensor.rows // self.tile, dtype=np.int64))
            if self._has_tokens(tensor):
                rows[:] = np.repeat(np.array(tensor.sequences) // self.split.sequences, self.sequence)
            else:
                rows[self._span(view)] = np.max([parts[x.tensor][self._span(x)] for x in _row_operands(operation)
                                                 if x.tensor not in self.sources], axis=0)
        starts = {name: {int(part): int(np.argmax(rows == part)) for part in np.unique(rows)} for name, rows in parts.items()}
        return parts, starts

    def _has_tokens(self, tensor):
        """Whether a tensor has a row for every token of its sequences."""
        return len(tensor.sequences) > 0 and tensor.rows == len(tensor.sequences) * self.graph.sequence

    def _span(self, view):
        return slice(view.row // self.tile, (view.row + view.rows) // self.tile)

    def _by_part(self):
        """Operations of each part."""
        own = defaultdict(list)
        for operation in self.graph.operations:
            view = target(operation)
            if view is None or view.tensor in self.sources:
                continue
            rows = self.parts[view.tensor][self._span(view)]
            starts = [0, *(np.flatnonzero(np.diff(rows)) + 1).tolist(), len(rows)]
            for low, high in pairwise(starts):
                own[int(rows[low])].append(self._rows(operation, low, high))
        return own

    def _part(self, operations, part):
        """Attention, and what is worked on row by row, in turn."""
        pending: list = []
        for mixes, run in groupby(operations, self._mixes):
            if not mixes:
                pending = list(run)
                continue
            heads = list(run)
            read = {view.tensor for one in heads if isinstance(one, MatMul) for view in (one.a, one.b)}
            self._row_by_row([one for one in pending if target(one).tensor not in read], part)
            self._attention([one for one in pending if target(one).tensor in read], heads, part)
            pending = []
        self._row_by_row(pending, part)

    def _mixes(self, operation):
        """Whether an operation is part of a head."""
        return isinstance(operation, Softmax) or (
            isinstance(operation, MatMul) and self.graph.tensors[operation.b.tensor].home == "activation")

    def _row_by_row(self, operations, part):
        """Piece by piece through the operations between two points where only one tensor is in use; then the next ones.
        Those whose results have other rows than the tokens come as soon as what they read is there.
        """
        tokens: list = []
        others: list = []
        section: list = []
        self.made = {target(one).tensor: 0 for one in operations}
        for one in operations:
            (tokens if self._has_tokens(self.graph.tensors[target(one).tensor]) else others).append(one)
        for number, one in enumerate(tokens):
            section.append(one)
            if _crossing(tokens[number + 1:]) <= {target(one).tensor}:
                self._by_pieces(section, others, part)
                section = []
        self._by_pieces(section, others, part)
        self._others(others)

    def _others(self, operations):
        """Those that are there and can be done."""
        while operations and all(view.row + view.rows <= self.made.get(view.tensor, view.row + view.rows)
                                 for view in _row_operands(operations[0])):
            self._make(operations.pop(0))

    def _make(self, operation):
        self._add(operation)
        view = target(operation)
        self.made[view.tensor] = view.row + view.rows

    def _by_pieces(self, operations, others, part):
        first = {id(one): target(one).row // self.tile - self.starts[target(one).tensor][part] for one in operations}
        last = {id(one): first[id(one)] + target(one).rows // self.tile for one in operations}
        for low in range(0, max(last.values(), default=0), self.split.rows):
            for one in operations:
                start, end = max(low, first[id(one)]), min(low + self.split.rows, last[id(one)])
                if start < end:
                    self._make(self._rows(one, start - first[id(one)], end - first[id(one)]))
            self._others(others)

    def _attention(self, inputs, heads, part):
        """Head by head, or some at a time: what they read of queries, keys and values, then their pieces."""
        triples = sorted(zip(heads[::3], heads[1::3], heads[2::3], strict=True), key=self._group)
        for _, group in groupby(triples, key=self._group):
            members = list(group)
            spans: dict[str, tuple[int, int]] = {}
            for view in (view for scores, _, context in members for view in (scores.a, scores.b, context.b)):
                low, high = spans.get(view.tensor, (view.column, 0))
                spans[view.tensor] = min(low, view.column), max(high, view.column + view.columns)
            for tensor, (low, high) in spans.items():
                self.column_edges.setdefault(tensor, set()).update((low // self.tile, high // self.tile))
            for one in inputs:
                if target(one).tensor in spans and (own := _columns(one, *spans[target(one).tensor])):
                    self._add(own)
            self._heads(members)

    def _group(self, triple):
        return self.graph.tensors[triple[1].o.tensor].head // self.split.heads

    def _heads(self, triples):
        """Pieces of scores, some of them ahead of the first context."""
        pieces: list[list] = []
        for triple in triples:
            edges = [*range(0, self.sequence, self.split.score_rows), self.sequence]
            for view in (triple[1].x, triple[1].o):
                self.row_edges[view.tensor] = edges
            pieces += [[self._rows(one, low, high) for one in triple] for low, high in pairwise(edges)]
        for number in range(len(pieces) + self.stagger):
            if number < len(pieces):
                self._add(pieces[number][0])
                self._add(pieces[number][1])
            if number >= self.stagger:
                self._add(pieces[number - self.stagger][2])

    def _add(self, operation):
        """One operation, behind what only it needs from main memory."""
        copies = {view.tensor: self._bring(view) for view in _row_operands(operation)
                  if view.tensor in self.sources and view.tensor not in self.kept}
        self.operations.append((operation, copies))

    def _bring(self, view):
        """A copy of some rows of a tensor that is gathered or loaded."""
        span = self._span(view)
        self.copies += 1
        copy = f"{view.tensor}[{span.start}] {self.copies}", span.start, span.stop - span.start
        for source in self.sources[view.tensor]:
            own = self._span(source.o)
            low, high = max(span.start, own.start), min(span.stop, own.stop)
            if low < high:
                self.operations.append((self._rows(source, low - own.start, high - own.start), {view.tensor: copy}))
        return copy

    def _rows(self, operation, low, high):
        """An operation for some tile rows of its result, counted from the first that it makes."""
        first, count = low * self.tile, (high - low) * self.tile

        def cut(view):
            if view is None or view.batch > 1:
                return view and replace(view, batch=high - low)
            return replace(view, row=view.row + first, rows=count)

        match operation:
            case MatMul():
                return replace(operation, a=cut(operation.a), c=cut(operation.c))
            case Softmax():
                return replace(operation, x=cut(operation.x), o=cut(operation.o))
            case LayerNorm():
                return replace(operation, x=cut(operation.x), residual=cut(operation.residual), o=cut(operation.o))
            case Load():
                return replace(operation, o=cut(operation.o), first=operation.first + first)
        return replace(operation, o=cut(operation.o))

    def _cuts(self, name):
        tensor = self.graph.tensors[name]
        rows, columns = tensor.rows // self.tile, tensor.columns // self.tile
        if name in self.stored:
            return Cuts((0, rows), (0, columns))
        if name in self.row_edges:
            return Cuts(tuple(self.row_edges[name]), (0, columns))
        starts = sorted(self.starts[name].values())
        if name in self.column_edges:
            return Cuts((*starts, rows), tuple(sorted({0, columns, *self.column_edges[name]})))
        if self._has_tokens(tensor):
            starts = [row for start, end in pairwise([*starts, rows]) for row in range(start, end, self.split.grain)]
        return Cuts((*starts, rows), (0, columns))


def _crossing(operations):
    """Tensors that some operations read and do not make."""
    read = {view.tensor for one in operations for view in _row_operands(one)}
    return read - {target(one).tensor for one in operations}


def _row_operands(operation):
    """Views of which an operation reads the rows that belong to those that it makes."""
    if isinstance(operation, Gather | Load):
        return []
    if isinstance(operation, MatMul):
        return [operation.a]
    return [view for view in (operation.x, getattr(operation, "residual", None)) if view is not None]


def _columns(operation, low, high):
    """An operation for those columns of its result that lie between two of the tensor's, or None."""
    result = target(operation)
    start, end = max(low, result.column), min(high, result.column + result.columns)
    if start >= end or (start, end) == (result.column, result.column + result.columns):
        return operation if start < end else None
    b = operation.b
    return replace(operation, c=replace(result, column=start, columns=end - start),
                   b=replace(b, column=b.column + start - result.column, columns=end - start),
                   column_parts=max(1, operation.column_parts * (end - start) // result.columns))
