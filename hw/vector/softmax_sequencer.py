"""Labels the rows that enter the softmax pipeline: pass, tile, row, valid columns."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["SoftmaxSequencer"]


class SoftmaxSequencer(wiring.Component):
    """Counts a command's rows through both passes.

    The first pass ends with the tile that holds the last valid column. `bubbles` enabled cycles separate the passes,
    and the second waits until `drained`.

    Parameters
    ----------
    tile : T
    bubbles : enabled cycles without a row between the passes

    Members
    -------
    start : In(1), taken while `ready`; columns, valid_columns : In, belong to it
    ready : Out(1), no command in progress, or the last row enters
    busy : Out(1), a command is in progress
    enable : In(1), the pipeline moves
    drained : In(1), the output side has finished the previous command
    open : Out(1), a row may enter; step : In(1), one does (only with open and enable)
    row, second, first, final, last, mask : Out, label of the row that may enter: its index; in the second pass; in the
        first tile; in the last tile of the first pass; last of its tile; which columns are valid
    begin : Out(1), it is the first of the second pass
    """

    def __init__(self, *, tile, bubbles):
        self._tile, self._bubbles = tile, bubbles
        super().__init__({
            "start": In(1),
            "columns": In(12),
            "valid_columns": In(16),
            "ready": Out(1),
            "busy": Out(1),
            "enable": In(1),
            "drained": In(1),
            "open": Out(1),
            "step": In(1),
            "row": Out(range(tile)),
            "second": Out(1),
            "first": Out(1),
            "final": Out(1),
            "last": Out(1),
            "begin": Out(1),
            "mask": Out(tile),
        })

    def elaborate(self, platform):
        m = Module()
        tile = self._tile
        columns, left = (Signal(12, name=n, reset_less=True) for n in ("columns", "left"))
        valid_columns, remaining = (Signal(16, name=n, reset_less=True) for n in ("valid_columns", "remaining"))
        gap = Signal(range(self._bubbles + 1))

        end_of_pass, end = Signal(), Signal()
        m.d.comb += [
            self.first.eq(left == columns),
            self.last.eq(self.row == tile - 1),
            self.begin.eq(self.second & self.first & (self.row == 0)),
            self.final.eq(~self.second & ((left == 1) | (remaining <= tile))),
            self.open.eq(self.busy & (gap == 0) & (self.drained | ~self.begin)),
            self.mask.eq(Cat(remaining > c for c in range(tile))),
            end_of_pass.eq(self.last & Mux(self.second, left == 1, self.final)),
            end.eq(self.step & end_of_pass & self.second),
            self.ready.eq(~self.busy | end),
        ]
        with m.If(self.enable & (gap != 0)):
            m.d.sync += gap.eq(gap - 1)
        with m.If(self.step):
            m.d.sync += self.row.eq(self.row + 1)
            with m.If(self.last):
                m.d.sync += [left.eq(left - 1), remaining.eq(Mux(remaining > tile, remaining - tile, 0))]
            with m.If(end_of_pass):
                m.d.sync += [self.second.eq(1), left.eq(columns), remaining.eq(valid_columns), gap.eq(self._bubbles)]
        with m.If(end):
            m.d.sync += [self.busy.eq(0), gap.eq(0)]
        with m.If(self.start & self.ready):
            m.d.sync += [
                self.busy.eq(1), self.second.eq(0), columns.eq(self.columns), left.eq(self.columns),
                valid_columns.eq(self.valid_columns), remaining.eq(self.valid_columns),
            ]
        return m
