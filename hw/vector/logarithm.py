"""log2(x) by normalisation and table, one evaluation per cycle: the gates of `sw.golden.logarithm.logarithm`."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..interpolator import Interpolator
from ..spec.logarithm import ARGUMENT_FRAC, LOGARITHM_FRAC, TABLE

__all__ = ["Logarithm"]


class Logarithm(wiring.Component):
    """``o`` is log2(x), 16 fraction bits, error below 2**-16 (the normalised argument is truncated to 20 fraction bits).

    x = 0 is taken as 1.

    Parameters
    ----------
    input_bits : bits of x, at least 21

    Members
    -------
    x : In(input_bits), unsigned
    enable : In(1), moves the pipeline
    o : Out, `latency` enabled cycles later

    Raises
    ------
    ValueError : for arguments shorter than the table's
    """

    latency = 1 + Interpolator.latency

    def __init__(self, *, input_bits):
        if input_bits <= ARGUMENT_FRAC:
            raise ValueError(f"input_bits = {input_bits}: at least {ARGUMENT_FRAC + 1}")
        self._input_bits = input_bits
        super().__init__({
            "x": In(input_bits),
            "enable": In(1),
            "o": Out((input_bits - 1).bit_length() + LOGARITHM_FRAC),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.table = table = Interpolator(table=TABLE)

        # Shift left by 2**n wherever that many leading bits are zero, the largest n first.
        steps = (self._input_bits - 1).bit_length()
        normal, missing = self.x, Const(0, 0)
        for n in reversed(range(steps)):
            step = 1 << n
            shifted, empty = Signal(self._input_bits, name=f"normal_{n}"), Signal(name=f"empty_{n}")
            m.d.comb += [
                empty.eq(~normal[-step:].any() if step < self._input_bits else 0),
                shifted.eq(Mux(empty, normal << step, normal)),
            ]
            normal, missing = shifted, Cat(empty, missing)

        argument = Signal(ARGUMENT_FRAC, reset_less=True)
        whole = [Signal(steps, name=f"whole_{n}", reset_less=True) for n in range(self.latency)]
        with m.If(self.enable):
            m.d.sync += [
                argument.eq(normal[-1 - ARGUMENT_FRAC:-1]),
                whole[0].eq(Mux(normal[-1], self._input_bits - 1 - missing, 0)),
                *(late.eq(early) for early, late in zip(whole[:-1], whole[1:], strict=True)),
            ]
        m.d.comb += [
            table.u.eq(argument),
            table.enable.eq(self.enable),
            self.o.eq(Cat(Const(0, LOGARITHM_FRAC), whole[-1]) + table.o[:LOGARITHM_FRAC + 1]),
        ]
        return m
