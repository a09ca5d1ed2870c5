"""The arithmetic of one column of the softmax unit: score to base-2 logarithm to its power of two."""

from amaranth.hdl import Cat, Const, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...sw.golden.exponential import ARGUMENT_FRAC, EXPONENTIAL_FRAC
from ...sw.golden.softmax import SCALE_BITS, SUM_FRAC, Z_BITS
from ..arithmetic import join_products, partial_products, round_shift, saturate
from .exponential import Exponential

__all__ = ["SoftmaxColumn", "FLOOR_BITS", "OFFSET_BITS", "REFERENCE_BITS", "TERM_BITS"]

FLOOR_BITS = Z_BITS - ARGUMENT_FRAC
"""Bits of the integer part of z."""

REFERENCE_BITS = FLOOR_BITS + 1
"""Bits of a distance between integer parts, modulo which they are subtracted."""

OFFSET_BITS = REFERENCE_BITS + ARGUMENT_FRAC
"""Bits of what is subtracted from z in the second pass."""

TERM_BITS = SUM_FRAC
"""Bits of a shifted power."""

_HALF = SCALE_BITS // 2


class SoftmaxColumn(wiring.Component):
    """Five registered stages, one value per enabled cycle.

    ====== =====================================================================================================
    stage  register
    ====== =====================================================================================================
    2      x times either half of the scale
    3      z, 26 bits, 16 of them fraction; its integer part is `floor`
    4      segment of 2^(fraction of z - offset), integer part of z - offset
    5      2^(fraction - 1 + 2^-16), 17 bits, and the integer part
    6      that power, with 8 bits appended, shifted by ``reference - integer part``, nothing where masked: `o`
    ====== =====================================================================================================

    Parameters
    ----------
    width : bits of x

    Members
    -------
    enable : In(1), moves the pipeline
    x : In(signed(width)), scale : In(16), in stage 1
    scale_shift : In(5), in stage 2
    floor : Out(signed(10)), in stage 3
    offset : In(27), in stage 3, modulo its width
    masked : In(1), reference : In(11), in stage 5; the shift is taken as non-negative
    o : Out(25), in stage 6; zero if masked
    """

    def __init__(self, *, width):
        self._width = width
        super().__init__({
            "enable": In(1),
            "x": In(signed(width)),
            "scale": In(SCALE_BITS),
            "scale_shift": In(5),
            "floor": Out(signed(FLOOR_BITS)),
            "offset": In(OFFSET_BITS),
            "masked": In(1),
            "reference": In(REFERENCE_BITS),
            "o": Out(TERM_BITS),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.exponential = exponential = Exponential()

        halves = [Signal(signed(self._width + _HALF), name=f"scaled_{n}", reset_less=True) for n in ("low", "high")]
        z = Signal(signed(Z_BITS), reset_less=True)
        early, whole = (Signal(REFERENCE_BITS, name=n, reset_less=True) for n in ("whole_4", "whole_5"))
        shift = Signal(range(32))

        settled, distance = Signal(OFFSET_BITS), Signal(REFERENCE_BITS)
        m.d.comb += [
            self.floor.eq(z[ARGUMENT_FRAC:].as_signed()),
            settled.eq(z - self.offset),
            exponential.u.eq(~settled[:ARGUMENT_FRAC]),
            exponential.enable.eq(self.enable),
            distance.eq(self.reference - whole),
            shift.eq(distance[:len(shift)] | (self.masked | distance[len(shift):].any()).replicate(len(shift))),
        ]
        with m.If(self.enable):
            m.d.sync += [
                *(half.eq(part) for half, part in zip(halves, partial_products(self.x, self.scale, _HALF), strict=True)),
                z.eq(saturate(round_shift(join_products(halves, _HALF), self.scale_shift), Z_BITS)),
                early.eq(settled[ARGUMENT_FRAC:]),
                whole.eq(early),
                self.o.eq(Cat(Const(0, TERM_BITS - EXPONENTIAL_FRAC), exponential.o) >> shift),
            ]
        return m
