"""Piecewise quadratic interpolation in integers: the tables behind GeLU, tanh, log2(x) and 1/sqrt(x).

They are evaluated on tensors by `sw.golden.interpolate.interpolate`, and in gates by `hw.interpolator.Interpolator`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

__all__ = ["CoarseTable", "QuadraticTable"]


@dataclass(frozen=True)
class QuadraticTable:
    """Coefficients of ``f(lower + u * 2**-input_frac)`` for unsigned integers u of `input_bits` bits.

    The top `segment_bits` bits of u choose a segment; the others, centred, are t. With `guard` extra bits g:

        ``y = round_shift(c0 + ((c1 + ((c2 * t) >> input_frac)) * t >> input_frac), guard)``

    where t is an integer with `input_frac` fraction bits and c0, c1, c2 have ``output_frac + guard`` fraction bits.
    Error against f: below one unit of `output_frac` when segments are narrow enough (each table's test measures it).

    Parameters
    ----------
    function : vectorised float function on numpy arrays
    lower : float value of u = 0
    input_frac, input_bits, segment_bits : format of u
    output_frac : binary point of the result
    guard : extra bits inside
    """

    function: Callable
    lower: float
    input_frac: int
    input_bits: int
    segment_bits: int
    output_frac: int
    guard: int = 3

    @property
    def t_bits(self):
        """Bits of the position within a segment."""
        return self.input_bits - self.segment_bits

    @cached_property
    def coefficients(self):
        """Integer arrays c0, c1, c2, one entry per segment: interpolation at the three Chebyshev nodes."""
        half = 2.0 ** (self.t_bits - 1 - self.input_frac)
        centre = self.lower + (2 * np.arange(1 << self.segment_bits) + 1) * half
        nodes = np.cos(np.pi * (2 * np.arange(3) + 1) / 6)
        values = self.function(centre[:, None] + half * nodes[None, :])
        polynomial = np.linalg.solve(np.vander(nodes * half, 3, increasing=True), values.T)
        scale = 2.0 ** (self.output_frac + self.guard)
        return tuple(np.floor(c * scale + 0.5).astype(np.int64) for c in polynomial)


@dataclass(frozen=True, kw_only=True)
class CoarseTable(QuadraticTable):
    """A table whose slopes and curvatures are rounded: their lowest bits are zero and cost no gates.

    Parameters
    ----------
    zeros : zero bits at the low end of c1 and c2
    """

    zeros: tuple[int, int]

    @cached_property
    def coefficients(self):
        """Integer arrays c0, c1, c2, one entry per segment."""
        c0, *others = super().coefficients
        return c0, *(((c >> z - 1) + 1) >> 1 << z if z else c for c, z in zip(others, self.zeros, strict=True))
