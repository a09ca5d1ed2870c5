"""The activation functions of the post-process, defined once: names, codes, and what their tables hold.

Instruction set, configuration, registers, gates, golden functions and models all read `ACTIVATIONS`; another function is
another entry.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from .quadratic_table import CoarseTable

__all__ = ["ACTIVATIONS", "REACH", "Activation", "FunctionFormat", "activation", "function_format", "has_table",
           "model_function"]

REACH = 128
"""Largest magnitude of an argument of a function with a table."""

_BLOCK_BITS = 3
"""A block of a table covers this many bits in front of the binary point."""


@dataclass(frozen=True, kw_only=True)
class Activation:
    """A function of one value.

    With u = ``|x|``, a function is ``max(x, 0) - tail(u)``, or `odd`: ``tail(u)`` with the sign of x. Beyond its `blocks` it
    stays as at their end.

    Parameters
    ----------
    name : in configurations, models and reports
    title : in documents
    code : of the field ``function`` of MATMUL
    config_bit : of the register CONFIG_UNITS, set where the function is built
    tail : vectorised float function on numpy arrays, which a table holds; None: zero, and there is no table
    odd : the result takes the sign of x
    blocks : the table covers ``u < 8 * blocks``
    also : what configurations of models call it besides
    """

    name: str
    title: str
    code: int
    config_bit: int
    tail: Callable | None = None
    odd: bool = False
    blocks: int = 1
    also: tuple[str, ...] = ()

    def exact(self, x):
        """The function in double precision, of a numpy array."""
        if self.tail is None:
            return np.maximum(x, 0.0)
        tail = self.tail(np.abs(x))
        return np.copysign(tail, x) if self.odd else np.maximum(x, 0.0) - tail


def _gelu_tail(u):
    """U * (1 - Phi(u)) with the normal distribution function Phi, ``1 - Phi(u) = erfc(u / sqrt(2)) / 2``."""
    return u / 2 * np.vectorize(math.erfc, otypes=[float])(u * 0.5**0.5)


def _gelu_tanh_tail(u):
    """U * (1 - Phi(u)) with ``2 Phi(u) - 1`` approximated by ``tanh(sqrt(2 / pi) (u + 0.044715 u^3))``."""
    return u / 2 * (1 - np.tanh((2 / math.pi) ** 0.5 * (u + 0.044715 * u**3)))


def _silu_tail(u):
    """U * sigmoid(-u)."""
    return u / (1 + np.exp(u))


def _quick_gelu_tail(u):
    """U * sigmoid(-1.702 u), with which sigmoid(1.702 u) stands for Phi(u)."""
    return u / (1 + np.exp(1.702 * u))


ACTIVATIONS = (
    Activation(name="relu", title="ReLU", code=1, config_bit=16),
    Activation(name="gelu", title="GeLU", code=2, config_bit=17, tail=_gelu_tail, also=("gelu_python",)),
    Activation(name="tanh", title="tanh", code=3, config_bit=18, tail=np.tanh, odd=True),
    Activation(name="silu", title="SiLU", code=4, config_bit=22, tail=_silu_tail, blocks=2, also=("swish",)),
    Activation(name="gelu_tanh", title="GeLU by tanh", code=5, config_bit=23, tail=_gelu_tanh_tail,
               also=("gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu_accurate")),
    Activation(name="quick_gelu", title="quick GeLU", code=6, config_bit=24, tail=_quick_gelu_tail, blocks=2),
)
"""In the order of their codes; code 0 is no function."""


def activation(name):
    """The `Activation` of a name."""
    return next(a for a in ACTIVATIONS if a.name == name)


def model_function(name):
    """The name here of what the configuration of a model calls `name`; None for a function that is not built."""
    return next((a.name for a in ACTIVATIONS if name in (a.name, *a.also)), None)


def has_table(name):
    """Whether a function, by its name or "none", goes through a table, and so through `FunctionFormat`."""
    return name != "none" and activation(name).tail is not None


@dataclass(frozen=True)
class FunctionFormat:
    """Activation functions with tables for values of `width` bits: with `bits` bits in and out, `frac` of them fraction bits.

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

    @cache  # noqa: B019 (formats are few and live for good)
    def table(self, name):
        """The table of a function, or None where it needs none."""
        entry = activation(name)
        if entry.tail is None:
            return None
        # At 16 bits 64 segments would pass one unit, and 128 shorten both products; measured in ASAP7, 128 are also smaller.
        # The error grows with the third power of a segment.
        fewer = (16 - self.frac) // 3
        more = (entry.blocks - 1).bit_length()
        return CoarseTable(entry.tail, 0.0, self.frac, self.frac + _BLOCK_BITS + more, 7 - fewer + more, self.frac, guard=1,
                           zeros=(3 - fewer, 8 - 2 * fewer))


@cache
def function_format(width):
    """The `FunctionFormat` of a width; its tables are computed once."""
    return FunctionFormat(width)
