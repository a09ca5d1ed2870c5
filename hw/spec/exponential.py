"""2^-x of a fraction: the piecewise linear table behind softmax, and its binary points."""

import numpy as np

__all__ = ["ARGUMENT_FRAC", "EXPONENTIAL_FRAC", "GUARD", "OFFSET_BITS", "SEGMENT_BITS", "SLOPE_FRAC", "coefficients"]

ARGUMENT_FRAC = 16
"""Fraction bits of x."""

EXPONENTIAL_FRAC = 17
"""Fraction bits of 2^-x of a fraction: the result lies in [1/2, 1), 17 bits with a leading one."""

SEGMENT_BITS = 6
OFFSET_BITS = ARGUMENT_FRAC - SEGMENT_BITS
SLOPE_FRAC = 9
GUARD = 2
"""Fraction bits of the table beyond the result's."""


def coefficients():
    """Integer arrays (base, slope), one entry per segment.

    ``base`` has EXPONENTIAL_FRAC + 2 fraction bits and includes the rounding; ``slope`` (positive, subtracted) is in
    units of the base's last bit per 2**SLOPE_FRAC units of x. Both pass through the Chebyshev nodes of the segment, so
    that the polynomial error is ln(2)**2 * 2**-12 / 16 = 0.48 * 2**-16 at most.
    """
    half = 2.0 ** -(SEGMENT_BITS + 1)
    centre = (2 * np.arange(1 << SEGMENT_BITS) + 1) * half
    near, far = (np.exp2(-(centre + sign * half * np.sqrt(0.5))) for sign in (-1, 1))
    scale = 2.0 ** (EXPONENTIAL_FRAC + GUARD)
    base = np.floor((near + far) / 2 * scale + 0.5) + (1 << (GUARD - 1))
    slope = np.floor((near - far) / (half * np.sqrt(2)) * scale * 2.0 ** (SLOPE_FRAC - ARGUMENT_FRAC) + 0.5)
    return base.astype(np.int64), slope.astype(np.int64)
