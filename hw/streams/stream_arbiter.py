"""Several streams into one, in turn."""

from amaranth.hdl import Array, Cat, Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .round_robin import RoundRobin

__all__ = ["StreamArbiter"]


class StreamArbiter(wiring.Component):
    """Round robin, zero latency: the input after the one served last goes first.

    An input that is offered and not yet taken stays chosen, so that the payload holds until the transfer.

    Parameters
    ----------
    shape : payload
    inputs : number of inputs
    """

    def __init__(self, *, shape, inputs):
        self._inputs = inputs
        super().__init__({
            "i": In(stream.Signature(shape)).array(inputs),
            "o": Out(stream.Signature(shape)),
        })

    def elaborate(self, platform):
        m = Module()
        if self._inputs == 1:
            connect(m, flipped(self.i[0]), flipped(self.o))
            return m
        m.submodules.round_robin = turn = RoundRobin(inputs=self._inputs)
        m.d.comb += [
            turn.asks.eq(Cat(i.valid for i in self.i)), turn.advance.eq(self.o.ready),
            self.o.valid.eq(turn.asks.any()), self.o.payload.eq(Array(i.payload for i in self.i)[turn.choice]),
        ]
        for n, i in enumerate(self.i):
            m.d.comb += i.ready.eq(self.o.ready & turn.grant[n])
        return m
