"""Multiplier, accumulators and hold register of one element of the output tile."""

from amaranth.hdl import Array, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .activation_reader import words
from .operand_writer import column_write
from .precompute_sparsity import pick_layout

__all__ = ["Mac", "WHOLE"]

WHOLE = 12
"""Bits of the widest values that are multiplied in one piece; wider ones would miss 700 MHz in a slow 7 nm process."""


class Mac(wiring.Component):
    """Fetches its value of B, multiplies and accumulates, as a pick says; exact.

    Three stages, always moving: fetch (one wide multiplexer, or a RAM of its own); multiply, by the lower (unsigned) and the
    upper half of the value of B apart if that is wider than `WHOLE`; add the products to an accumulator. There is one for
    each partial sum; they close in turn. A pick with neither `fire` nor `close` changes nothing.

    Latency: `latency` cycles from `pick` to `hold`. Throughput: one pick per cycle.

    Parameters
    ----------
    width, b_width : bits of a value of A, and of B
    accumulator_width : bits of the accumulator, enough for every sum
    rows : values in the column of B
    psum_tiles : accumulators
    b_memory : "registers", B is somewhere else, or "ram", this MAC keeps a copy of its column

    Members
    -------
    pick : In(pick_layout)
    column : In, the values of B in this column, all slots, word by word; with "registers"
    write : In(column_write), to the copy; with "ram". Read from the next cycle on
    hold : Out(signed), the last output closed
    """

    latency = 3

    def __init__(self, *, width, b_width, accumulator_width, rows, psum_tiles, b_memory="registers"):
        if accumulator_width < width + b_width:
            raise ValueError(f"accumulator_width = {accumulator_width}: at least {width + b_width}")
        self._width, self._b_width = width, b_width
        self._rows, self._psum_tiles, self._ram = rows, psum_tiles, b_memory == "ram"
        super().__init__({
            "pick": In(pick_layout(width, rows, psum_tiles)),
            **({"write": In(column_write(b_width, rows))} if self._ram else {"column": In(rows * b_width)}),
            "hold": Out(signed(accumulator_width)),
        })

    def elaborate(self, platform):
        m = Module()
        b_width, half = self._b_width, self._b_width // 2
        parts = [(0, b_width)] if b_width <= WHOLE else [(0, half), (half, b_width)]
        a = Signal(signed(self._width), reset_less=True)
        b = Signal(signed(b_width), reset_less=True)
        products = [Signal(signed(self._width + end - first), name=f"product_{first}", reset_less=True) for first, end in parts]
        accumulators = [Signal(self.hold.shape(), name=f"accumulator_{p}") for p in range(self._psum_tiles)]
        base, total = Signal(self.hold.shape()), Signal(self.hold.shape())
        psum_fetched, psum_multiplied = (Signal(range(self._psum_tiles), reset_less=True) for _ in range(2))
        close_fetched, close_multiplied = Signal(), Signal()
        closing = Signal(range(self._psum_tiles))

        m.d.sync += [
            a.eq(self.pick.a),
            b.eq(Mux(self.pick.fire, self._fetch(m), 0)),
            psum_fetched.eq(self.pick.psum),
            close_fetched.eq(self.pick.close),

            *(product.eq(a * (b[first:].as_signed() if end == b_width else b[first:end]))
              for product, (first, end) in zip(products, parts, strict=True)),
            psum_multiplied.eq(psum_fetched),
            close_multiplied.eq(close_fetched),
        ]
        m.d.comb += [
            base.eq(Mux(close_multiplied & (psum_multiplied == closing), 0, Array(accumulators)[psum_multiplied])),
            total.eq(sum((product << first for product, (first, _) in zip(products, parts, strict=True)), base)),
        ]
        with m.If(close_multiplied):
            m.d.sync += [self.hold.eq(Array(accumulators)[closing]), closing.eq(closing + 1)]
        for p, accumulator in enumerate(accumulators):
            with m.If(close_multiplied & (closing == p)):
                m.d.sync += accumulator.eq(0)
            with m.If(psum_multiplied == p):
                m.d.sync += accumulator.eq(total)
        return m

    def _fetch(self, m):
        if not self._ram:
            return words(self.column, self._b_width)[self.pick.row]
        m.submodules.copy = copy = Memory(shape=self._b_width, depth=self._rows, init=[])
        write, read = copy.write_port(), copy.read_port(domain="comb")
        m.d.comb += [
            write.en.eq(self.write.enable), write.addr.eq(self.write.row), write.data.eq(self.write.value),
            read.addr.eq(self.pick.row),
        ]
        return read.data
