"""1/x in integers: normalisation, a table, and the exponent that undoes the normalisation.

The gates are `hw.vector.reciprocal.Reciprocal`.
"""

import torch

from .interpolate import QuadraticTable

__all__ = ["ARGUMENT_FRAC", "RECIPROCAL_FRAC", "TABLE", "leading_one", "reciprocal"]

ARGUMENT_FRAC = 18
"""Fraction bits of the normalised argument."""

RECIPROCAL_FRAC = 16
"""Fraction bits of the result: it lies in [1/2, 1), 16 bits with a leading one."""

TABLE = QuadraticTable(lambda x: 1 / x, 1.0, ARGUMENT_FRAC, ARGUMENT_FRAC, 5, RECIPROCAL_FRAC)
"""1/x for x in [1, 2). Error below 0.6 * 2**-16 over every argument."""


def leading_one(x):
    """Position of the highest set bit of x > 0 (0 for x = 0), x < 2**52."""
    return torch.frexp(x.clamp(min=1).double()).exponent.to(torch.int64) - 1


def reciprocal(x):
    """``x = n * 2**k`` with n in [1, 2) to ``(1/n with RECIPROCAL_FRAC fraction bits, k)``, for x > 0.

    n is truncated to ARGUMENT_FRAC fraction bits and 1/1 is given as 1 - 2**-16, so the error is at most 2**-16. For
    x = 0 the result is that of 1.
    """
    k = leading_one(x)
    excess = k - ARGUMENT_FRAC
    normal = torch.where(excess >= 0, x >> excess.clamp(min=0), x << (-excess).clamp(min=0))
    return TABLE(normal & ((1 << ARGUMENT_FRAC) - 1)).clamp(max=(1 << RECIPROCAL_FRAC) - 1), k
