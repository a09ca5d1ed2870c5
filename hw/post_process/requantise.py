"""Shift, round and saturate in one: from a wide sum to a narrow value at another binary point."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Requantise"]


class Requantise(wiring.Component):
    """``o`` is ``x`` shifted right by ``amount - left``, rounded half up and saturated; combinational.

    The golden function is ``sw.golden.post_process.requantise(x, amount - left, output_width)``.

    A logarithmic shifter, largest step first, that keeps only the bits that can still reach the result: what falls off
    at the top is compared with the sign as it falls, which is the test for saturation. Signs are taken out first
    (``x ^ sign``), so that shifting in is shifting in zeros.

    Parameters
    ----------
    input_width : bits of x
    output_width : bits of the result
    left : largest left shift
    right : largest right shift

    Members
    -------
    x : In(signed(input_width))
    amount : In(range(left + right + 1)), shift to the right plus `left`
    o : Out(signed(output_width))
    """

    def __init__(self, *, input_width, output_width, left, right):
        self._output_width, self._left = output_width, left
        super().__init__({
            "x": In(signed(input_width)),
            "amount": In(range(left + right + 1)),
            "o": Out(signed(output_width)),
        })

    def elaborate(self, platform):
        m = Module()
        width = self._output_width
        sign = self.x[-1]
        window = Cat(sign.replicate(self._left + 1), self.x[:-1] ^ sign.replicate(len(self.x) - 1))
        lost = []
        for step in reversed(range(len(self.amount))):
            kept = Signal(width + (1 << step), name=f"kept_{step}")
            shifted = Mux(self.amount[step], window[1 << step:], window)
            m.d.comb += kept.eq(shifted)
            lost.append(shifted[len(kept):].any())
            window = kept

        # One bit below the result decides the rounding; the one at its top is a sign that must have become zero.
        value = Signal(width + 1)
        rounded = Signal(width)
        beyond = Signal()
        m.d.comb += [
            value.eq(window ^ sign.replicate(width + 1)),
            rounded.eq(value[1:] + value[0]),
            beyond.eq(Cat(*lost, window[-1], ~sign & rounded[-1]).any()),
            self.o.eq(Mux(beyond, Cat((~sign).replicate(width - 1), sign), rounded)),
        ]
        return m
