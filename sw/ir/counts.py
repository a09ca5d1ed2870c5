"""How many multiplications a graph needs: dense, and those that each way of skipping leaves."""

from dataclasses import dataclass

import torch

from .graph import MatMul

__all__ = ["Multiplications", "multiplication_counts"]


@dataclass(frozen=True)
class Multiplications:
    """Of one product or of a sum of them.

    Parameters
    ----------
    none : dense, all elements of all tiles, padding included (skip = none)
    activation : pairs whose A element is not zero (skip = activation)
    both : pairs of which neither is zero (skip = both)
    """

    none: int = 0
    activation: int = 0
    both: int = 0

    def __add__(self, other):
        return Multiplications(self.none + other.none, self.activation + other.activation, self.both + other.both)


def multiplication_counts(graph, values):
    """Exact counts for one run.

    Parameters
    ----------
    graph : Graph
    values : of `execute`

    Returns
    -------
    dict of str to Multiplications: by the name of the result (a context by that of its probabilities), and ``total``
    """
    counts, total = {}, Multiplications()
    for op in graph.operations:
        if not isinstance(op, MatMul):
            continue
        a = op.a.read(values[op.a.tensor]) != 0
        b = op.b.read(graph.constants[op.b.tensor] if op.b.tensor in graph.constants else values[op.b.tensor]) != 0
        if op.transpose:
            b = b.T
        by_k = a.sum(0)
        count = Multiplications(a.numel() * b.shape[1], int(by_k.sum()) * b.shape[1], int(torch.dot(by_k, b.sum(1))))
        counts[op.c.tensor if op.bias or op.transpose else op.a.tensor] = count
        total += count
    return counts | {"total": total}
