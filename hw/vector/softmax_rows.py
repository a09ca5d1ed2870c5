"""The state that the softmax unit keeps for each row of a tile: maximum, sum, reciprocal."""

from amaranth.hdl import Array, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...sw.golden.reciprocal import RECIPROCAL_FRAC
from ...sw.golden.softmax import SUM_FRAC
from .reciprocal import Reciprocal
from .softmax_column import FLOOR_BITS, REFERENCE_BITS, TERM_BITS

__all__ = ["SoftmaxRows"]

SUM_BITS = 16 + SUM_FRAC
"""Bits of a running sum of up to 65,535 terms of at most one."""

_DELAY = 3
"""Stages from the maximum (4) to the sum (7)."""


class SoftmaxRows(wiring.Component):
    """Maximum and sum are loops of one stage each, so consecutive visits to a row may follow at any distance.

    Stages are those of `SoftmaxUnit`; every signal belongs to the row whose control is in the stage named. In the
    second pass, factor and reference of a row are complete for rows that enter `turnaround` enabled cycles after the
    same row of the last tile of the first pass.

    Parameters
    ----------
    tile : rows

    Members
    -------
    enable : In(1), moves the pipeline
    read_row : In, row in stage 3
    o_frac : In(5), binary point of the result, in stage 3 of the second pass
    row, update, second, first, final : In, stage 4: row index; a row of the first pass; of the second pass; in the
        first tile; in the last tile of the first pass
    highest : In(signed(10)), stage 4: maximum of floor(z) over the row's part
    total : In(29 for tile 16), stage 7: sum of the terms of the row's part
    factor : Out(16), stage 4: 1/2 in the first pass, the reciprocal in the second
    reference : Out(signed(11)), stage 4: from which floor(z) is subtracted
    """

    turnaround = 6 + Reciprocal.latency

    def __init__(self, *, tile):
        self._tile = tile
        super().__init__({
            "enable": In(1),
            "read_row": In(range(tile)),
            "o_frac": In(5),
            "row": In(range(tile)),
            "update": In(1),
            "second": In(1),
            "first": In(1),
            "final": In(1),
            "highest": In(signed(FLOOR_BITS)),
            "total": In(TERM_BITS - 1 + (tile - 1).bit_length()),
            "factor": Out(RECIPROCAL_FRAC),
            "reference": Out(signed(REFERENCE_BITS)),
        })

    def elaborate(self, platform):
        m = Module()
        maxima = self._array("maximum", signed(FLOOR_BITS))

        # Stage 4: raise the maximum; by how much, the sum needs later.
        old, new = Signal(signed(FLOOR_BITS)), Signal(signed(FLOOR_BITS))
        rise, settle = Signal(FLOOR_BITS), Signal(6)
        m.d.comb += [
            old.eq(maxima[self.row]),
            new.eq(Mux(self.first | (self.highest > old), self.highest, old)),
            rise.eq(new - old),
            settle.eq(Mux(self.first | rise[6:].any(), 63, rise)),
        ]
        with m.If(self.enable & self.update):
            m.d.sync += maxima[self.row].eq(new)

        control = {"update": (1, self.update), "final": (1, self.final), "row": (len(self.row), self.row),
                   "settle": (6, settle)}
        for stage in range(5, 5 + _DELAY):
            control = {name: (bits, self._register(m, f"{name}_{stage}", bits, value))
                       for name, (bits, value) in control.items()}
        update, final, row, settle = (value for _, value in control.values())

        # Stage 7: the sum, in units of the new maximum.
        sums = self._array("sum", SUM_BITS)
        sum_ = Signal(SUM_BITS)
        m.d.comb += sum_.eq((sums[row] >> settle) + self.total)
        with m.If(self.enable & update):
            m.d.sync += sums[row].eq(sum_)

        factors, exponents = self._reciprocals(m, sum_, update & final, row)

        # Stage 3: what the second pass needs.
        factor = Signal(RECIPROCAL_FRAC, reset_less=True)
        reference = Signal(signed(REFERENCE_BITS), reset_less=True)
        with m.If(self.enable):
            m.d.sync += [
                factor.eq(factors[self.read_row]),
                reference.eq(maxima[self.read_row] + exponents[self.read_row] - self.o_frac),
            ]
        m.d.comb += [
            self.factor.eq(Mux(self.second, factor, 1 << (RECIPROCAL_FRAC - 1))),
            self.reference.eq(Mux(self.second, reference, new)),
        ]
        return m

    def _reciprocals(self, m, sum_, final, row):
        """Send final sums through the reciprocal; returns the arrays of mantissas and exponents."""
        m.submodules.reciprocal = reciprocal = Reciprocal(input_bits=SUM_BITS)
        m.d.comb += [reciprocal.x.eq(self._register(m, "final_sum", SUM_BITS, sum_)), reciprocal.enable.eq(self.enable)]
        for stage in range(8, 9 + reciprocal.latency):
            final = self._register(m, f"final_{stage}", 1, final)
            row = self._register(m, f"row_{stage}", len(row), row)
        factors = self._array("factor", RECIPROCAL_FRAC)
        exponents = self._array("exponent", reciprocal.exponent.shape())
        with m.If(self.enable & final):
            m.d.sync += [factors[row].eq(reciprocal.o), exponents[row].eq(reciprocal.exponent)]
        return factors, exponents

    def _array(self, name, shape):
        return Array(Signal(shape, name=f"{name}_{n}", reset_less=True) for n in range(self._tile))

    def _register(self, m, name, bits, value):
        register = Signal(bits, name=name)
        with m.If(self.enable):
            m.d.sync += register.eq(value)
        return register
