"""Reciprocal square root of a normalised argument: the mantissa of layer-norm's 1/sigma."""

import numpy as np

from .interpolate import QuadraticTable

__all__ = ["FRACTION", "MANTISSA", "RSQRT", "rsqrt"]

FRACTION = 17
"""Fraction bits of the argument within its octave."""

MANTISSA = 17
"""Fraction bits of the result."""


def _octaves(x):
    """1/sqrt(1 + x) on [0, 1) (arguments 1 to 2) and 1/sqrt(2x) on [1, 2) (arguments 2 to 4)."""
    return np.where(x < 1, 1 / np.sqrt(1 + x), 1 / np.sqrt(2 * np.maximum(x, 0.5)))


RSQRT = QuadraticTable(_octaves, 0.0, FRACTION, FRACTION + 1, 5, MANTISSA)


def rsqrt(u):
    """1/sqrt(a) for a in [1, 4), as an integer of `MANTISSA` fraction bits in [2**16, 2**17).

    ``u`` holds the octave in bit `FRACTION` (0: a = 1.f, 1: a = 2 * 1.f) and f below it. Piecewise quadratic, 16
    segments an octave, no Newton step: error at most one unit of 2**-17, over all arguments (measured exhaustively by
    its test), 1.0 itself being held to 1 - 2**-17. Source: Chebyshev interpolation, |error| <= h**3 * max|f'''| / 192
    for segments of width h, here 2.4e-6 = 0.32 units, plus the rounding.
    """
    return RSQRT(u).clamp(max=(1 << MANTISSA) - 1)
