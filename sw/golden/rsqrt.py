"""Reciprocal square root of a normalised argument: the mantissa of layer-norm's 1/sigma."""

from ...hw.spec.rsqrt import MANTISSA, RSQRT
from .interpolate import interpolate

__all__ = ["rsqrt"]


def rsqrt(u):
    """1/sqrt(a) for a in [1, 4), as an integer of `MANTISSA` fraction bits in [2**16, 2**17).

    ``u`` holds the octave in bit `FRACTION` (0: a = 1.f, 1: a = 2 * 1.f) and f below it. Piecewise quadratic, 16
    segments an octave, no Newton step: error at most one unit of 2**-17, over all arguments (measured exhaustively by
    its test), 1.0 itself being held to 1 - 2**-17. Source: Chebyshev interpolation, |error| <= h**3 * max|f'''| / 192
    for segments of width h, here 2.4e-6 = 0.32 units, plus the rounding.
    """
    return interpolate(RSQRT, u).clamp(max=(1 << MANTISSA) - 1)
