"""2^-x in integers: the exponential behind softmax.

The fraction of x goes through a piecewise linear table, the integer part is a shift. The gates are
`hw.vector.exponential.Exponential` (the table) and the shifter of the softmax unit.
"""

import numpy as np
import torch

__all__ = ["ARGUMENT_FRAC", "EXPONENTIAL_FRAC", "OFFSET_BITS", "SEGMENT_BITS", "SLOPE_FRAC", "coefficients",
           "exponential", "exponential_of_fraction"]

ARGUMENT_FRAC = 16
"""Fraction bits of x."""

EXPONENTIAL_FRAC = 17
"""Fraction bits of 2^-x of a fraction: the result lies in [1/2, 1), 17 bits with a leading one."""

SEGMENT_BITS = 6
OFFSET_BITS = ARGUMENT_FRAC - SEGMENT_BITS
SLOPE_FRAC = 9
_GUARD = 2


def coefficients():
    """Integer arrays (base, slope), one entry per segment.

    ``base`` has EXPONENTIAL_FRAC + 2 fraction bits and includes the rounding; ``slope`` (positive, subtracted) is in
    units of the base's last bit per 2**SLOPE_FRAC units of x. Both pass through the Chebyshev nodes of the segment, so
    that the polynomial error is ln(2)**2 * 2**-12 / 16 = 0.48 * 2**-16 at most.
    """
    half = 2.0 ** -(SEGMENT_BITS + 1)
    centre = (2 * np.arange(1 << SEGMENT_BITS) + 1) * half
    near, far = (np.exp2(-(centre + sign * half * np.sqrt(0.5))) for sign in (-1, 1))
    scale = 2.0 ** (EXPONENTIAL_FRAC + _GUARD)
    base = np.floor((near + far) / 2 * scale + 0.5) + (1 << (_GUARD - 1))
    slope = np.floor((near - far) / (half * np.sqrt(2)) * scale * 2.0 ** (SLOPE_FRAC - ARGUMENT_FRAC) + 0.5)
    return base.astype(np.int64), slope.astype(np.int64)


def exponential_of_fraction(u):
    """``2**-(u / 2**16)`` for 0 <= u < 2**16, with EXPONENTIAL_FRAC fraction bits.

    With t the low 10 bits of u, centred: ``(base - (slope * t >> 9)) >> 2``.
    Error below 0.9 * 2**-16 over every argument.
    """
    base, slope = (torch.from_numpy(c) for c in coefficients())
    index = u >> OFFSET_BITS
    t = (u & ((1 << OFFSET_BITS) - 1)) - (1 << (OFFSET_BITS - 1))
    return (base[index] - (slope[index] * t >> SLOPE_FRAC)) >> _GUARD


def exponential(x, frac=EXPONENTIAL_FRAC):
    """``2**-(x / 2**16)`` for x >= 0, with `frac` >= EXPONENTIAL_FRAC fraction bits, truncated.

    Error below 0.9 * 2**-16 plus one unit of the result.
    """
    shift = (x >> ARGUMENT_FRAC).clamp(max=62)
    return exponential_of_fraction(x & ((1 << ARGUMENT_FRAC) - 1)) << (frac - EXPONENTIAL_FRAC) >> shift
