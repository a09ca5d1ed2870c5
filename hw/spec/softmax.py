"""Binary points of the row softmax."""

from .exponential import ARGUMENT_FRAC

__all__ = ["REACH", "SUM_FRAC", "Z_BITS", "x_shifts"]

Z_BITS = 10 + ARGUMENT_FRAC
"""Bits of z, the base-2 logarithm of a numerator: within +-`REACH`."""

REACH = 1 << Z_BITS - 1 - ARGUMENT_FRAC

SUM_FRAC = 25
"""Fraction bits of the running sum: 512 truncated terms change a sum of 1/2 by 2 * 2**-16 of itself at most."""


def x_shifts(width):
    """Range of ``ARGUMENT_FRAC - x_frac``, for x of `width` bits with `x_frac` fraction bits: z holds every x."""
    return range(Z_BITS - width + 1)
