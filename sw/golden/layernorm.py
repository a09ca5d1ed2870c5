"""Layer-norm in integers: ``o = (v - mean) / sqrt(var + eps) * gamma + beta`` with v = x, or x plus a residual.

A row goes through two passes. Pass 1 sums v and v*v exactly. The scalars of a row follow from the sums: the mean, with
`mean_guard` extra bits, and the sum of squares about that rounded mean, which is exact whatever the rounding, so that
no precision is lost where the mean is far larger than the deviation. Pass 2 normalises, scales and prunes.
"""

import math

import torch

from ...hw.spec.layernorm import BETA_LEADS, EPSILON_BITS, GAMMA_LEADS, GUARD, LEFT_MAX, RECIPROCAL_BITS, LayerNormFormat
from ...hw.spec.rsqrt import FRACTION, MANTISSA
from .fixed import leading_one, round_shift, saturate
from .rsqrt import rsqrt

__all__ = ["layernorm", "layernorm_fields"]

_PRODUCT_BITS = 20


def layernorm(x, gamma, beta, *, residual=None, x_shift, r_shift=0, reciprocal, reciprocal_shift, epsilon, beta_shift,
              shift, tau=0, width, watch=None):
    """Layer-norm of every row, in the integers of `hw.vector.layernorm_unit.LayerNormUnit`.

    Parameters
    ----------
    x, residual : int64 [rows, N] of `width` bits
    gamma, beta : int64 [N] of `width` bits
    x_shift, r_shift : right shift (rounding; negative: left) of x and of the residual to the binary point of v
    reciprocal, reciprocal_shift : mean = round_shift(sum * reciprocal, reciprocal_shift), with mean_guard fraction bits
    epsilon : added to N times the variance, in units of (v * 2**mean_guard)**2
    beta_shift : left shift of beta to the binary point of y1 * gamma, in BETA_LEADS below `shift`
    shift : right shift of that to the result (rounding; both terms are cut to GUARD bits more before); the fraction bits
        of y1 above GAMMA_LEADS
    tau : results below it in magnitude become zero
    watch : as in `post_process`, and with ``limited`` (bool, where the limits of the unit changed the result, +-32 standard
        deviations) and ``deviation``, the standard deviation of every row in steps of v

    Returns
    -------
    int64 [rows, N] of `width` bits

    Notes
    -----
    Error against float64 on the same integers at width 20, in units of 2**-16 and for outputs within the word:
    ``|gamma| * (1.5 + |y1|) + 1/2`` of the result's own unit (d 1, y1 1/2, the mantissa up to |y1|), plus, with s the
    deviation in steps of v, ``|gamma| * 2**16 / s`` times 1/16 for the mean's rounding, ``2**-24`` of the mean for 1/N,
    and 1/2 for v where an operand is shifted right. Measured on normal rows: at most 2.7, root mean square 0.55.
    """
    form = LayerNormFormat(width)
    if shift - form.fraction not in GAMMA_LEADS or shift - beta_shift not in BETA_LEADS:
        raise ValueError(f"shift = {shift}, beta_shift = {beta_shift}: shift must be {form.fraction + GAMMA_LEADS.start} to "
                         f"{form.fraction + GAMMA_LEADS.stop - 1}, beta_shift at most that and at most "
                         f"{BETA_LEADS.stop - 1} less")
    doubled = x << LEFT_MAX + 1 >> x_shift + LEFT_MAX
    if residual is not None:
        doubled = doubled + (residual << LEFT_MAX + 1 >> r_shift + LEFT_MAX)
    unclipped = doubled + 1 >> 1
    v = saturate(unclipped, form.sum_width)

    mean = round_shift(v.sum(-1, keepdim=True) * reciprocal, reciprocal_shift)
    deviation = (v << form.mean_guard) - mean
    squares = (deviation * deviation).sum(-1, keepdim=True)
    exponent, mantissa = _scale(squares + epsilon, reciprocal, reciprocal_shift, form)

    scaled = _shift_each(deviation, exponent - form.deviation_fraction)
    d = saturate(scaled, form.value_width)
    normal = round_shift(d * mantissa, form.fraction)
    y1 = saturate(normal, form.value_width)
    product = y1 * gamma >> shift - GUARD
    result = round_shift(product + (beta << GUARD >> shift - beta_shift), GUARD)
    y = saturate(result, width)
    if watch:
        limited = (d != scaled) | (y1 != normal)
        sigma = ((squares + epsilon).double() / x.shape[-1]).sqrt()
        watch(exact=deviation / sigma * gamma * 2.0 ** (form.fraction - shift) + beta * 2.0 ** (beta_shift - shift), rounded=y,
              saturated=(v != unclipped) | limited | (y != result), limited=limited,
              deviation=sigma[..., 0] * 2.0**-form.mean_guard)
    return torch.where(y.abs() < tau, torch.zeros_like(y), y)


