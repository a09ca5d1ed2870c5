"""Piecewise quadratic interpolation, pipelined: the gates of `hw.spec.quadratic_table.QuadraticTable`."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Interpolator"]


class Interpolator(wiring.Component):
    """``o`` is ``table(u)`` after `latency` enabled cycles; one evaluation per enabled cycle.

    Parameters
    ----------
    table : QuadraticTable

    Members
    -------
    u : In(input_bits), unsigned argument
    enable : In(1), moves the pipeline
    o : Out(signed(output_bits)), the value with ``table.output_frac`` fraction bits
    """

    latency = 3

    def __init__(self, *, table):
        self._table = table
        c0, _, _ = table.coefficients
        self.output_bits = int(max(abs(c0.min()), abs(c0.max()))).bit_length() + 2 - table.guard
        super().__init__({
            "u": In(table.input_bits),
            "enable": In(1),
            "o": Out(signed(self.output_bits)),
        })

    def elaborate(self, platform):
        m = Module()
        table = self._table
        # Half of what is cut off at the end is in the constants: they round.
        c0, c1, c2 = table.coefficients
        coefficients = (c0 + (1 << table.guard >> 1), c1, c2)
        c0, c1, c2 = (
            Signal(signed(int(max(abs(c.min()), abs(c.max()))).bit_length() + 1), name=f"c{n}", reset_less=True)
            for n, c in enumerate(coefficients)
        )
        half = 1 << (table.t_bits - 1)

        # Look up the segment; centring t is a flip of its top bit.
        t = Signal(signed(table.t_bits), reset_less=True)
        with m.If(self.enable):
            m.d.sync += t.eq((self.u[:table.t_bits] ^ half).as_signed())
            with m.Switch(self.u[table.t_bits:]):
                for index, values in enumerate(zip(*coefficients, strict=True)):
                    with m.Case(index):
                        m.d.sync += [c.eq(int(v)) for c, v in zip((c0, c1, c2), values, strict=True)]

        # Horner: the slope, then the value. A constant is one more term of the product's sum, so that one carry chain does.
        slope = Signal(signed(len(c1) + 1), reset_less=True)
        base = Signal.like(c0, reset_less=True)
        t_late = Signal.like(t, reset_less=True)
        with m.If(self.enable):
            m.d.sync += [
                slope.eq((c1 << table.input_frac) + c2 * t >> table.input_frac),
                base.eq(c0),
                t_late.eq(t),
                self.o.eq((base << table.input_frac) + slope * t_late >> table.input_frac + table.guard),
            ]
        return m
