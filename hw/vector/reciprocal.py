"""1/x by normalisation and table, one evaluation per cycle: the gates of `sw.golden.reciprocal.reciprocal`."""

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...sw.golden.reciprocal import ARGUMENT_FRAC, RECIPROCAL_FRAC, TABLE
from ..interpolator import Interpolator

__all__ = ["Reciprocal"]


class Reciprocal(wiring.Component):
    """``x = n * 2**exponent`` with n in [1, 2) to ``o = 1/n``, 16 fraction bits, in [1/2, 1).

    The error is at most 2**-16 (normalised argument truncated to 18 fraction bits; 1/1 is given as 1 - 2**-16).
    x = 0 is taken as 1.

    Parameters
    ----------
    input_bits : bits of x, at least 19

    Members
    -------
    x : In(input_bits), unsigned
    enable : In(1), moves the pipeline
    o : Out(16), `latency` enabled cycles later
    exponent : Out, position of the highest set bit of x, with o
    """

    latency = 1 + Interpolator.latency

    def __init__(self, *, input_bits):
        if input_bits <= ARGUMENT_FRAC:
            raise ValueError(f"input_bits = {input_bits}: at least {ARGUMENT_FRAC + 1}")
        self._input_bits = input_bits
        super().__init__({
            "x": In(input_bits),
            "enable": In(1),
            "o": Out(RECIPROCAL_FRAC),
            "exponent": Out(range(input_bits)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.table = table = Interpolator(table=TABLE)

        # Shift left by 2**n wherever that many leading bits are zero, the largest n first.
        normal, missing = self.x, Const(0, 0)
        for n in reversed(range(len(self.exponent))):
            step = 1 << n
            shifted, empty = Signal(self._input_bits, name=f"normal_{n}"), Signal(name=f"empty_{n}")
            m.d.comb += [
                empty.eq(~normal[-step:].any() if step < self._input_bits else 0),
                shifted.eq(Mux(empty, normal << step, normal)),
            ]
            normal, missing = shifted, missing | empty << n

        argument = Signal(ARGUMENT_FRAC, reset_less=True)
        exponents = [Signal(range(self._input_bits), name=f"exponent_{n}", reset_less=True)
                     for n in range(self.latency)]
        with m.If(self.enable):
            m.d.sync += [
                argument.eq(normal[-1 - ARGUMENT_FRAC:-1]),
                exponents[0].eq(Mux(normal[-1], self._input_bits - 1 - missing, 0)),
                *(late.eq(early) for early, late in zip(exponents[:-1], exponents[1:], strict=True)),
            ]
        m.d.comb += [
            table.u.eq(argument),
            table.enable.eq(self.enable),
            self.o.eq(Mux(table.o[RECIPROCAL_FRAC], (1 << RECIPROCAL_FRAC) - 1, table.o[:RECIPROCAL_FRAC])),
            self.exponent.eq(exponents[-1]),
        ]
        return m
