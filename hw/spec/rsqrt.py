"""Reciprocal square root of a normalised argument: its table and binary points."""

import numpy as np

from .quadratic_table import QuadraticTable

__all__ = ["FRACTION", "MANTISSA", "RSQRT"]

FRACTION = 17
"""Fraction bits of the argument within its octave."""

MANTISSA = 17
"""Fraction bits of the result."""


def _octaves(x):
    """1/sqrt(1 + x) on [0, 1) (arguments 1 to 2) and 1/sqrt(2x) on [1, 2) (arguments 2 to 4)."""
    return np.where(x < 1, 1 / np.sqrt(1 + x), 1 / np.sqrt(2 * np.maximum(x, 0.5)))


RSQRT = QuadraticTable(_octaves, 0.0, FRACTION, FRACTION + 1, 5, MANTISSA)
