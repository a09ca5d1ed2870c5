"""The arithmetic of one column of the softmax unit: score to base-2 logarithm to shifted product."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...sw.golden.exponential import ARGUMENT_FRAC, EXPONENTIAL_FRAC
from ...sw.golden.reciprocal import RECIPROCAL_FRAC
from ...sw.golden.softmax import PROBABILITY_FRAC, SCALE_BITS, SUM_FRAC, Z_BITS
from ..arithmetic import round_shift, saturate
from .exponential import Exponential

__all__ = ["SoftmaxColumn", "FLOOR_BITS", "REFERENCE_BITS", "TERM_BITS"]

FLOOR_BITS = Z_BITS - ARGUMENT_FRAC
"""Bits of the integer part of z."""

REFERENCE_BITS = FLOOR_BITS + 1
"""Bits of a row's reference: the maximum, plus the exponent of the sum less the binary point of the result."""

TERM_BITS = SUM_FRAC + 1
"""Bits of a shifted product."""


class SoftmaxColumn(wiring.Component):
    """Five registered stages, one value per enabled cycle.

    ====== =====================================================================================================
    stage  register
    ====== =====================================================================================================
    2      ``x * scale``
    3      z, 26 bits, 16 of them fraction; its integer part is `floor`
    4      numerator 2^(z - floor - 1 + 2^-16), 17 bits, and floor
    5      numerator * factor, 20 fraction bits, and the shift ``reference - floor``, 31 where masked
    6      the product, with 6 bits appended, shifted: `o`
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
    masked : In(1), reference : In(signed(11)), factor : In(16), in stage 4; the shift is taken as non-negative
    o : Out(26), in stage 6; zero if masked
    """

    def __init__(self, *, width):
        self._width = width
        super().__init__({
            "enable": In(1),
            "x": In(signed(width)),
            "scale": In(SCALE_BITS),
            "scale_shift": In(5),
            "floor": Out(signed(FLOOR_BITS)),
            "masked": In(1),
            "reference": In(signed(REFERENCE_BITS)),
            "factor": In(RECIPROCAL_FRAC),
            "o": Out(TERM_BITS),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.exponential = exponential = Exponential()

        scaled = Signal(signed(self._width + SCALE_BITS), reset_less=True)
        z = Signal(signed(Z_BITS), reset_less=True)
        floor = Signal(signed(FLOOR_BITS), reset_less=True)
        product = Signal(PROBABILITY_FRAC, reset_less=True)
        shift = Signal(range(32), reset_less=True)
        term = Signal(TERM_BITS, reset_less=True)

        whole = Signal(EXPONENTIAL_FRAC + RECIPROCAL_FRAC)
        distance = Signal(REFERENCE_BITS + 1)
        m.d.comb += [
            self.floor.eq(z[ARGUMENT_FRAC:].as_signed()),
            exponential.u.eq(~z[:ARGUMENT_FRAC]),
            exponential.enable.eq(self.enable),
            whole.eq(exponential.o * self.factor),
            distance.eq(self.reference - floor),
            self.o.eq(term),
        ]
        far = self.masked | distance[len(shift):].any()
        with m.If(self.enable):
            m.d.sync += [
                scaled.eq(self.x * self.scale),
                z.eq(saturate(round_shift(scaled, self.scale_shift), Z_BITS)),
                floor.eq(self.floor),
                product.eq(whole[-PROBABILITY_FRAC:]),
                shift.eq(Mux(far, 31, distance)),
                term.eq(Cat(Const(0, TERM_BITS - PROBABILITY_FRAC), product) >> shift),
            ]
        return m
