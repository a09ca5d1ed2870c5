"""Row softmax of base-2 logarithms in integers, two passes over tile columns."""

import math

import torch

from ...hw.spec.exponential import ARGUMENT_FRAC, EXPONENTIAL_FRAC
from ...hw.spec.softmax import SUM_FRAC, Z_BITS, x_shifts
from .exponential import exponential_of_fraction
from .logarithm import logarithm

__all__ = ["logit_factor", "softmax"]


def logit_factor(head_size):
    """``log2(e) / sqrt(head_size)``, by which a product of query and key becomes a base-2 logarithm."""
    return math.log2(math.e) / math.sqrt(head_size)


def softmax(x, *, valid_columns, x_shift, o_frac, tau, width, tile, watch=None):
    """Probabilities of the rows of x, as `hw.vector.softmax_unit.SoftmaxUnit` computes them.

    With ``z = x << x_shift``, which has ARGUMENT_FRAC fraction bits, pass 1 keeps per row the maximum m of floor(z) and the
    sum s of ``2**(z - m - 1 + 2**-16)`` (at most 1 each), rescaled whenever a tile raises m; pass 2 subtracts
    ``m + 1 + log2(s)`` from every z, and the result is 2 to that power, rounded half up.

    Error against float64, rows of up to 512, o_frac = 18, width = 20: measured 2.0 * 2**-16 on random rows and
    3.6 * 2**-16 on rows made to add up every truncation.

    Parameters
    ----------
    x : int64 tensor [rows, columns]
        Scores, base-2 logarithms; columns a multiple of `tile`.
    valid_columns : int
        Columns that take part; the others become 0.
    x_shift : int
        Left shift of x to ARGUMENT_FRAC fraction bits, one of `x_shifts`.
    o_frac : int
        Fraction bits of the result, at most ``width - 2``.
    tau : int
        Results below it become 0.
    width : int
        Word length of x and of the result.
    tile : int
        Columns that the hardware takes at once.
    watch : callable, optional
        As in `post_process`; the exact value is that of the sum and logarithm as they are. Nothing saturates here.

    Returns
    -------
    int64 tensor like x

    Raises
    ------
    ValueError : for a shift, binary point or number of columns that the hardware does not take
    """
    if x_shift not in x_shifts(width):
        raise ValueError(f"x_shift = {x_shift}: choose 0 to {x_shifts(width)[-1]}, that is {ARGUMENT_FRAC} to "
                         f"{ARGUMENT_FRAC - x_shifts(width)[-1]} fraction bits of the scores")
    if not 0 <= o_frac <= width - 2:
        raise ValueError(f"o_frac = {o_frac}: 1.0 needs o_frac <= width - 2 = {width - 2}")
    if x.shape[1] % tile:
        raise ValueError(f"{x.shape[1]} columns are no multiple of tile = {tile}")
    z = x << x_shift
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
    if watch:
        exact = torch.where(valid, torch.exp2(z.double() * 2.0**-ARGUMENT_FRAC + o_frac), 0.0)
        watch(exact=exact, rounded=p, saturated=torch.zeros_like(valid))
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
