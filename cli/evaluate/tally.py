"""Zeros of operands, and multiplications that remain: with padding and without."""

from collections import Counter
from dataclasses import dataclass, field

import torch

from ...sw.ir.graph import MatMul

__all__ = ["Tally"]

_FIELDS = ("zeros", "elements", "zeros_padded", "elements_padded")
_PRODUCT_FIELDS = ("remaining", "dense", "remaining_padded", "dense_padded")


@dataclass
class Tally:
    """Sums over any number of graphs.

    Operands are the activations that products read; each element counts once, whatever the number of products. Without
    padding, rows and columns of padded tokens, and what only fills tiles, are left out of everything.

    Parameters
    ----------
    operands : {(layer, class): Counter of `_FIELDS`}; layer is a `Tensor.layer`
    products : {(layer, class of the result): Counter of `_PRODUCT_FIELDS`}
    """

    operands: dict = field(default_factory=dict)
    products: dict = field(default_factory=dict)

    def add(self, graph, values):
        """Count one run.

        Parameters
        ----------
        graph : Graph
        values : of `execute`
        """
        seen, tensors = set(), graph.tensors
        for op in graph.operations:
            if not isinstance(op, MatMul):
                continue
            result = tensors[op.c.tensor]
            a, a_rows, a_columns = _operand(graph, values, op.a)
            b, b_rows, b_columns = _operand(graph, values, op.b)
            # A product may read the first token of a sentence only.
            a_rows &= op.c.rows_of(result.row_mask())
            for view, bits, rows, columns in ((op.a, a, a_rows, a_columns), (op.b, b, b_rows, b_columns)):
                key = view.tensor, view.row, view.column
                if view.tensor not in graph.constants and key not in seen:
                    seen.add(key)
                    self._count_operand((result.layer, tensors[view.tensor].kind), bits, rows, columns)
            if op.transpose:
                b, b_rows, b_columns = b.T, b_columns, b_rows
            self._count_product((result.layer, result.kind), a, b, a_rows, a_columns & b_rows, b_columns)

    def _count_operand(self, key, bits, rows, columns):
        valid = bits[rows][:, columns]
        self.operands.setdefault(key, Counter()).update(dict(zip(_FIELDS, (
            valid.numel() - int(valid.sum()), valid.numel(), bits.numel() - int(bits.sum()), bits.numel()), strict=True)))

    def _count_product(self, key, a, b, rows, inner, columns):
        def pairs(a, b):
            return int(torch.dot(a.sum(0), b.sum(1)))

        dense = int(rows.sum()) * int(inner.sum()) * int(columns.sum())
        self.products.setdefault(key, Counter()).update(dict(zip(_PRODUCT_FIELDS, (
            pairs(a[rows][:, inner], b[inner][:, columns]), dense, pairs(a, b), a.numel() * b.shape[1]), strict=True)))

    def report(self):
        """As plain values for JSON.

        Returns
        -------
        dict with ``sparsity``, ``sparsity_padded`` (zeros over elements of operands), ``remaining_multiplications``,
        ``remaining_multiplications_padded`` (both operands non-zero, over dense): each {"all", "class", "layer"}, where
        "layer" has {layer: {class: share}}
        """
        return {
            "sparsity": _shares(self.operands, "zeros", "elements"),
            "sparsity_padded": _shares(self.operands, "zeros_padded", "elements_padded"),
            "remaining_multiplications": _shares(self.products, "remaining", "dense"),
            "remaining_multiplications_padded": _shares(self.products, "remaining_padded", "dense_padded"),
        }


def _operand(graph, values, view):
    """Non-zero elements of a view, and which of its rows and columns are no padding."""
    tensor = graph.tensors[view.tensor]
    bits = view.read(graph.constants.get(view.tensor, values.get(view.tensor))) != 0
    return bits, view.rows_of(tensor.row_mask()), tensor.column_mask()[view.column: view.column + view.columns]


def _shares(counts, part, whole):
    classes, layers, everything = {}, {}, Counter()
    for (layer, kind), count in counts.items():
        everything.update(count)
        classes.setdefault(kind, Counter()).update(count)
        layers.setdefault(layer, {})[kind] = count[part] / max(1, count[whole])
    return {"all": everything[part] / max(1, everything[whole]),
            "class": {kind: count[part] / max(1, count[whole]) for kind, count in classes.items()}, "layer": layers}
