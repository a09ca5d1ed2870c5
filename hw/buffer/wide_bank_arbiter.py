"""Who reads which banks in this cycle, where most of many clients read one bank each."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..shared_module import instantiate
from ..streams.round_robin import RoundRobin

__all__ = ["WideBankArbiter"]


class WideBankArbiter(wiring.Component):
    """Grants each client all the banks it wants in one cycle, or none; its path grows with the logarithm of the clients only.

    The first two clients, the groups, may want any banks, each of the others wants one at most. In every bank those others
    take turns. A group goes before them, until it has taken a bank that one of them asked for: in the next cycle, they go
    before the groups. Of two groups that want the same bank the one goes first that was refused alone the last time.

    So a group waits for three cycles at most: for the others, the other group, and the others again. One of n others waits for
    ``2 * n - 1``, as its bank serves one of them at least in every second cycle.

    Combinational from `asks` and `wanted` to `grant`.

    Parameters
    ----------
    clients, banks : numbers of them; at least three clients

    Members
    -------
    asks : In(clients), with `wanted` held until the grant
    wanted : In(banks).array(clients)
    grant : Out(clients)
    """

    def __init__(self, *, clients, banks):
        self._clients, self._banks = clients, banks
        super().__init__({"asks": In(clients), "wanted": In(banks).array(clients), "grant": Out(clients)})

    def longest_wait(self, client):
        """Cycles between the one in which a client asks first and the one in which it is granted, at most."""
        return 3 if client < 2 else 2 * (self._clients - 2) - 1

    def elaborate(self, platform):
        m = Module()
        first, second, *others = range(self._clients)
        asks, wanted = self.asks, self.wanted

        # In each bank one of the others is chosen.
        taken, asked = Signal(self._banks), Signal(self._banks)
        turns = [instantiate(m, platform, f"turn_{b}", RoundRobin, inputs=len(others)) for b in range(self._banks)]
        for b, turn in enumerate(turns):
            m.d.comb += [
                turn.asks.eq(Cat(asks[n] & wanted[n][b] for n in others)), asked[b].eq(turn.asks.any()),
                turn.advance.eq(~taken[b]),
            ]

        # A group takes all that it wants, if nothing of that belongs to the others in this cycle, or to the other group.
        others_first, second_first, clash = Signal(), Signal(), (wanted[first] & wanted[second]).any()
        able = {n: asks[n] & ~(others_first & (wanted[n] & asked).any()) for n in (first, second)}
        grants = {first: able[first] & ~(able[second] & second_first & clash),
                  second: able[second] & ~(able[first] & ~second_first & clash)}
        m.d.comb += taken.eq(Mux(grants[first], wanted[first], 0) | Mux(grants[second], wanted[second], 0))
        for place, n in enumerate(others):
            chosen = Cat(turn.grant[place] for turn in turns) & ~taken
            grants[n] = asks[n] & (chosen.any() | ~wanted[n].any())
        m.d.comb += self.grant.eq(Cat(grants[n] for n in range(self._clients)))

        m.d.sync += others_first.eq((asked & taken).any())
        refused = asks & ~self.grant
        with m.If(refused[first] != refused[second]):
            m.d.sync += second_first.eq(refused[second])
        return m