def _scale(energy, reciprocal, reciprocal_shift, form):
    """The deviation as (exponent h, mantissa of its reciprocal): 1/sigma = mantissa * 2**(-h - form.mantissa)."""
    top = leading_one(energy)
    leading = energy << 62 - top >> 62 - (_PRODUCT_BITS - 1)
    product = leading * (reciprocal >> RECIPROCAL_BITS - _PRODUCT_BITS)
    small = product < 1 << 2 * _PRODUCT_BITS - 1
    product = torch.where(small, product << 1, product)
    exponent = top + RECIPROCAL_BITS - (reciprocal_shift + form.mean_guard) - small.long()
    octave = exponent & 1
    fraction = product >> 2 * _PRODUCT_BITS - 1 - FRACTION & (1 << FRACTION) - 1
    inverse = round_shift(rsqrt(octave << FRACTION | fraction), MANTISSA - form.mantissa)
    return exponent >> 1, inverse.clamp(max=(1 << form.mantissa) - 1)


def _shift_each(x, shift):
    """`shift_signed` with a shift per row."""
    return torch.where(shift >= 0, round_shift(x, shift.clamp(min=0)), x << (-shift).clamp(min=0))


def layernorm_fields(*, n, x_frac, r_frac=None, x_max, r_max=None, gamma_frac, beta_frac, o_frac, eps, width):
    """The instruction's fields from float facts.

    The binary point of v is the largest at which x_max + r_max fits, but no finer than its finer operand, nor than
    an eighth of the step of its coarser one.

    Parameters
    ----------
    n : elements in a row
    x_frac, r_frac : binary points of x and the residual (None: no residual)
    x_max, r_max : their largest magnitudes, as floats
    gamma_frac, beta_frac, o_frac : binary points of gamma, beta and the result
    eps : the epsilon of the layer-norm
    width : bits of a value

    Returns
    -------
    dict : x_shift, r_shift, reciprocal, reciprocal_shift, epsilon, beta_shift, shift

    Raises
    ------
    ValueError : for binary points that the shifters cannot align, saying which to change
    """
    form = LayerNormFormat(width)
    fracs = [x_frac] if r_frac is None else [x_frac, r_frac]
    largest = float(x_max) + (0.0 if r_frac is None else float(r_max))
    fc = min(max(fracs), min(fracs) + LEFT_MAX)
    while largest * 2.0**fc + len(fracs) * 0.5 > (1 << form.sum_width - 1) - 1:
        fc -= 1
    guard = form.mean_guard
    limit = min((1 << EPSILON_BITS) - 1, n << 2 * (form.sum_width + guard) - 4)
    while eps * n * 4.0 ** (fc + guard) > limit:
        fc -= 1
    x_shift = x_frac - fc
    r_shift = 0 if r_frac is None else r_frac - fc

    power = RECIPROCAL_BITS - 1 + (n - 1).bit_length()
    beta_shift = form.fraction + gamma_frac - beta_frac
    shift = form.fraction + gamma_frac - o_frac
    if beta_frac - o_frac not in BETA_LEADS:
        raise ValueError(f"beta_frac = {beta_frac}, o_frac = {o_frac}: beta_frac - o_frac must be {BETA_LEADS.start} to "
                         f"{BETA_LEADS.stop - 1}; lower the larger of the two")
    if gamma_frac - o_frac not in GAMMA_LEADS:
        raise ValueError(f"gamma_frac = {gamma_frac}, o_frac = {o_frac}: gamma_frac - o_frac must be {GAMMA_LEADS.start} to "
                         f"{GAMMA_LEADS.stop - 1}; lower the larger of the two")
    last = 31 - LEFT_MAX
    return {
        "x_shift": min(x_shift, last),
        "r_shift": min(r_shift, last),
        "reciprocal": ((1 << power + 1) // n + 1) >> 1,
        "reciprocal_shift": power - guard,
        "epsilon": math.floor(eps * n * 4.0 ** (fc + guard) + 0.5),
        "beta_shift": beta_shift,
        "shift": shift,
    }
