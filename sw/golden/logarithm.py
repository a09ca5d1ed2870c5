"""log2(x) in integers: the position of the leading one, and a table for what follows it.

The gates are `hw.vector.logarithm.Logarithm`.
"""

from ...hw.spec.logarithm import ARGUMENT_FRAC, LOGARITHM_FRAC, TABLE
from .fixed import leading_one
from .interpolate import interpolate

__all__ = ["logarithm"]


def logarithm(x):
    """log2(x) with LOGARITHM_FRAC fraction bits, for integers 0 < x < 2**62; for x = 0 the result is that of 1.

    The normalised argument is truncated to ARGUMENT_FRAC fraction bits, so the error is below 2**-16.
    """
    k = leading_one(x)
    excess = k - ARGUMENT_FRAC
    normal = x << (-excess).clamp(min=0) >> excess.clamp(min=0)
    return (k << LOGARITHM_FRAC) + interpolate(TABLE, normal & ((1 << ARGUMENT_FRAC) - 1))
