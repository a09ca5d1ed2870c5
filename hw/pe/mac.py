"""Multiplier, accumulator and hold register of one element of the output tile."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .activation_reader import words
from .precompute_sparsity import pick_layout

__all__ = ["Mac"]


class Mac(wiring.Component):
    """Fetches its value of B, multiplies and accumulates, as a pick says; exact.

    Three stages, always moving: fetch (one wide multiplexer); multiply by the lower (unsigned) and the upper half of the
    value of B; add both products to the accumulator. A pick with neither `fire` nor `close` changes nothing.

    Latency: `latency` cycles from `pick` to `hold`. Throughput: one pick per cycle.

    Parameters
    ----------
    width : bits of a value
    accumulator_width : bits of the accumulator, enough for every sum
    rows : values in the column of B

    Members
    -------
    pick : In(pick_layout)
    column : In, the values of B in this column, all slots, word by word
    hold : Out(signed), the last output closed
    """

    latency = 3

    def __init__(self, *, width, accumulator_width, rows):
        if accumulator_width < 2 * width:
            raise ValueError(f"accumulator_width = {accumulator_width}: at least {2 * width}")
        self._width = width
        super().__init__({
            "pick": In(pick_layout(width, rows)),
            "column": In(rows * width),
            "hold": Out(signed(accumulator_width)),
        })

    def elaborate(self, platform):
        m = Module()
        half = self._width // 2
        a = Signal(signed(self._width), reset_less=True)
        b = Signal(signed(self._width), reset_less=True)
        low = Signal(signed(self._width + half), reset_less=True)
        high = Signal(signed(2 * self._width - half), reset_less=True)
        accumulator = Signal(self.hold.shape())
        base = Signal(self.hold.shape())
        close_fetched = Signal()
        close_multiplied = Signal()

        m.d.sync += [
            a.eq(self.pick.a),
            b.eq(Mux(self.pick.fire, words(self.column, self._width)[self.pick.row], 0)),
            close_fetched.eq(self.pick.close),

            low.eq(a * b[:half]),
            high.eq(a * b[half:].as_signed()),
            close_multiplied.eq(close_fetched),

            accumulator.eq(base + low + (high << half)),
        ]
        m.d.comb += base.eq(Mux(close_multiplied, 0, accumulator))
        with m.If(close_multiplied):
            m.d.sync += self.hold.eq(accumulator)
        return m
