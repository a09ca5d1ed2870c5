"""The bank arbiters: what they grant, and for how long a client waits, proved for every sequence of requests."""

import pytest
from amaranth.hdl import Assert, Assume, Module, Signal

from acceltran.hw.buffer.bank_arbiter import BankArbiter
from acceltran.hw.buffer.wide_bank_arbiter import WideBankArbiter
from support.proof import holds


def watched(arbiter, clients, banks, limits, single=()):
    """An arbiter whose clients keep to the rules, those of `single` to one bank. Asserted: only those that ask are granted, no
    bank twice, and none waits beyond its limit.
    """
    m = Module()
    m.submodules.arbiter = arbiter
    asks, wanted = Signal(clients), [Signal(banks, name=f"wanted_{n}") for n in range(clients)]
    m.d.comb += [arbiter.asks.eq(asks), *(port.eq(want) for port, want in zip(arbiter.wanted, wanted, strict=True))]
    m.d.comb += Assert((arbiter.grant & ~asks) == 0)
    for n, limit in enumerate(limits):
        if n in single:
            m.d.comb += Assume((wanted[n] & (wanted[n] - 1)) == 0)
        refused, before, waited = Signal(name=f"refused_{n}"), Signal(banks), Signal(range(limit + 2), name=f"waited_{n}")
        m.d.sync += [refused.eq(asks[n] & ~arbiter.grant[n]), before.eq(wanted[n])]
        with m.If(refused):
            m.d.comb += Assume(asks[n] & (wanted[n] == before))
        with m.If(asks[n] & ~arbiter.grant[n]):
            m.d.sync += waited.eq(waited + 1)
        with m.Else():
            m.d.sync += waited.eq(0)
        m.d.comb += Assert(waited <= limit)
        for other in range(n):
            with m.If(arbiter.grant[n] & arbiter.grant[other]):
                m.d.comb += Assert((wanted[n] & wanted[other]) == 0)
    return m, [asks, *wanted]


@pytest.mark.parametrize(("clients", "banks"), [(3, 1), (3, 2), (3, 4), (4, 2)])
def test_h2_no_client_waits_longer_than_the_bound(clients, banks):
    for less in (0, 1):
        arbiter = BankArbiter(clients=clients, banks=banks)
        limits = [arbiter.longest_wait - less] * clients
        assert holds(*watched(arbiter, clients, banks, limits)) == (not less)


@pytest.mark.parametrize(("clients", "banks"), [(3, 1), (3, 3), (4, 2), (5, 2)])
def test_no_client_of_the_wide_arbiter_waits_longer_than_the_bound(clients, banks):
    def bounded(*shorter):
        arbiter = WideBankArbiter(clients=clients, banks=banks)
        limits = [arbiter.longest_wait(n) - (n in shorter) for n in range(clients)]
        return holds(*watched(arbiter, clients, banks, limits, single=range(2, clients)))

    assert bounded()
    for client in range(clients):
        assert not bounded(client), client
