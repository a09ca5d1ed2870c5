"""The counting semaphores, one for every ordered pair of engines."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .layouts import ENGINES, SEMAPHORE_BITS, WAIT_BITS

__all__ = ["Semaphores"]

_N = len(ENGINES)


class Semaphores(wiring.Component):
    """Counters ``[producer][consumer]``, all zero after reset.

    Members
    -------
    give : In(3).array(3), per producer, bit y adds a token for consumer y
    take : In(1).array(3), per consumer, takes `wanted` tokens of every producer at once
    wanted : In(8).array(3, 3), [consumer][producer]; the taker sees to it that they are there
    tokens : Out(12).array(3, 3), [consumer][producer], a cycle after `give` and `take`
    overflow : Out(1).array(3), pulse, a cycle after the `give` of that producer that did not fit
    """

    def __init__(self):
        super().__init__({
            "give": In(_N).array(_N),
            "take": In(1).array(_N),
            "wanted": In(WAIT_BITS).array(_N, _N),
            "tokens": Out(SEMAPHORE_BITS).array(_N, _N),
            "overflow": Out(1).array(_N),
        })

    def elaborate(self, platform):
        m = Module()
        for x in range(_N):
            overflows = []
            for y in range(_N):
                tokens = self.tokens[y][x]
                total = Signal(SEMAPHORE_BITS + 1, name=f"total_{x}_{y}")
                m.d.comb += total.eq(tokens + self.give[x][y] - Mux(self.take[y], self.wanted[y][x], 0))
                m.d.sync += tokens.eq(total)
                overflows.append(total[-1])
            m.d.sync += self.overflow[x].eq(overflows[0] | overflows[1] | overflows[2])
        return m
