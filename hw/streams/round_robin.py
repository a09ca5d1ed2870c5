"""Whose turn it is."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["RoundRobin"]


class RoundRobin(wiring.Component):
    """Chooses one of those that ask: the one served last goes last, the others in the order of their numbers.

    Combinational from `asks` to `grant` and `choice`; the size grows with the number of inputs only.

    Parameters
    ----------
    inputs : number of inputs

    Members
    -------
    asks : In(inputs)
    advance : In(1), the choice is served in this cycle; otherwise it is chosen again as long as it asks
    grant : Out(inputs), the choice in one-hot form, or zero
    choice : Out(range(inputs)), its number; zero if none asks
    """

    def __init__(self, *, inputs):
        self._inputs = inputs
        super().__init__({
            "asks": In(inputs), "advance": In(1), "grant": Out(inputs), "choice": Out(range(max(2, inputs))),
        })

    def elaborate(self, platform):
        m = Module()
        count = self._inputs
        turn = Signal(count, init=(1 << count) - 1)  # Those from the one whose turn it is on.
        early, pool, above = Signal(count), Signal(count), Signal(count)
        m.d.comb += [
            early.eq(self.asks & turn),
            pool.eq(Mux(early.any(), early, self.asks)),
            self.grant.eq(pool & (~pool + 1)),
            above.eq(~(self.grant | (self.grant - 1))),
            self.choice.eq(Cat(
                Cat(self.grant[n] for n in range(count) if n >> bit & 1).any() for bit in range(len(self.choice))
            )),
        ]
        with m.If(self.asks.any()):
            m.d.sync += turn.eq(Mux(self.advance, above, above | self.grant))
        return m
