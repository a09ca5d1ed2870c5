"""The arithmetic of one column of the softmax unit: base-2 logarithm to its power of two."""

from amaranth.hdl import Cat, Const, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..spec.exponential import ARGUMENT_FRAC, EXPONENTIAL_FRAC
from ..spec.softmax import SUM_FRAC, Z_BITS, x_shifts
from .exponential import Exponential

__all__ = ["SoftmaxColumn", "FLOOR_BITS", "OFFSET_BITS", "REFERENCE_BITS", "SHIFT_BITS", "TERM_BITS"]

FLOOR_BITS = Z_BITS - ARGUMENT_FRAC
"""Bits of the integer part of z."""

REFERENCE_BITS = FLOOR_BITS + 1
"""Bits of a distance between integer parts, modulo which they are subtracted."""

OFFSET_BITS = REFERENCE_BITS + ARGUMENT_FRAC
"""Bits of what is subtracted from z."""

SHIFT_BITS = 5
"""Bits of `x_shift`."""

TERM_BITS = SUM_FRAC
"""Bits of a shifted power."""


class SoftmaxColumn(wiring.Component):
    """Three registered stages, one value per enabled cycle.

    ====== =====================================================================================================
    stage  register
    ====== =====================================================================================================
    2      z - offset, 27 bits, 16 of them fraction; z is x shifted left by `x_shift`
    3      2^(fraction - 1 + 2^-16), 17 bits, and the integer part
    4      that power, with 8 bits appended, shifted by ``reference - integer part``, nothing where masked: `o`
    ====== =====================================================================================================

    Parameters
    ----------
    width : bits of x

    Members
    -------
    enable : In(1), moves the pipeline
    x : In(signed(width)), x_shift : In(5), one of `sw.golden.softmax.x_shifts`, in stage 1
    offset : In(27), in stage 1, modulo its width
    masked : In(1), reference : In(11), in stage 3; the shift is taken as non-negative
    o : Out(25), in stage 4; zero if masked
    """

    def __init__(self, *, width):
        self._width = width
        super().__init__({
            "enable": In(1),
            "x": In(signed(width)),
            "x_shift": In(SHIFT_BITS),
            "offset": In(OFFSET_BITS),
            "masked": In(1),
            "reference": In(REFERENCE_BITS),
            "o": Out(TERM_BITS),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.exponential = exponential = Exponential()

        z = Signal(signed(Z_BITS))
        settled = Signal(OFFSET_BITS, reset_less=True)
        whole, distance = Signal(REFERENCE_BITS, reset_less=True), Signal(REFERENCE_BITS)
        shift = Signal(range(32))

        amount = self.x_shift[:x_shifts(self._width)[-1].bit_length()]
        m.d.comb += [
            z.eq(self.x << amount),
            exponential.u.eq(~settled[:ARGUMENT_FRAC]),
            exponential.enable.eq(self.enable),
            distance.eq(self.reference - whole),
            shift.eq(distance[:len(shift)] | (self.masked | distance[len(shift):].any()).replicate(len(shift))),
        ]
        with m.If(self.enable):
            m.d.sync += [
                settled.eq(z - self.offset),
                whole.eq(settled[ARGUMENT_FRAC:]),
                self.o.eq(Cat(Const(0, TERM_BITS - EXPONENTIAL_FRAC), exponential.o) >> shift),
            ]
        return m
