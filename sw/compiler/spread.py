"""A batch that is spread over clusters: one program, sequences of its own for each cluster."""

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

from ..ir.errors import CompileError
from ..ir.graph import Graph, Softmax, View, target
from .schedule import Semaphores
from .steps import GatherStep, LoadStep, SoftmaxStep, StoreStep

__all__ = ["Spread", "spread_batch"]

_OWN = ("valid_columns", "values")
"""Fields of operations that differ from cluster to cluster: those of softmaxes and loads, which are made for some of them."""


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The same operations for every cluster, on sequences of its own: those of cluster c follow those of cluster c - 1.

    Parameters
    ----------
    whole : Graph of the batch, which the golden model runs
    graphs : Graph of each cluster, with the names of `whole`
    """

    whole: Graph
    graphs: tuple[Graph, ...]

    @cached_property
    def _names(self):
        """Of each cluster, what the tensors of the first one are called there."""
        made = [[view.tensor for operation in graph.operations if (view := target(operation))] for graph in self.graphs]
        return [dict(zip(made[0], own, strict=True)) for own in made]

    @classmethod
    def none(cls, graph):
        """Of a graph for one cluster."""
        return cls(whole=graph, graphs=(graph,))

    def indices(self, ids):
        """What the gathers of each cluster fetch, see `Graph.indices`."""
        if self.whole is self.graphs[0]:
            return [graph.indices(ids) for graph in self.graphs]
        each = len(ids) // len(self.graphs)
        return [graph.indices(ids[cluster * each: (cluster + 1) * each]) for cluster, graph in enumerate(self.graphs)]

    def graph_of(self, step):
        """The graph of the only, or the first, cluster that a step is for."""
        return self.graphs[step.clusters[0] if step.clusters else 0]

    def tensor(self, cluster, name):
        """What a tensor of the first cluster is in another, as (name, first row) in the whole graph."""
        own, local = self._names[cluster].get(name, name), self.graphs[0].tensors[name]
        shared = self.whole.tensors[own].rows == local.rows if own in self.whole.tensors else True
        return own, 0 if shared else cluster * local.rows

    def steps(self, steps):
        """Each step of the first cluster as one for all clusters, or as several, each for those for which it is the same."""
        clusters = range(len(self.graphs))
        for step in steps if len(clusters) > 1 else ():
            match step:
                case GatherStep():
                    yield from (replace(step, clusters=(cluster,)) for cluster in clusters)
                case StoreStep():
                    parts = dict.fromkeys(self.tensor(cluster, step.x.tensor) for cluster in clusters)
                    yield from (replace(step, clusters=(cluster,)) for cluster, _ in enumerate(parts))
                case SoftmaxStep():
                    yield from self._variants(step, self._softmax)
                case LoadStep() if step.block is None:
                    yield from self._variants(step, self._load)
                case _:
                    yield step
        yield from steps if len(clusters) == 1 else ()

    def marked(self, steps, marks):
        """All steps for the clusters, with Semaphores: of what became several the first waits, and the last one signals."""
        whole, spread = [], []
        for step, mark in zip(steps, marks or [Semaphores()] * len(steps), strict=True):
            variants = list(self.steps([step]))
            whole += variants
            spread += [Semaphores() for _ in variants]
            spread[-len(variants)].waits, spread[-1].signals = mark.waits, mark.signals
        return whole, spread

    def _variants(self, step, operation_of):
        """One step for every different operation."""
        found: list[tuple[Any, Any, list[int]]] = []
        for cluster in range(len(self.graphs)):
            key, operation = operation_of(cluster, step.operation)
            same = next((entry for entry in found if entry[0] == key), None)
            if same:
                same[2].append(cluster)
            else:
                found.append((key, operation, [cluster]))
        for _, operation, clusters in found:
            yield replace(step, operation=operation, clusters=tuple(clusters) if len(found) > 1 else ())

    def _softmax(self, cluster, operation):
        name = self._names[cluster][operation.o.tensor]
        columns = next(one.valid_columns for one in self.graphs[cluster].operations
                       if isinstance(one, Softmax) and one.o.tensor == name)
        return columns, replace(operation, valid_columns=columns)

    def _load(self, cluster, operation):
        first = operation.o.tensor
        name = operation.values.replace(first, self._names[cluster][first], 1)
        return self.graphs[cluster].constants[name].numpy().tobytes(), replace(operation, values=name)


def spread_batch(encoder, config, lengths, columns, *, tokens=None):
    """The Spread of a batch over the clusters of `config`.

    Parameters
    ----------
    encoder : QuantisedEncoder for `config`
    lengths, columns, tokens : see `build_graph`

    Raises
    ------
    CompileError : the clusters would have different numbers of sequences, or different operations
    """
    count, clusters = len(lengths), config.clusters
    if count % clusters:
        raise CompileError(f"sentences = {count}: is no multiple of the {clusters} clusters; give {-count % clusters} more")
    each = count // clusters
    parts = [slice(cluster * each, (cluster + 1) * each) for cluster in range(clusters)]
    graphs = tuple(encoder.build_graph(lengths[part], columns, tokens=tokens and tokens[part], full=True, first=part.start)
                   for part in parts)
    separate = each > 1 and encoder.is_separate(columns)
    whole = encoder.build_graph(lengths, columns, separate, tokens=tokens, full=True)
    if any(_same_in_all(graph) != _same_in_all(graphs[0]) for graph in graphs[1:]):
        raise CompileError("clusters: the sentences of a batch need different operations, such as those with token types and "
                           "those without, or with masked tokens in different numbers or tile rows; give sentences of one kind")
    return Spread(whole=whole, graphs=graphs)


def _same_in_all(graph):
    """The operations, as far as the clusters share them: tensors by the order in which they are made."""
    numbers: dict[str, str] = {}
    for operation in graph.operations:
        if view := target(operation):
            numbers.setdefault(view.tensor, f"{len(numbers)}")

    def plain(value):
        return replace(value, tensor=numbers.get(value.tensor, value.tensor)) if isinstance(value, View) else value

    return [(type(operation), *(plain(getattr(operation, field.name)) for field in fields(operation) if field.name not in _OWN))
            for operation in graph.operations]
