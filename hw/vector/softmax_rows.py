"""The state that the softmax unit keeps for each row of a tile: maximum, and sum or its logarithm."""

from amaranth.hdl import Array, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..spec.exponential import ARGUMENT_FRAC
from ..spec.softmax import SUM_FRAC
from .logarithm import Logarithm
from .softmax_column import FLOOR_BITS, OFFSET_BITS, REFERENCE_BITS, TERM_BITS

__all__ = ["SoftmaxRows"]

SUM_BITS = 16 + SUM_FRAC
"""Bits of a running sum of up to 65,535 terms of at most one."""

_DELAY = 3
"""Stages from the maximum (2) to the sum (5)."""


class SoftmaxRows(wiring.Component):
    """Maximum and sum are loops of two stages each: consecutive visits to a row are at least two enabled cycles apart.

    Stages are those of `SoftmaxUnit`; every signal belongs to the row whose control is in the stage named. The sum of
    the first pass gives way to the offset of the second, the maximum and the logarithm of the sum, which is complete
    for rows that enter `turnaround` enabled cycles after the same row of the last tile of the first pass. What is
    written waits for a cycle beside the rows, so that `enable` drives a few registers and not all rows.

    Parameters
    ----------
    tile : rows

    Members
    -------
    enable : In(1), moves the pipeline
    read_row : In, row that may enter; read_second : In, of the second pass
    next_row : In, row in stage 1
    o_frac : In(5), binary point of the result, in stage 2 of the second pass
    row, update, second, first, final : In, stage 2: row index; a row of the first pass; of the second pass; in the
        first tile; in the last tile of the first pass
    highest : In(signed(10)), stage 2: maximum of floor(z) over the row's part
    total : In(29 for tile 16), stage 5: sum of the terms of the row's part
    offset : Out(27), stage 1: what is subtracted from z, 0 in the first pass
    reference : Out(11), stage 3: from which the integer part of the difference is subtracted
    """

    turnaround = 8 + Logarithm.latency

    def __init__(self, *, tile):
        self._tile = tile
        super().__init__({
            "enable": In(1),
            "read_row": In(range(tile)),
            "read_second": In(1),
            "next_row": In(range(tile)),
            "o_frac": In(5),
            "row": In(range(tile)),
            "update": In(1),
            "second": In(1),
            "first": In(1),
            "final": In(1),
            "highest": In(signed(FLOOR_BITS)),
            "total": In(TERM_BITS + (tile - 1).bit_length()),
            "offset": Out(OFFSET_BITS),
            "reference": Out(REFERENCE_BITS),
        })

    def elaborate(self, platform):
        m = Module()
        maxima = self._array("maximum", signed(FLOOR_BITS))

        # Stage 2: raise the maximum; by how much, the sum needs later.
        old, new = Signal(signed(FLOOR_BITS), reset_less=True), Signal(signed(FLOOR_BITS))
        rise, settle = Signal(FLOOR_BITS), Signal(6)
        m.d.comb += [
            new.eq(Mux(self.first | (self.highest > old), self.highest, old)),
            rise.eq(new - old),
            settle.eq(Mux(self.first | rise[6:].any(), 63, rise)),
        ]
        with m.If(self.enable):
            m.d.sync += [
                old.eq(maxima[self.next_row]),
                self.reference.eq(Mux(self.second, SUM_FRAC - 2 - self.o_frac, new)),
            ]
        self._write(m, maxima, self.enable & self.update, self.row, new)

        control = {"update": (1, self.update), "final": (1, self.final), "row": (len(self.row), self.row),
                   "settle": (6, settle)}
        for stage in range(3, 3 + _DELAY):
            control = {name: (bits, self._register(m, f"{name}_{stage}", bits, value))
                       for name, (bits, value) in control.items()}
        update, final, row, settle = (value for _, value in control.values())

        # Stage 5: the sum, in units of the new maximum. The last one goes on; its offset comes when no sum is written.
        sums = self._array("sum", SUM_BITS)
        sum_, offset = Signal(SUM_BITS), Signal(OFFSET_BITS)
        m.d.comb += sum_.eq((sums[row] >> settle) + self.total)
        settled, settled_row = self._offset(m, sum_, update & final, row, maxima, offset)
        self._write(m, sums, self.enable & (settled | update & ~final), Mux(settled, settled_row, row),
                    Mux(settled, offset, sum_))

        # Stage 1: what the second pass needs.
        with m.If(self.enable):
            m.d.sync += self.offset.eq(Mux(self.read_second, sums[self.read_row][:OFFSET_BITS], 0))
        return m

    def _offset(self, m, sum_, final, row, maxima, offset):
        """Turn a final sum into ``maximum + 1 + log2(sum)``; returns (it is there, its row)."""
        m.submodules.logarithm = logarithm = Logarithm(input_bits=SUM_BITS)
        m.d.comb += [logarithm.x.eq(self._register(m, "final_sum", SUM_BITS, sum_)), logarithm.enable.eq(self.enable)]
        for stage in range(6, 7 + logarithm.latency):
            final = self._register(m, f"final_{stage}", 1, final)
            row = self._register(m, f"row_{stage}", len(row), row)
        m.d.comb += offset.eq((maxima[row] + (1 - SUM_FRAC) << ARGUMENT_FRAC) + logarithm.o)
        return final, row

    def _write(self, m, rows, valid, row, value):
        """Write `value` a cycle later."""
        name = rows[0].name.removesuffix("_0")
        late_valid = Signal(name=f"{name}_written")
        late_row, late = Signal.like(row, name=f"{name}_row", reset_less=True), Signal.like(rows[0], name=f"new_{name}")
        m.d.sync += [late_valid.eq(valid), late_row.eq(row), late.eq(value)]
        with m.If(late_valid):
            m.d.sync += rows[late_row].eq(late)

    def _array(self, name, shape):
        return Array(Signal(shape, name=f"{name}_{n}", reset_less=True) for n in range(self._tile))

    def _register(self, m, name, bits, value):
        register = Signal(bits, name=name)
        with m.If(self.enable):
            m.d.sync += register.eq(value)
        return register
