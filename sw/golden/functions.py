"""Activation functions on integers, `FunctionFormat` says with how many bits.

Both tables are read at ``u = |x|``, clamped to just below 8:

    ``gelu(x) = x * Phi(x) = max(x, 0) - d(|x|)`` with ``d(u) = u * (1 - Phi(u))``, even in x and 0 for large u
    ``tanh(-x) = -tanh(x)``, 1 for large u

Phi is the normal distribution function, ``1 - Phi(u) = erfc(u / sqrt(2)) / 2``.
"""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import torch

from .interpolate import QuadraticTable

__all__ = ["REACH", "CoarseTable", "FunctionFormat", "TableBank", "function_format", "relu"]

REACH = 128
"""Largest magnitude of an argument of GeLU and tanh."""


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


@dataclass(frozen=True)
class TableBank:
    """Tables of one format behind one interpolator: the argument is ``u + (number of the table << its input bits)``."""

    tables: tuple[QuadraticTable, ...]

    @property
    def input_bits(self):
        """Bits of the argument with the table's number on top."""
        return self.tables[0].input_bits + (len(self.tables) - 1).bit_length()

    @property
    def input_frac(self):
        """Binary point of the argument."""
        return self.tables[0].input_frac

    @property
    def t_bits(self):
        """Bits of the position within a segment."""
        return self.tables[0].t_bits

    @property
    def guard(self):
        """Extra bits inside."""
        return self.tables[0].guard

    @property
    def coefficients(self):
        """Integer arrays c0, c1, c2 over the segments of all tables."""
        return tuple(np.concatenate(c) for c in zip(*(t.coefficients for t in self.tables), strict=True))


def _deficit(u):
    argument = torch.from_numpy(u)
    return (argument / 2 * torch.special.erfc(argument * 0.5**0.5)).numpy()


@dataclass(frozen=True)
class FunctionFormat:
    """GeLU and tanh for values of `width` bits: with `bits` bits in and out, `frac` of them behind the binary point.

    Two bits more than a value has suffice: its binary point is seldom further down.
    """

    width: int

    @property
    def frac(self):
        """Binary point of argument and result."""
        return min(16, self.width + 2)

    @property
    def bits(self):
        """Bits of argument and result, which are within +-`REACH`."""
        return self.frac + REACH.bit_length()

    def _table(self, function):
        # At 16 bits 64 segments would pass one unit, and 128 shorten both products; measured in ASAP7, 128 are also smaller.
        # The error grows with the third power of a segment.
        fewer = (16 - self.frac) // 3
        return CoarseTable(function, 0.0, self.frac, self.frac + 3, 7 - fewer, self.frac, guard=1,
                           zeros=(3 - fewer, 8 - 2 * fewer))

    @cached_property
    def gelu_table(self):
        """d(u)."""
        return self._table(_deficit)

    @cached_property
    def tanh_table(self):
        """tanh(u)."""
        return self._table(np.tanh)

    def gelu(self, x):
        """GeLU in its erf form of a tensor. Error below one unit over the whole range."""
        return relu(x) - self.gelu_table(self._argument(x))

    def tanh(self, x):
        """Hyperbolic tangent of a tensor. Error below one unit over the whole range."""
        y = self.tanh_table(self._argument(x))
        return torch.where(x < 0, -y, y)

    def _argument(self, x):
        return x.abs().clamp(max=(8 << self.frac) - 1)


@cache
def function_format(width):
    """The `FunctionFormat` of a width; its tables are computed once."""
    return FunctionFormat(width)


def relu(x):
    """max(x, 0), exact."""
    return x.clamp(min=0)
