"""Who reads which banks in this cycle."""

from itertools import combinations

from amaranth.hdl import Const, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["ROUNDS", "BankArbiter"]

ROUNDS = 2
"""Of an arbitration: the more, the longer its path, and the fewer clients wait for one that waits itself."""


class BankArbiter(wiring.Component):
    """Grants each client all the banks it wants in one cycle, or none.

    In each of `ROUNDS` rounds those win that want no bank of a client before them which is still in it; then those are out
    that want a bank of a winner. Before the others go those that wait together: whoever is refused while nobody waits
    joins them, and nobody else until the last of them is served. Among equals the lower number goes first. The first of
    those that wait always wins, so a client waits for `longest_wait` cycles at most: of n clients, n - 2 may be waiting when
    it comes, another wins while the next group forms, and n - 2 may be before it in that.

    Combinational from `asks` and `wanted` to `grant`.

    Parameters
    ----------
    clients, banks : numbers of them

    Members
    -------
    asks : In(clients), with `wanted` held until the grant
    wanted : In(banks).array(clients)
    grant : Out(clients)
    """

    def __init__(self, *, clients, banks):
        self._clients, self._banks = clients, banks
        super().__init__({"asks": In(clients), "wanted": In(banks).array(clients), "grant": Out(clients)})

    @property
    def longest_wait(self):
        """Cycles between the one in which a client asks first and the one in which it is granted, at most."""
        return max(0, 2 * self._clients - 3)

    def elaborate(self, platform):
        m = Module()
        count, waiting = self._clients, Signal(self._clients)
        clash = [Signal(count, name=f"clash_{n}") for n in range(count)]
        rivals = [Signal(count, name=f"rivals_{n}") for n in range(count)]
        for a, b in combinations(range(count), 2):
            first = waiting[a] | ~waiting[b]
            m.d.comb += [
                clash[a][b].eq((self.wanted[a] & self.wanted[b]).any()), clash[b][a].eq(clash[a][b]),
                rivals[b][a].eq(clash[a][b] & first), rivals[a][b].eq(clash[a][b] & ~first),
            ]
        grants, left = Const(0, count), self.asks
        for number in range(ROUNDS):
            wins, after = (Signal(count, name=f"{name}_{number}") for name in ("wins", "left"))
            for n in range(count):
                m.d.comb += [
                    wins[n].eq(left[n] & ~(rivals[n] & left).any()),
                    after[n].eq(left[n] & ~wins[n] & ~(clash[n] & wins).any()),
                ]
            grants, left = grants | wins, after
        m.d.comb += self.grant.eq(grants)
        m.d.sync += waiting.eq(self.asks & ~self.grant & (waiting | (waiting == 0).replicate(count)))
        return m
