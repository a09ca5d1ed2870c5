"""Count what saturates and vanishes while the golden model runs."""

from collections import Counter

import torch

from ..golden.losses import vanished
from .graph import target

__all__ = ["Watch"]


class Watch:
    """The `watch` of `execute`: exact counts of valid elements, by the names of the float model.

    Parameters
    ----------
    graph : Graph

    Attributes
    ----------
    counts : {name: Counter of ``saturated`` and ``vanished``}
    limited : names of layer-norms whose unit's limits were met
    deviations : {name: smallest standard deviation of a row that a layer-norm took, in steps of what it normalises}
    """

    def __init__(self, graph):
        self.counts, self.deviations, self.limited, self._tensors = {}, {}, set(), graph.tensors

    def __call__(self, operation, *, exact, rounded, saturated, limited=None, deviation=None):
        view = target(operation)
        tensor = self._tensors[view.tensor]
        if tensor.source is None:
            return
        rows = view.rows_of(tensor.row_mask())
        columns = tensor.column_mask()[view.column: view.column + view.columns]
        saturated = saturated | (tensor.as_read(rounded) != rounded)
        exact, rounded, saturated = (x[rows][:, columns] for x in (exact, rounded, saturated))
        self.counts.setdefault(tensor.source, Counter()).update(
            saturated=int(saturated.sum()), vanished=int((vanished(exact, rounded) & ~saturated).sum()))
        if deviation is not None and rows.any():
            if limited[rows].any():
                self.limited.add(tensor.source)
            self.deviations[tensor.source] = min(self.deviations.get(tensor.source, torch.inf), float(deviation[rows].min()))
