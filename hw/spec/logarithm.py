"""log2(x) of a normalised argument: its table and binary points."""

import numpy as np

from .quadratic_table import QuadraticTable

__all__ = ["ARGUMENT_FRAC", "LOGARITHM_FRAC", "TABLE"]

ARGUMENT_FRAC = 20
"""Fraction bits of the normalised argument."""

LOGARITHM_FRAC = 16
"""Fraction bits of the result."""

TABLE = QuadraticTable(np.log2, 1.0, ARGUMENT_FRAC, ARGUMENT_FRAC, 5, LOGARITHM_FRAC)
"""log2(x) for x in [1, 2). Error below 0.6 * 2**-16 over every argument."""
