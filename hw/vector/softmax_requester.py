"""Asks a buffer for the tiles of a softmax command, once for each pass, ahead of their use."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..spec.widths import SLOT_BITS

__all__ = ["SoftmaxRequester"]


class SoftmaxRequester(wiring.Component):
    """Requests the tiles with valid columns for the first pass, then all of them for the second; one per cycle.

    At most `outstanding` tiles have been asked for and not been received.

    Parameters
    ----------
    tile : T
    outstanding : tiles asked for ahead

    Members
    -------
    start : In(1), taken while `ready`; slot, columns, valid_columns : In, belong to it
    ready : Out(1), every request of the last command has been accepted
    o : Out(stream(SLOT_BITS)), requests
    received : In(1), the last beat of a tile was accepted
    """

    def __init__(self, *, tile, outstanding=4):
        self._tile, self._outstanding = tile, outstanding
        super().__init__({
            "start": In(1),
            "slot": In(SLOT_BITS),
            "columns": In(12),
            "valid_columns": In(16),
            "ready": Out(1),
            "o": Out(stream.Signature(SLOT_BITS)),
            "received": In(1),
        })

    def elaborate(self, platform):
        m = Module()
        active, second = Signal(), Signal()
        base, slot = (Signal(SLOT_BITS, name=n, reset_less=True) for n in ("base", "slot"))
        columns, left = (Signal(12, name=n, reset_less=True) for n in ("columns", "left"))
        remaining = Signal(16, reset_less=True)
        ahead = Signal(range(self._outstanding + 1))

        send, last = Signal(), Signal()
        m.d.comb += [
            self.ready.eq(~active),
            self.o.valid.eq(active & (ahead != self._outstanding)),
            self.o.payload.eq(slot),
            send.eq(self.o.valid & self.o.ready),
            last.eq((left == 1) | (~second & (remaining <= self._tile))),
        ]
        m.d.sync += ahead.eq(ahead + send - self.received)
        with m.If(self.start & self.ready):
            m.d.sync += [
                active.eq(1), second.eq(0), remaining.eq(self.valid_columns),
                base.eq(self.slot), slot.eq(self.slot), columns.eq(self.columns), left.eq(self.columns),
            ]
        with m.If(send):
            m.d.sync += [
                slot.eq(Mux(last, base, slot + 1)), left.eq(Mux(last, columns, left - 1)),
                remaining.eq(remaining - self._tile), second.eq(second | last), active.eq(~(last & second)),
            ]
        return m
