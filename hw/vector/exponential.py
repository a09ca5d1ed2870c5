"""2^-x of a fraction, one evaluation per cycle: the gates of `sw.golden.exponential.exponential_of_fraction`."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..spec.exponential import ARGUMENT_FRAC, EXPONENTIAL_FRAC, OFFSET_BITS, SLOPE_FRAC, coefficients

__all__ = ["Exponential"]


class Exponential(wiring.Component):
    """``o = 2**-u``, for u with 16 fraction bits in [0, 1) and o with 17 fraction bits in [1/2, 1).

    A table of 64 segments gives base and slope of a line; the error is below 0.9 * 2**-16 over every argument
    (interpolation at the Chebyshev nodes). The multiplier has 12 x 10 bits. Table and line are one stage.

    Members
    -------
    u : In(16)
    enable : In(1), moves the pipeline
    o : Out(17), `latency` enabled cycles later
    """

    latency = 1

    def __init__(self):
        super().__init__({"u": In(ARGUMENT_FRAC), "enable": In(1), "o": Out(EXPONENTIAL_FRAC)})

    def elaborate(self, platform):
        m = Module()
        bases, slopes = coefficients()
        guard = int(bases.max()).bit_length() - EXPONENTIAL_FRAC
        base, slope = Signal(int(bases.max()).bit_length()), Signal(int(slopes.max()).bit_length())
        t, line = Signal(signed(OFFSET_BITS)), Signal(len(base))
        value = Signal(EXPONENTIAL_FRAC, reset_less=True)

        # Look up the segment; centring the offset within it is a flip of its top bit.
        with m.Switch(self.u[OFFSET_BITS:]):
            for index, values in enumerate(zip(bases, slopes, strict=True)):
                with m.Case(index):
                    m.d.comb += [base.eq(int(values[0])), slope.eq(int(values[1]))]
        m.d.comb += [
            t.eq((self.u[:OFFSET_BITS] ^ (1 << (OFFSET_BITS - 1))).as_signed()),
            line.eq(base - (slope * t >> SLOPE_FRAC)),
            self.o.eq(value),
        ]
        with m.If(self.enable):
            m.d.sync += value.eq(line >> guard)
        return m
