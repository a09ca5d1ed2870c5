"""Count what saturates and vanishes while the golden model runs."""

from collections import Counter

import torch

from ..golden.losses import vanished
from .graph import MatMul
from .valid import ValidElements

__all__ = ["Watch", "float_name"]


def float_name(name):
    """The float encoder's name of an activation; None for copies that only the hardware needs.

    Tensors of single sequences and heads (``layer0.scores.3.1``) are parts of one tensor of the float encoder.
    """
    return None if name in ("pooler.input", "embeddings.padding") else ".".join(name.split(".")[:2])


class Watch:
    """The `watch` of `execute`: exact counts of valid elements, by the names of the float encoder.

    Parameters
    ----------
    graph : Graph of an encoder

    Attributes
    ----------
    counts : {name: Counter of ``saturated`` and ``vanished``}
    limited : names of layer-norms whose unit's limits were met
    deviations : {name: smallest standard deviation of a row that a layer-norm took, in steps of what it normalises}
    """

    def __init__(self, graph):
        self.counts, self.deviations, self.limited, self._valid = {}, {}, set(), ValidElements(graph)

    def __call__(self, operation, *, exact, rounded, saturated, limited=None, deviation=None):
        view = operation.c if isinstance(operation, MatMul) else operation.o
        name = float_name(view.tensor)
        if name is None:
            return
        valid = self._valid.rows(view.tensor)
        rows = torch.cat([valid[row: row + view.rows] for row in view.first_rows()])
        columns = max(0, self._valid.columns(view.tensor) - view.column)
        exact, rounded, saturated = (x[rows][:, :columns] for x in (exact, rounded, saturated))
        self.counts.setdefault(name, Counter()).update(
            saturated=int(saturated.sum()), vanished=int((vanished(exact, rounded) & ~saturated).sum()))
        if deviation is not None and rows.any():
            if limited[rows].any():
                self.limited.add(name)
            self.deviations[name] = min(self.deviations.get(name, torch.inf), float(deviation[rows].min()))
