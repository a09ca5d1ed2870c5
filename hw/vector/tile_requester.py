"""Asks for the tiles of a row, twice, a few ahead of their arrival."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..spec.widths import SLOT_BITS

__all__ = ["TileRequester"]


class TileRequester(wiring.Component):
    """Requests slots ``slot``, ``slot + stride``, ..., below ``slot + columns``, in order, `passes` times.

    One request per cycle, while fewer than `outstanding` tiles are asked for and not yet here.

    Parameters
    ----------
    outstanding : tiles asked for ahead
    passes : times the row is read, a power of two
    stride : from tile to tile

    Members
    -------
    start : In(1), takes ``slot`` and ``columns``; only while ``idle``; nothing is requested if there are no columns
    idle : Out(1), every request has been accepted
    request : Out(stream(SLOT_BITS))
    arrived : In(1), the last beat of a tile is here; counts a cycle later
    """

    def __init__(self, *, outstanding=4, passes=2, stride=1):
        if outstanding < 1 or passes < 1 or passes & (passes - 1):
            raise ValueError(f"outstanding = {outstanding}, passes = {passes}: at least 1, passes a power of two")
        self._outstanding, self._passes, self._stride = outstanding, passes, stride
        super().__init__({
            "start": In(1),
            "slot": In(SLOT_BITS),
            "columns": In(12),
            "idle": Out(1),
            "request": Out(stream.Signature(SLOT_BITS)),
            "arrived": In(1),
        })

    def elaborate(self, platform):
        m = Module()
        slot, column = Signal(SLOT_BITS, reset_less=True), Signal(12)
        columns, turns = Signal(12, reset_less=True), Signal(range(self._passes + 1))
        ahead = Signal(range(self._outstanding + 1))
        accepted, end, arrived = Signal(), Signal(), Signal()
        m.d.comb += [
            self.idle.eq(turns == 0),
            self.request.valid.eq(~self.idle & (ahead != self._outstanding)),
            self.request.payload.eq(slot + column),
            accepted.eq(self.request.valid & self.request.ready),
            end.eq(column + self._stride >= columns),
        ]
        m.d.sync += [arrived.eq(self.arrived), ahead.eq(ahead + accepted - arrived)]
        with m.If(accepted):
            m.d.sync += [column.eq(Mux(end, 0, column + self._stride)), turns.eq(turns - end)]
        with m.If(self.start):
            m.d.sync += [slot.eq(self.slot), columns.eq(self.columns), turns.eq(Mux(self.columns == 0, 0, self._passes))]
        return m
