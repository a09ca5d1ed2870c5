"""log2(x) in integers: the position of the leading one, and a table for what follows it.

The gates are `hw.vector.logarithm.Logarithm`.
"""

import numpy as np

from .fixed import leading_one
from .interpolate import QuadraticTable

__all__ = ["ARGUMENT_FRAC", "LOGARITHM_FRAC", "TABLE", "logarithm"]

ARGUMENT_FRAC = 20
"""Fraction bits of the normalised argument."""

LOGARITHM_FRAC = 16
"""Fraction bits of the result."""

TABLE = QuadraticTable(np.log2, 1.0, ARGUMENT_FRAC, ARGUMENT_FRAC, 5, LOGARITHM_FRAC)
"""log2(x) for x in [1, 2). Error below 0.6 * 2**-16 over every argument."""


def logarithm(x):
    """log2(x) with LOGARITHM_FRAC fraction bits, for integers 0 < x < 2**62; for x = 0 the result is that of 1.

    The normalised argument is truncated to ARGUMENT_FRAC fraction bits, so the error is below 2**-16.
    """
    k = leading_one(x)
    excess = k - ARGUMENT_FRAC
    normal = x << (-excess).clamp(min=0) >> excess.clamp(min=0)
    return (k << LOGARITHM_FRAC) + TABLE(normal & ((1 << ARGUMENT_FRAC) - 1))
