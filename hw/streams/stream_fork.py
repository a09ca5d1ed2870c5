"""One stream to several consumers."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["StreamFork"]


class StreamFork(wiring.Component):
    """Every consumer takes each payload once, at its own time; the producer moves on when all have.

    Zero latency; one transfer per cycle while all consumers are ready. A branch's valid does not wait for any ready.

    Parameters
    ----------
    shape : payload
    branches : consumers
    choice : whether only some consumers get a payload

    Members
    -------
    i : In(stream(shape)); o : Out(stream(shape)).array(branches)
    chosen : In(branches), with `choice`: who gets the payload, at least one; held while it is offered
    """

    def __init__(self, *, shape, branches, choice=False):
        self._branches, self._choice = branches, choice
        super().__init__({
            "i": In(stream.Signature(shape)),
            **({"chosen": In(branches)} if choice else {}),
            "o": Out(stream.Signature(shape)).array(branches),
        })

    def elaborate(self, platform):
        m = Module()
        taken = Signal(self._branches)
        finished = Signal(self._branches)
        for n, branch in enumerate(self.o):
            wanted = ~taken[n] & self.chosen[n] if self._choice else ~taken[n]
            m.d.comb += [
                branch.payload.eq(self.i.payload),
                branch.valid.eq(self.i.valid & wanted),
                finished[n].eq(~wanted | branch.ready if self._choice else taken[n] | branch.ready),
            ]
        m.d.comb += self.i.ready.eq(finished.all())
        with m.If(self.i.valid):
            m.d.sync += taken.eq(finished)
            with m.If(self.i.ready):
                m.d.sync += taken.eq(0)
        return m
