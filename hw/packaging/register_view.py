"""The register map of one configuration, as every format of the package writes it: only what is built, with its reset values.

Windows come as arrays of the words that answer. Threshold curves are an array of arrays, since there are unmapped words between
one curve and the next.
"""

from dataclasses import dataclass

from ..spec.error_codes import ErrorCode, ErrorSource
from ..spec.registers import CURVE_STRIDE, KNOTS, REGISTERS, Register, config_values

__all__ = ["Dimension", "FieldView", "INNER", "RegisterView", "register_views"]

INNER = {"CURVE": "KNOT"}
"""The name of a word in an array of arrays of words, by that of the whole."""

_VALUES = {"ERROR_CODE": ErrorCode, "ERROR_ENGINE": ErrorSource}
"""Registers whose only field is a number with names."""


@dataclass(frozen=True)
class Dimension:
    """`count` equal parts, `stride` bytes from one to the next."""

    count: int
    stride: int


@dataclass(frozen=True)
class FieldView:
    """Bits ``offset .. offset + bits - 1``.

    Parameters
    ----------
    reset : after the reset pin; None where nothing decides it
    values : ((name, number, meaning), ...) of a number with names; the meaning may be None
    """

    name: str
    offset: int
    bits: int
    doc: str
    reset: int | None
    values: tuple = ()


@dataclass(frozen=True)
class RegisterView:
    """A register or an array of registers.

    Parameters
    ----------
    register : of the map
    dimensions : of an array, the outermost first
    fields : all of them
    """

    register: Register
    dimensions: tuple[Dimension, ...]
    fields: tuple[FieldView, ...]

    @property
    def volatile(self):
        """Whether it changes without being written."""
        return self.register.access in ("ro", "w1c") and not self.register.constant

    @property
    def reset(self):
        """The whole word after the reset pin; None where nothing decides it."""
        if any(field.reset is None for field in self.fields):
            return None
        return sum(field.reset << field.offset for field in self.fields)


def register_views(config):
    """The RegisterView of every register that the accelerator of `config` has, in the order of the offsets."""
    constants = config_values(config)
    return [_view(register, config, constants.get(register.name, register.reset)) for register in REGISTERS
            if register.built(config)]


def _view(register, config, reset):
    words = {"TAU": (Dimension(config.prune_curves, 4),),
             "CURVE": (Dimension(config.prune_curves, 4 * CURVE_STRIDE), Dimension(KNOTS, 4))}
    if register.count > 1:
        dimensions = words[register.name]
        # Thresholds have one bit less than the words of the configuration.
        bits = {part.name: config.width - 1 for part in register.parts}
    else:
        dimensions, bits = (), {part.name: part.bits for part in register.parts}
    values = tuple((code.name, int(code), getattr(code, "doc", None)) for code in _VALUES.get(register.name, ()))
    return RegisterView(register, dimensions, tuple(
        FieldView(part.name, part.offset, bits[part.name], part.doc,
                  None if reset is None else reset >> part.offset & (1 << part.bits) - 1, values)
        for part in register.parts))
