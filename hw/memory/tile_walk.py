"""The slots of a matrix of tiles, row by row."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..spec.widths import SLOT_BITS

__all__ = ["AREA_REACH_BITS", "TileWalk", "area_layout"]

AREA_REACH_BITS = SLOT_BITS + 6
"""Bits of a slot number that an instruction can describe, inside the buffer or not."""


def area_layout():
    """Where tiles lie: `rows` times `columns` of them, tile (r, c) in slot ``slot + r*pitch + c``."""
    return data.StructLayout({"slot": SLOT_BITS, "pitch": 12, "rows": 12, "columns": 16})


class TileWalk(wiring.Component):
    """Counts through the tiles of an area in row-major order, or of an area of one row through every `stripes`-th of them.

    Parameters
    ----------
    stripes : ports that share the tiles of an area
    first : number of the first tile, less than `stripes`; there is one of that number

    Members
    -------
    area : In(area_layout), not empty; held during the walk
    striped : In(1), only every `stripes`-th tile; there where `stripes` is more than 1
    start : In(1), go to the first tile
    step : In(1), go to the next tile
    slot : Out(AREA_REACH_BITS), slot of this tile
    last : Out(1), this is the last tile
    """

    def __init__(self, *, stripes=1, first=0):
        self._stripes, self._first = stripes, first
        super().__init__({
            "area": In(area_layout()),
            **({"striped": In(1)} if stripes > 1 else {}),
            "start": In(1),
            "step": In(1),
            "slot": Out(AREA_REACH_BITS),
            "last": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        area = self.area
        row_slot = Signal(AREA_REACH_BITS, reset_less=True)
        row, column = Signal(12, reset_less=True), Signal(16, reset_less=True)
        ahead, row_ends, begin, go_on = 1, column == area.columns - 1, column.eq(0), column.eq(column + 1)
        if self._stripes > 1:
            # Tiles left in the row, this one included: a comparison with a constant ends it.
            left, ahead = Signal(16, reset_less=True), Mux(self.striped, self._stripes, 1)
            row_ends, begin, go_on = left <= ahead, left.eq(area.columns - self._first), left.eq(left - ahead)
        first = area.slot + self._first if self._first else area.slot
        m.d.comb += self.last.eq(row_ends & (row == area.rows - 1))
        with m.If(self.start):
            m.d.sync += [self.slot.eq(first), row_slot.eq(area.slot), row.eq(0), begin]
        with m.Elif(self.step & row_ends):
            m.d.sync += [
                self.slot.eq(row_slot + area.pitch), row_slot.eq(row_slot + area.pitch), row.eq(row + 1), begin,
            ]
        with m.Elif(self.step):
            m.d.sync += [self.slot.eq(self.slot + ahead), go_on]
        return m
