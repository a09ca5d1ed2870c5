"""Several streams into one, in turn."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

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
        asks = Cat(i.valid for i in self.i)
        turn, choice = Signal(range(self._inputs)), Signal(range(self._inputs))
        with m.Switch(turn):
            for first in range(self._inputs):
                with m.Case(first):
                    for n in reversed([(first + offset) % self._inputs for offset in range(self._inputs)]):
                        with m.If(asks[n]):
                            m.d.comb += choice.eq(n)
        m.d.comb += [self.o.valid.eq(asks.any()), self.o.payload.eq(Array(i.payload for i in self.i)[choice])]
        for n, i in enumerate(self.i):
            m.d.comb += i.ready.eq(self.o.ready & (choice == n) & asks[n])
        with m.If(self.o.valid):
            m.d.sync += turn.eq(Mux(self.o.ready, Mux(choice == self._inputs - 1, 0, choice + 1), choice))
        return m
