"""Activation function of one value: none, ReLU, GeLU or tanh."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...sw.golden.functions import TableBank, function_format
from ..interpolator import Interpolator
from ..isa import Function

__all__ = ["ActivationFunction"]


class ActivationFunction(wiring.Component):
    """``o`` is the function `code` of `x` after `latency` enabled cycles; one value per enabled cycle.

    The golden functions are `sw.golden.functions.relu` and those of `FunctionFormat`. GeLU and tanh share one interpolator,
    whose argument rests at zero while neither is asked for. A function that is not built acts as none.

    Parameters
    ----------
    width : bits of a value in the buffers, W; arguments and results have those of ``function_format(width)``
    functions : those to build, of "relu", "gelu", "tanh"

    Members
    -------
    x : In(signed(bits)), with `frac` fraction bits where GeLU or tanh is asked for
    code : In(3), of `hw.isa.Function`, taken together with `x`
    enable : In(1), moves the pipeline
    o : Out(signed(bits)), `frac` fraction bits after GeLU or tanh; a combinational sum of registers

    Attributes
    ----------
    latency : 3, or 0 (combinational) if neither GeLU nor tanh is built
    """

    def __init__(self, *, width, functions):
        self._functions, form = tuple(functions), function_format(width)
        self._tables = [table for name, table in (("gelu", form.gelu_table), ("tanh", form.tanh_table)) if name in functions]
        self.latency = Interpolator.latency if self._tables else 0
        super().__init__({
            "x": In(signed(form.bits)),
            "code": In(3),
            "enable": In(1),
            "o": Out(signed(form.bits)),
        })

    def elaborate(self, platform):
        m = Module()
        negative = self.x[-1]
        is_relu, is_gelu, is_tanh = (
            self.code == code if name in self._functions else Const(0)
            for name, code in (("relu", Function.RELU), ("gelu", Function.GELU), ("tanh", Function.TANH))
        )
        base = Signal(self.x.shape())
        m.d.comb += base.eq(Mux(is_tanh | (negative & (is_relu | is_gelu)), 0, self.x))
        if not self._tables:
            m.d.comb += self.o.eq(base)
            return m

        bits = self._tables[0].input_bits
        magnitude, argument = Signal(len(self.x)), Signal(bits)
        m.d.comb += [
            magnitude.eq(Mux(negative, -self.x, self.x)),
            argument.eq(Mux(magnitude[bits:].any(), -1, magnitude)),
        ]
        m.submodules.interpolator = interpolator = Interpolator(table=TableBank(tuple(self._tables)))
        use = Signal()
        m.d.comb += [
            use.eq(is_gelu | is_tanh),
            interpolator.u.eq(Mux(use, Cat(argument, is_tanh) if len(self._tables) == 2 else argument, 0)),
            interpolator.enable.eq(self.enable),
        ]

        # GeLU subtracts the table's value from max(x, 0), tanh gives it the sign of x.
        base, use, minus = (self._delayed(m, value, name) for value, name in (
            (base, "base"), (use, "use"), (is_gelu | negative, "minus")))
        term = Signal.like(interpolator.o)
        m.d.comb += [
            term.eq(Mux(use, interpolator.o, 0)),
            self.o.eq(base + Mux(minus, ~term, term) + minus),
        ]
        return m

    def _delayed(self, m, value, name):
        for n in range(self.latency):
            stage = Signal(value.shape(), name=f"{name}_{n}", reset_less=True)
            with m.If(self.enable):
                m.d.sync += stage.eq(value)
            value = stage
        return value
