"""Row softmax in integers, two passes over tile columns, and the scale that turns scores into base-2 logarithms."""

import math

import torch

from .exponential import ARGUMENT_FRAC, EXPONENTIAL_FRAC, exponential_of_fraction
from .fixed import round_shift, saturate
from .logarithm import logarithm

__all__ = ["Z_BITS", "SUM_FRAC", "SCALE_BITS", "MAX_SCALE_SHIFT", "softmax", "softmax_scale"]

Z_BITS = 10 + ARGUMENT_FRAC
"""Bits of z, the base-2 logarithm of a numerator: it saturates at +-512."""

SUM_FRAC = 25
"""Fraction bits of the running sum: 512 truncated terms change a sum of 1/2 by 2 * 2**-16 of itself at most."""

SCALE_BITS = 16
MAX_SCALE_SHIFT = 31


def softmax_scale(x_frac, head_size):
    """``(scale, scale_shift)`` from scores with `x_frac` fraction bits to ``x * log2(e) / sqrt(head_size)`` with 16.

    The mantissa has SCALE_BITS significant bits, so the relative error is at most 2**-16.

    Raises
    ------
    ValueError : when the factor is out of the range of the hardware's shift
    """
    factor = math.log2(math.e) / math.sqrt(head_size) * 2.0 ** (ARGUMENT_FRAC - x_frac)
    shift = SCALE_BITS - math.frexp(factor)[1]
    scale = math.floor(factor * 2.0**shift + 0.5)
    if scale == 1 << SCALE_BITS:
        scale, shift = scale >> 1, shift - 1
    if not 0 <= shift <= MAX_SCALE_SHIFT:
        raise ValueError(f"x_frac = {x_frac}, head_size = {head_size}: scale_shift would be {shift}, "
                         f"outside 0..{MAX_SCALE_SHIFT}")
    return scale, shift


def softmax(x, *, valid_columns, scale, scale_shift, o_frac, tau, width, tile):
    """Probabilities of the rows of x, as `hw.vector.softmax_unit.SoftmaxUnit` computes them.

    With ``z = round_shift(x * scale, scale_shift)`` saturated to Z_BITS, pass 1 keeps per row the maximum m of floor(z)
    and the sum s of ``2**(z - m - 1 + 2**-16)`` (at most 1 each), rescaled whenever a tile raises m; pass 2 subtracts
    ``m + 1 + log2(s)`` from every z, and the result is 2 to that power, rounded half up.

    Error against float64, rows of up to 512, o_frac = 18, width = 20: measured 1.7 * 2**-16 on random rows and
    3.6 * 2**-16 on rows made to add up every truncation, as long as no z saturates (``|x| < 350 * sqrt(head_size)``).

    Parameters
    ----------
    x : int64 tensor [rows, columns]
        Scores; columns a multiple of `tile`.
    valid_columns : int
        Columns that take part; the others become 0.
    scale, scale_shift : int
        Scores to base-2 logarithms, see `softmax_scale`.
    o_frac : int
        Fraction bits of the result, at most ``width - 2``.
    tau : int
        Results below it become 0.
    width : int
        Word length of the result.
    tile : int
        Columns that the hardware takes at once.

    Returns
    -------
    int64 tensor like x
    """
    if not 0 <= scale_shift <= MAX_SCALE_SHIFT:
        raise ValueError(f"scale_shift = {scale_shift}: the hardware shifts by 0 to {MAX_SCALE_SHIFT}")
    if not 0 <= o_frac <= width - 2:
        raise ValueError(f"o_frac = {o_frac}: 1.0 needs o_frac <= width - 2 = {width - 2}")
    if x.shape[1] % tile:
        raise ValueError(f"{x.shape[1]} columns are no multiple of tile = {tile}")
    z = saturate(round_shift(x * scale, scale_shift), Z_BITS)
    valid = (torch.arange(x.shape[1]) < valid_columns).expand_as(x)
    floor = z >> ARGUMENT_FRAC
    numerator = exponential_of_fraction(~z & ((1 << ARGUMENT_FRAC) - 1))
    maximum, total = _first_pass(floor, numerator, valid, tile)

    z = z - (maximum + 1 - SUM_FRAC << ARGUMENT_FRAC)[:, None] - logarithm(total)[:, None]
    numerator = exponential_of_fraction(~z & ((1 << ARGUMENT_FRAC) - 1))
    # One bit more than the result, then round.
    shift = SUM_FRAC - 2 - o_frac - (z >> ARGUMENT_FRAC)
    doubled = numerator << (SUM_FRAC - EXPONENTIAL_FRAC) >> shift.clamp(0, 62)
    p = torch.where(valid, (doubled + 1) >> 1, 0)
    return torch.where(p < tau, 0, p)


def _first_pass(floor, numerator, valid, tile):
    """Per row the maximum of `floor` and the sum of the numerators relative to it, tile column by tile column."""
    maximum = total = None
    for column in range(0, floor.shape[1], tile):
        part = slice(column, column + tile)
        if not valid[0, column] and column:
            break
        highest = torch.where(valid[:, part], floor[:, part], -(1 << (Z_BITS - ARGUMENT_FRAC - 1))).amax(1)
        if maximum is None:
            new, kept = highest, torch.zeros_like(highest)
        else:
            new = torch.maximum(maximum, highest)
            kept = total >> (new - maximum).clamp(max=62)
        distance = (new[:, None] - floor[:, part]).clamp(0, 62)
        terms = numerator[:, part] << (SUM_FRAC - EXPONENTIAL_FRAC) >> distance
        total = kept + torch.where(valid[:, part], terms, 0).sum(1)
        maximum = new
    return maximum, total
