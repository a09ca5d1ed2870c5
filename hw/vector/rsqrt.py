"""Reciprocal square root of a normalised argument: the gates of `sw.golden.rsqrt.rsqrt`."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..arithmetic import round_shift
from ..interpolator import Interpolator
from ..spec.rsqrt import FRACTION, MANTISSA, RSQRT

__all__ = ["Rsqrt"]


class Rsqrt(wiring.Component):
    """``o`` is 1/sqrt(a) for a in [1, 4), `latency` enabled cycles after ``u``; one evaluation per enabled cycle.

    Error at most one unit of 2**-17, and half a unit of 2**-mantissa where that is shorter (see the golden function).

    Parameters
    ----------
    mantissa : bits and fraction bits of the result, up to 17

    Members
    -------
    u : In(18), octave of a in the top bit (0: a = 1.f, 1: a = 2 * 1.f), f below it
    enable : In(1), moves the pipeline
    o : Out(mantissa), from 2**(mantissa - 1) to 2**mantissa - 1

    Raises
    ------
    ValueError : for a mantissa longer than the table's
    """

    latency = Interpolator.latency

    def __init__(self, *, mantissa):
        if not 1 <= mantissa <= MANTISSA:
            raise ValueError(f"mantissa = {mantissa}: 1 to {MANTISSA} bits")
        self._mantissa = mantissa
        super().__init__({"u": In(FRACTION + 1), "enable": In(1), "o": Out(mantissa)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.table = table = Interpolator(table=RSQRT)
        rounded = round_shift(table.o, MANTISSA - self._mantissa)
        m.d.comb += [
            table.u.eq(self.u),
            table.enable.eq(self.enable),
            self.o.eq(rounded[:self._mantissa] | rounded[self._mantissa].replicate(self._mantissa)),
        ]
        return m
