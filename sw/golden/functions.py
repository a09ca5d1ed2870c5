"""Activation functions on integers with 16 fraction bits, 24 bits signed in and out.

Both tables are read at ``u = |x|``, clamped to 8 - 2**-16:

    ``gelu(x) = x * Phi(x) = max(x, 0) - d(|x|)`` with ``d(u) = u * (1 - Phi(u))``, even in x and 0 for large u
    ``tanh(-x) = -tanh(x)``, 1 for large u

Phi is the normal distribution function, ``1 - Phi(u) = erfc(u / sqrt(2)) / 2``.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from .interpolate import QuadraticTable

__all__ = ["FUNCTION_BITS", "FUNCTION_FRAC", "GELU", "TANH", "CoarseTable", "TableBank", "gelu", "relu", "tanh"]

FUNCTION_BITS = 24
"""Bits of an argument and of a result."""

FUNCTION_FRAC = 16
"""Binary point of both."""


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
        return c0, *(((c >> (z - 1)) + 1) >> 1 << z for c, z in zip(others, self.zeros, strict=True))


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


def _table(function):
    # 64 segments would pass one unit, and 128 shorten both products; measured in ASAP7, 128 are also smaller.
    return CoarseTable(function, 0.0, FUNCTION_FRAC, FUNCTION_FRAC + 3, 7, FUNCTION_FRAC, guard=1, zeros=(3, 8))


GELU = _table(_deficit)
TANH = _table(np.tanh)


def relu(x):
    """max(x, 0), exact."""
    return x.clamp(min=0)


def gelu(x):
    """GeLU in its erf form of a 24-bit tensor. Error below one unit of 2**-16 over the whole range."""
    return relu(x) - GELU(_argument(x))


def tanh(x):
    """Hyperbolic tangent of a 24-bit tensor. Error below one unit of 2**-16 over the whole range."""
    y = TANH(_argument(x))
    return torch.where(x < 0, -y, y)


def _argument(x):
    return x.abs().clamp(max=(1 << GELU.input_bits) - 1)
