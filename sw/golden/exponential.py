"""2^-x in integers: the exponential behind softmax.

The fraction of x goes through a piecewise linear table, the integer part is a shift. The gates are
`hw.vector.exponential.Exponential` (the table) and the shifter of the softmax unit.
"""

import torch

from ...hw.spec.exponential import ARGUMENT_FRAC, EXPONENTIAL_FRAC, GUARD, OFFSET_BITS, SLOPE_FRAC, coefficients

__all__ = ["exponential", "exponential_of_fraction"]


def exponential_of_fraction(u):
    """``2**-(u / 2**16)`` for 0 <= u < 2**16, with EXPONENTIAL_FRAC fraction bits.

    With t the low 10 bits of u, centred: ``(base - (slope * t >> 9)) >> 2``.
    Error below 0.9 * 2**-16 over every argument.
    """
    base, slope = (torch.from_numpy(c) for c in coefficients())
    index = u >> OFFSET_BITS
    t = (u & ((1 << OFFSET_BITS) - 1)) - (1 << (OFFSET_BITS - 1))
    return (base[index] - (slope[index] * t >> SLOPE_FRAC)) >> GUARD


def exponential(x, frac=EXPONENTIAL_FRAC):
    """``2**-(x / 2**16)`` for x >= 0, with `frac` >= EXPONENTIAL_FRAC fraction bits, truncated.

    Error below 0.9 * 2**-16 plus one unit of the result.
    """
    shift = (x >> ARGUMENT_FRAC).clamp(max=62)
    return exponential_of_fraction(x & ((1 << ARGUMENT_FRAC) - 1)) << (frac - EXPONENTIAL_FRAC) >> shift
