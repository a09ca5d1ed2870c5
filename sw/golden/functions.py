"""Activation functions on integer tensors; their tables and formats are those of `hw.spec.activations`."""

import torch

from ...hw.spec.activations import activation
from .interpolate import interpolate

__all__ = ["activate", "relu"]


def relu(x):
    """max(x, 0), exact."""
    return x.clamp(min=0)


def activate(name, x, form):
    """The function `name` of a tensor in the given `FunctionFormat`: error below one unit over the whole range.

    Parameters
    ----------
    name : of one of `hw.spec.activations.ACTIVATIONS`
    x : int64 tensor with ``form.frac`` fraction bits
    form : FunctionFormat

    Returns
    -------
    int64 tensor of the shape of x, with as many fraction bits
    """
    entry, table = activation(name), form.table(name)
    if table is None:
        return relu(x)
    y = interpolate(table, x.abs().clamp(max=(1 << table.input_bits) - 1))
    return torch.where(x < 0, -y, y) if entry.odd else relu(x) - y
