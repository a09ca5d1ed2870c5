"""Which elements of the tensors of a graph are no padding."""

import torch

from .graph import Softmax, Store

__all__ = ["ValidElements"]


class ValidElements:
    """The rows and columns of activation tensors that belong to tokens, to attended tokens, and to labels.

    Parameters
    ----------
    graph : Graph of an encoder
    """

    def __init__(self, graph):
        self._graph = graph
        self._tokens = torch.cat([torch.arange(graph.sequence) < length for length in graph.lengths])
        self._attended = {name: operation.valid_columns for operation in graph.operations if isinstance(operation, Softmax)
                          for name in (operation.x.tensor, operation.o.tensor)}
        self._labels = {operation.x.tensor: operation.shape[-1] for operation in graph.operations
                        if isinstance(operation, Store) and operation.x.tensor == "logits"}

    def rows(self, name):
        """Bool [rows of the tensor]."""
        graph = self._graph
        count = graph.tensors[name].rows
        if name in ("pooler", "pooler.input", "logits"):
            return torch.arange(count) % graph.tile == 0
        if name == "embeddings.padding":
            return torch.zeros(count, dtype=torch.bool)
        if name == "embeddings.word":
            return torch.cat([torch.arange(rows) < n for rows, n in zip(graph.token_rows, graph.lengths, strict=True)])
        if name == "embeddings.position_type":
            return torch.arange(count) < max(graph.lengths)
        first = graph.tensors[name].first
        return self._tokens[first: first + count]

    def columns(self, name):
        """How many of the columns, from the first, are valid; those that only fill tiles of a wider tensor count."""
        return self._attended.get(name, self._labels.get(name, self._graph.tensors[name].columns))

    def part(self, name, matrix):
        """The valid elements of the tensor `name`, whose integers or flags `matrix` holds."""
        return matrix[self.rows(name)][:, : self.columns(name)]
