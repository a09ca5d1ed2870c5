"""What a PE does to its sums before they are written back: bias, binary point, activation function, pruning."""

from .fixed import saturate, shift_signed
from .functions import function_format, relu

__all__ = ["BIAS_SHIFTS", "FUNCTION_SHIFTS", "SHIFTS", "post_process", "prune", "requantise"]

SHIFTS = range(-24, 64)
"""Legal shifts of the accumulator."""

FUNCTION_SHIFTS = range(-8, 21)
"""Legal shifts behind GeLU and tanh."""

BIAS_SHIFTS = range(0, 38)
"""Legal shifts of the bias; the hardware also wants the shifted bias to fit the accumulator."""


def prune(x, tau):
    """DynaTran: values with ``|x| < tau`` become zero."""
    return x.masked_fill(x.abs() < tau, 0)


def requantise(x, shift, width):
    """Shift right with rounding half up (negative: left, exact) and saturate to `width` bits; int64 never overflows.

    Error at most 1/2 unit of the result where it does not saturate.
    """
    return saturate(shift_signed(saturate(x, width) if shift < 0 else x, shift), width)


def post_process(acc, bias, *, bias_shift, shift, function, function_shift, tau, width,
                 functions=("relu", "gelu", "tanh")):
    """From exact sums to the values that are written back.

    Parameters
    ----------
    acc : int64 tensor [..., columns] of sums, up to 61 bits
    bias : int64 tensor [columns] of `width` bits, or None
    bias_shift : left shift of the bias to the binary point of the sums
    shift : right shift of the sums to the result, or to the binary point of `function_format` ahead of GeLU and tanh
    function : code of `hw.isa.Function`, or its name in lower case
    function_shift : right shift from there to the result, GeLU and tanh only
    tau : pruning threshold in units of the result; 0 prunes nothing
    width : bits of the result
    functions : functions that are built; another one acts as none

    Returns
    -------
    int64 tensor of the shape of `acc`

    Raises
    ------
    ValueError : for a shift outside its legal range
    """
    function = ("none", "relu", "gelu", "tanh")[function] if isinstance(function, int) else function
    for name, value, legal in (("bias_shift", bias_shift, BIAS_SHIFTS), ("shift", shift, SHIFTS),
                               ("function_shift", function_shift, FUNCTION_SHIFTS)):
        if value not in legal:
            raise ValueError(f"{name} = {value}: choose {legal.start} to {legal.stop - 1}")
    if bias is not None:
        acc = acc + (bias << bias_shift)
    if function in ("gelu", "tanh") and function in functions:
        form = function_format(width)
        y = requantise(getattr(form, function)(requantise(acc, shift, form.bits)), function_shift, width)
    else:
        y = requantise(acc, shift, width)
        y = relu(y) if function == "relu" and "relu" in functions else y
    return prune(y, tau)
