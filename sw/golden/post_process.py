"""What a PE does to its sums before they are written back: bias, binary point, activation function, pruning."""

import numpy as np
import torch

from ...hw.spec.activations import ACTIVATIONS, activation, function_format, has_table
from ...hw.spec.shifts import BIAS_SHIFTS, FUNCTION_SHIFTS, SHIFTS
from .fixed import saturate, shift_signed
from .functions import activate, relu

__all__ = ["post_process", "prune", "requantise", "saturates"]

_NAMES = ("none", *(entry.name for entry in ACTIVATIONS))


def prune(x, tau):
    """DynaTran: values with ``|x| < tau`` become zero."""
    return x.masked_fill(x.abs() < tau, 0)


def requantise(x, shift, width):
    """Shift right with rounding half up (negative: left, exact) and saturate to `width` bits; int64 never overflows.

    Error at most 1/2 unit of the result where it does not saturate.
    """
    return saturate(shift_signed(saturate(x, width) if shift < 0 else x, shift), width)


def saturates(x, shift, width):
    """Where `requantise` of the same arguments meets an end of the word."""
    if shift < 0:
        inside = saturate(x, width)
        return (inside != x) | (saturate(inside << -shift, width) != inside << -shift)
    rounded = shift_signed(x, shift)
    return saturate(rounded, width) != rounded


def post_process(acc, bias, *, bias_shift, shift, function, function_shift, tau, width,
                 functions=_NAMES, scales=None, watch=None):
    """From exact sums to the values that are written back.

    Parameters
    ----------
    acc : int64 tensor [..., columns] of sums, up to 61 bits
    bias : int64 tensor [columns] of `width` bits, or None
    bias_shift : left shift of the bias to the binary point of the sums
    shift : right shift of the sums to the result, or to the binary point of `function_format` ahead of a function with a table
    function : code of `hw.spec.isa.Function`, or its name in lower case
    function_shift : right shift from there to the result, functions with tables only
    tau : pruning threshold in units of the result; 0 prunes nothing
    width : bits of the result
    functions : functions that are built; another one acts as none
    scales : int64 tensor [columns], by how much longer both shifts of each column are; None for 0
    watch : called with ``exact`` (float64, what would be the result without rounding, in its units), ``rounded`` (before
        pruning) and ``saturated`` (bool, where an end of a word changed the result)

    Returns
    -------
    int64 tensor of the shape of `acc`

    Raises
    ------
    ValueError : for a shift outside its legal range
    """
    function = _NAMES[function] if isinstance(function, int) else function
    for name, value, legal in (("bias_shift", bias_shift, BIAS_SHIFTS), ("shift", shift, SHIFTS),
                               ("function_shift", function_shift, FUNCTION_SHIFTS)):
        if value not in legal:
            raise ValueError(f"{name} = {value}: choose {legal.start} to {legal.stop - 1}")
    if bias is not None:
        acc = acc + (bias << (bias_shift if scales is None else bias_shift + scales))
    function = function if function in functions else "none"
    form, result = function_format(width), None
    if has_table(function):
        result = activate(function, _by_scale(requantise, acc, shift, scales, form.bits), form)
        y = requantise(result, function_shift, width)
    else:
        y = _by_scale(requantise, acc, shift, scales, width)
        y = relu(y) if function == "relu" else y
    if watch:
        exact = acc.double() * 2.0**-(shift if scales is None else shift + scales)
        watch(exact=_exact(exact, function, function_shift, form), rounded=y,
              saturated=_saturated(acc, result, shift, scales, function, function_shift, form))
    return prune(y, tau)


def _by_scale(function, acc, shift, scales, width):
    """`requantise` or `saturates` of columns with different scales; the longest shift leaves nothing of any sum."""
    if scales is None:
        return function(acc, shift, width)
    parts = [(scales == scale, min(shift + scale, SHIFTS.stop - 1)) for scale in scales.unique().tolist()]
    results = [(columns, function(acc[..., columns], amount, width)) for columns, amount in parts]
    whole = torch.empty(acc.shape, dtype=results[0][1].dtype)
    for columns, result in results:
        whole[..., columns] = result
    return whole


def _exact(x, function, function_shift, form):
    """The function of a float64 sum that has the binary point of the result, or of `form` ahead of a table."""
    if not has_table(function):
        return x.clamp(min=0) if function == "relu" else x
    argument = (x * 2.0**-form.frac).numpy()
    return torch.from_numpy(np.asarray(activation(function).exact(argument))) * 2.0 ** (form.frac - function_shift)


def _saturated(acc, result, shift, scales, function, function_shift, form):
    """GeLU of a large negative argument is 0 and tanh of any large one 1, so that these may saturate; ReLU likewise."""
    if result is None:
        clipped = _by_scale(saturates, acc, shift, scales, form.width)
        return clipped & (acc > 0) if function == "relu" else clipped
    clipped = saturates(result, function_shift, form.width)
    if activation(function).odd:
        return clipped
    return clipped | (_by_scale(saturates, acc, shift, scales, form.bits) & (acc > 0))
