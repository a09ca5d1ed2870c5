"""Piecewise quadratic interpolation of integer tensors."""

import torch

__all__ = ["interpolate"]


def interpolate(table, u):
    """The value of a `QuadraticTable` at every u.

    Parameters
    ----------
    table : QuadraticTable
    u : int64 tensor of arguments, 0 to 2**input_bits - 1

    Returns
    -------
    int64 tensor of the shape of u, with binary point ``table.output_frac``
    """
    c0, c1, c2 = (torch.from_numpy(c) for c in table.coefficients)
    index = u >> table.t_bits
    t = (u & ((1 << table.t_bits) - 1)) - (1 << (table.t_bits - 1))
    slope = c1[index] + (c2[index] * t >> table.input_frac)
    y = c0[index] + (slope * t >> table.input_frac)
    return ((y >> (table.guard - 1)) + 1) >> 1 if table.guard else y
