"""Activation function of one value: none, or one of `hw.spec.activations.ACTIVATIONS`."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..interpolator import Interpolator
from ..spec.activations import ACTIVATIONS, function_format
from ..spec.table_bank import TableBank

__all__ = ["ActivationFunction"]


class ActivationFunction(wiring.Component):
    """``o`` is the function `code` of `x` after `latency` enabled cycles; one value per enabled cycle.

    The golden function is `sw.golden.functions.activate`. Functions with tables share one interpolator, whose argument rests at
    zero while none of them is asked for. A function that is not built acts as none.

    Parameters
    ----------
    width : bits of a value in the buffers, W; arguments and results have those of ``function_format(width)``
    functions : names of those to build

    Members
    -------
    x : In(signed(bits)), with `frac` fraction bits where a function with a table is asked for
    code : In(3), of `hw.spec.isa.Function`, taken together with `x`
    enable : In(1), moves the pipeline
    o : Out(signed(bits)), `frac` fraction bits after a function with a table; a combinational sum of registers

    Attributes
    ----------
    latency : 3, or 0 (combinational) if no function with a table is built
    """

    def __init__(self, *, width, functions):
        form = function_format(width)
        self._functions = [f for f in ACTIVATIONS if f.name in functions]
        self._tabled = [f for f in self._functions if f.tail]
        self._bank = TableBank(tuple(form.table(f.name) for f in self._tabled)) if self._tabled else None
        self.latency = Interpolator.latency if self._tabled else 0
        super().__init__({
            "x": In(signed(form.bits)),
            "code": In(3),
            "enable": In(1),
            "o": Out(signed(form.bits)),
        })

    def elaborate(self, platform):
        m = Module()
        negative = self.x[-1]
        chosen = {f.name: self.code == f.code for f in self._functions}
        odd = _any(chosen[f.name] for f in self._functions if f.odd)
        clipping = _any(chosen[f.name] for f in self._functions if not f.odd)
        base = Signal(self.x.shape())
        m.d.comb += base.eq(Mux(odd | (negative & clipping), 0, self.x))
        if not self._tabled:
            m.d.comb += self.o.eq(base)
            return m

        m.submodules.interpolator = interpolator = Interpolator(table=self._bank)
        use = Signal()
        m.d.comb += [
            use.eq(_any(chosen[f.name] for f in self._tabled)),
            interpolator.u.eq(Mux(use, self._argument(m, negative, chosen), 0)),
            interpolator.enable.eq(self.enable),
        ]

        # An even table's value is taken from max(x, 0), an odd one's gets the sign of x.
        even = _any(chosen[f.name] for f in self._tabled if not f.odd)
        base, use, minus = (self._delayed(m, value, name) for value, name in (
            (base, "base"), (use, "use"), (even | negative, "minus")))
        term = Signal.like(interpolator.o)
        m.d.comb += [
            term.eq(Mux(use, interpolator.o, 0)),
            self.o.eq(base + Mux(minus, ~term, term) + minus),
        ]
        return m

    def _argument(self, m, negative, chosen):
        """``|x|`` within a block, and the number of the block: where its table begins, plus where the argument lies in it."""
        bank, block = self._bank, self._bank.block_bits
        magnitude, argument = Signal(len(self.x)), Signal(block)
        m.d.comb += magnitude.eq(Mux(negative, -self.x, self.x))
        beyond = magnitude[block:].any()
        within = {}
        for number, f in enumerate(self._tabled):
            if more := (bank.blocks(number) - 1).bit_length():
                # The last block is the end of the table: from there on the argument stays at its largest.
                far = magnitude[block + more:].any()
                within[f.name] = magnitude[block:block + more] | far.replicate(more)
                beyond = Mux(chosen[f.name], far, beyond)
        m.d.comb += argument.eq(Mux(beyond, -1, magnitude))
        number_bits = []
        for bit in range(bank.input_bits - block):
            terms = []
            for number, f in enumerate(self._tabled):
                if bank.first_block(number) >> bit & 1:
                    terms.append(chosen[f.name])
                if f.name in within and bit < len(within[f.name]):
                    terms.append(chosen[f.name] & within[f.name][bit])
            number_bits.append(_any(terms))
        return Cat(argument, *number_bits) if number_bits else argument

    def _delayed(self, m, value, name):
        for n in range(self.latency):
            stage = Signal(value.shape(), name=f"{name}_{n}", reset_less=True)
            with m.If(self.enable):
                m.d.sync += stage.eq(value)
            value = stage
        return value


def _any(conditions):
    """One that holds, of none or more."""
    conditions = list(conditions)
    return reduce(or_, conditions) if conditions else Const(0)
