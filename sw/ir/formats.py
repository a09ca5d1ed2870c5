"""Binary points: how many fraction bits a tensor gets, and which shifts follow."""

import math

import torch

from ...hw.spec.activations import function_format, has_table
from ...hw.spec.exponential import ARGUMENT_FRAC
from ...hw.spec.shifts import BIAS_SHIFTS, FUNCTION_SHIFTS, SHIFTS
from ...hw.spec.softmax import x_shifts
from ..golden.fixed import quantise
from .errors import CompileError

__all__ = ["MARGIN", "best_point", "binary_point", "product_fields", "quantise_columns", "quantise_constant", "scores_frac"]

MARGIN = 1.25
"""Head-room over the largest value seen in calibration."""

_LOWEST, _HIGHEST = -4, 24
_FINEST = 64


def binary_point(largest, width, *, ceiling=_HIGHEST):
    """Most fraction bits with which a signed word of `width` bits holds magnitudes up to `largest`."""
    if largest <= 0:
        return min(width - 1, ceiling)
    frac = width - 1 - math.ceil(math.log2(largest))
    if largest * 2.0**frac > (1 << (width - 1)) - 0.5:
        frac -= 1
    return max(_LOWEST, min(frac, _HIGHEST, ceiling))


def best_point(first, error, *, ceiling=_HIGHEST):
    """Fraction bits from `first` on, as long as each more makes the squared error less, but never beyond the finest.

    Parameters
    ----------
    first : those with which nothing is clipped
    error : squared error of the values, by their fraction bits
    """
    frac, least = first, error(first)
    while frac < min(ceiling, _HIGHEST) and (finer := error(frac + 1)) < least:
        frac, least = frac + 1, finer
    return frac


def quantise_constant(values, width, *, ceiling=_HIGHEST):
    """A weight, bias or table as (integers, binary point), with the least squared error; what is known needs no head-room."""
    values = values.double()

    def error(frac):
        return float((quantise(values, frac, width) * 2.0**-frac - values).square().sum())

    frac = best_point(binary_point(float(values.abs().max()), width, ceiling=ceiling), error, ceiling=ceiling)
    return quantise(values, frac, width), frac


def quantise_columns(values, width, most):
    """Weights [out, in] as (integers, binary point, scales): each output has `scale` fraction bits more, at most `most`.

    Each has the binary point with the least squared error, if its scale reaches so far.
    """
    values = values.double()
    largest = values.abs().amax(1, keepdim=True)
    first = width - 1 - torch.ceil(torch.log2(largest.clamp(min=2.0**-_FINEST)))
    first -= (largest * 2.0**first > (1 << (width - 1)) - 0.5).double()

    def error(frac):
        return (quantise(values, frac, width) * 2.0**-frac - values).square().sum(1, keepdim=True)

    frac, least, better = first, error(first), torch.ones_like(first, dtype=torch.bool)
    while better.any():
        finer = error(frac + 1)
        better &= finer < least
        frac, least = torch.where(better, frac + 1, frac), torch.where(better, finer, least)
    used = frac[largest > 0]
    base = max(_LOWEST, min(int(used.min()) if len(used) else _HIGHEST, _HIGHEST))
    scales = torch.where(largest > 0, frac - base, 0).clamp(0, most)
    return quantise(values, base + scales, width), base, scales[:, 0].to(torch.int64)


def scores_frac(frac, width):
    """The binary point nearest to `frac` that the softmax takes for scores; with the least, they saturate at +-512."""
    return ARGUMENT_FRAC - max(0, min(ARGUMENT_FRAC - frac, x_shifts(width)[-1]))


def product_fields(name, *, product_frac, bias_frac, o_frac, function, width):
    """The shift fields of a MATMUL.

    Parameters
    ----------
    name : of the result, for the message
    product_frac : binary point of the accumulator, the sum of the operands'
    bias_frac : binary point of the bias, or None
    o_frac : binary point of the result
    function : its name, or none
    width : bits of a value

    Raises
    ------
    CompileError : for a shift outside its field
    """
    table, between = has_table(function), function_format(width).frac
    fields = {
        "bias_shift": 0 if bias_frac is None else product_frac - bias_frac,
        "shift": product_frac - (between if table else o_frac),
        "function_shift": between - o_frac if table else 0,
    }
    for field, legal in (("bias_shift", BIAS_SHIFTS), ("shift", SHIFTS), ("function_shift", FUNCTION_SHIFTS)):
        if fields[field] not in legal:
            raise CompileError(f"{name}: {field} would be {fields[field]}, legal is {legal.start} to {legal.stop - 1}: "
                               "raise fraction_bits in the configuration, or use weights of a more ordinary range")
    return fields
