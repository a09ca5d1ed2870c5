"""The semaphores of all nine pairs of engines: no token lost, none made, every overflow reported, of its producer only."""

from functools import reduce
from operator import or_

import pytest
from amaranth.hdl import Mux, Signal

from acceltran.hw.control import semaphores
from support.contracts import Contract, prove, refute
from support.mutation import mutated, with_names

ENGINES = range(3)


def small(module):
    """With counters of three bits, so that they overflow soon."""
    return with_names(module, SEMAPHORE_BITS=3, WAIT_BITS=2)


def tokens(module):
    """For each pair, what was given less what was taken, until a token does not fit; that is told in the cycle after."""
    component = module.Semaphores()
    c, most = Contract(component), (1 << len(component.tokens[0][0])) - 1
    for x in ENGINES:
        lost = []
        for y in ENGINES:
            held, wanted, take = component.tokens[y][x], component.wanted[y][x], component.take[y]
            there, full = Signal(len(held) + 2, name=f"there_{x}_{y}"), Signal(name=f"full_{x}_{y}")
            following = Signal(len(there), name=f"following_{x}_{y}")
            c.m.d.comb += following.eq(there + component.give[x][y] - Mux(take, wanted, 0))
            with c.m.If(~full):
                c.m.d.sync += [there.eq(following), full.eq(following > most)]
            c.assume(~take | (wanted <= held))
            c.promise("tokens", full | (held == there))
            told = c.before(~full & (following > most), f"told_{x}_{y}")
            lost.append((told, full & ~told))
        sure, earlier = (reduce(or_, what) for what in zip(*lost, strict=True))
        c.promise("overflow", earlier | (component.overflow[x] == sure))
    return c


@pytest.mark.prove
def test_semaphores():
    prove(tokens(semaphores))


def test_small_semaphores():
    prove(tokens(small(semaphores)))


@pytest.mark.parametrize(("promise", "old", "new"), [
    ("tokens", "self.give[x][y]", "self.give[y][x]"),
    ("tokens", "self.wanted[y][x]", "self.wanted[x][y]"),
    ("tokens", "m.d.sync += tokens.eq(total)", "m.d.sync += tokens.eq(tokens + self.give[x][y])"),
    ("overflow", "overflows[0] | overflows[1] | overflows[2]", "overflows[0] | overflows[1]"),
    ("overflow", "overflows[0] | overflows[1] | overflows[2]", "overflows[1] | overflows[2]"),
    ("overflow", "overflows[0] | overflows[1] | overflows[2]", "overflows[2] | overflows[0]"),
    ("overflow", "overflows.append(total[-1])", "overflows.append(total.all())"),
])
def test_semaphores_fault(promise, old, new):
    refute(tokens(small(mutated(semaphores, old, new))), promise)
