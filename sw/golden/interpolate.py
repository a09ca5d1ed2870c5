"""Piecewise quadratic interpolation in integers: the approximation behind GeLU, tanh, 1/x and 1/sqrt(x).

The same coefficient tables are evaluated here on tensors and by `hw.interpolator.Interpolator` in gates.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

__all__ = ["QuadraticTable"]


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

    function: callable
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

    def __call__(self, u):
        """Evaluate on an int64 tensor of u; returns int64 with binary point `output_frac`."""
        c0, c1, c2 = (torch.from_numpy(c) for c in self.coefficients)
        index = u >> self.t_bits
        t = (u & ((1 << self.t_bits) - 1)) - (1 << (self.t_bits - 1))
        slope = c1[index] + (c2[index] * t >> self.input_frac)
        y = c0[index] + (slope * t >> self.input_frac)
        return ((y >> (self.guard - 1)) + 1) >> 1 if self.guard else y
