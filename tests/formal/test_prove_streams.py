"""Streams: nothing is lost, doubled or overtaken, what is offered stands still, nobody waits for ever."""

import pytest
from amaranth.hdl import Array, Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from acceltran.hw.arithmetic import popcount
from acceltran.hw.pe import tile_fifo
from acceltran.hw.streams import butterfly, round_robin, skid_buffer, stream_arbiter, stream_fork, stream_queue
from acceltran.hw.streams.crossbar import Crossbar
from support.contracts import Contract, prove, refute
from support.mutation import mutated, with_names
from support.shifted_queue import ShiftedQueue

PAYLOAD = data.StructLayout({"mark": 1, "rest": 1})
"""Of what most components do not look at, a bit that tells one item from all others, and one more."""


def moved(stream):
    return stream.valid & stream.ready


def pipe(component, capacity, *, through):
    """One stream in, one out; `through`: what comes is offered in the same cycle."""
    c, i, o = Contract(component), component.i, component.o
    held = c.order(moved(i), i.p.mark, moved(o), o.p.mark, capacity, "order", carried=i.p.rest, brought=o.p.rest)
    c.still(o, "still")
    c.promise("offered", o.valid == ((held != 0) | (i.valid if through else 0)))
    c.promise("room", i.ready == (held < capacity))
    return c, held


def queue(module, depth):
    component = module.StreamQueue(shape=PAYLOAD, depth=depth)
    c, held = pipe(component, depth, through=False)
    c.promise("level", component.level == held)
    return c


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_stream_queue(depth):
    prove(queue(stream_queue, depth))


@pytest.mark.parametrize(("promise", "old", "new"), [
    ("order", "with m.If(pointer == depth - 1)", "with m.If(pointer == depth)"),
    ("order", "m.d.sync += head.eq(following(head))", "m.d.sync += head.eq(head)"),
    ("room", "self.level != depth)", "self.level < depth - 1)"),
    ("offered", "self.o.valid.eq(self.level != 0)", "self.o.valid.eq(self.level > 1)"),
    ("still", "self.o.valid.eq(self.level != 0)", "self.o.valid.eq((self.level != 0) & self.i.valid)"),
    ("level", "self.level + push - pop", "self.level + push - (pop & ~push)"),
])
def test_stream_queue_fault(promise, old, new):
    refute(queue(mutated(stream_queue, old, new), 3), promise)


class BothQueues(wiring.Component):
    """A queue and the one that stands for it in proofs, with the same inputs; `alike` while nothing tells them apart."""

    def __init__(self, module, depth):
        self._module, self._depth = module, depth
        super().__init__({"i": In(stream.Signature(1)), "ready": In(1), "alike": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = one = self._module.StreamQueue(shape=1, depth=self._depth)
        m.submodules.shifted = other = ShiftedQueue(shape=1, depth=self._depth)
        for queue in (one, other):
            m.d.comb += [queue.i.valid.eq(self.i.valid), queue.i.payload.eq(self.i.payload), queue.o.ready.eq(self.ready)]
        m.d.comb += [
            self.i.ready.eq(one.i.ready),
            self.alike.eq((one.i.ready == other.i.ready) & (one.o.valid == other.o.valid) & (one.level == other.level)
                          & (~one.o.valid | (one.o.payload == other.o.payload))),
        ]
        return m


def both(module, depth):
    component = BothQueues(module, depth)
    c = Contract(component)
    c.promise("alike", component.alike)
    return c


@pytest.mark.parametrize("depth", [2, *(pytest.param(depth, marks=pytest.mark.prove) for depth in (3, 4))])
def test_shifted_queue(depth):
    prove(both(stream_queue, depth))
    refute(both(mutated(stream_queue, "head.eq(following(head))", "head.eq(head)"), depth), "alike")


def skid(module):
    return pipe(module.SkidBuffer(shape=PAYLOAD), 1, through=True)[0]


def test_skid_buffer():
    prove(skid(skid_buffer))


@pytest.mark.parametrize(("promise", "old", "new"), [
    ("order", "o.payload.eq(Mux(held, refused, i.payload))", "o.payload.eq(i.payload)"),
    ("still", "with m.If(~held):", "with m.If(1):"),
    ("offered", "o.valid.eq(held | i.valid)", "o.valid.eq(held)"),
    ("room", "i.ready.eq(~held)", "i.ready.eq(~held & o.ready)"),
])
def test_skid_buffer_fault(promise, old, new):
    refute(skid(mutated(skid_buffer, old, new)), promise)


def fork(module, branches, *, choice):
    """Every branch that is chosen takes each item once, at its own time; the producer moves on when all have."""
    component = module.StreamFork(shape=2, branches=branches, choice=choice)
    c, i = Contract(component), component.i
    chosen = component.chosen if choice else Cat(Signal(init=1, name=f"all_{n}") for n in range(branches))
    c.still(i, "producer", assumed=True)
    if choice:
        c.held(i.valid & ~i.ready, i.valid, [chosen], "choice", assumed=True)
        c.assume(chosen.any())
    have = Signal(branches)
    takes = Cat(moved(o) for o in component.o)
    c.m.d.sync += have.eq((have | takes) & ~moved(i).replicate(branches))
    c.promise("once", (takes & (have | ~chosen)) == 0)
    c.promise("all", ~moved(i) | ((have | takes | ~chosen).all()))
    c.promise("on", ~i.valid | i.ready | ~(have | takes | ~chosen).all())
    for n, o in enumerate(component.o):
        c.still(o, "still")
        c.promise("offered", o.valid == (i.valid & chosen[n] & ~have[n]))
        c.promise("payload", ~o.valid | (o.payload == i.payload))
    return c


@pytest.mark.parametrize("branches", [2, 3])
@pytest.mark.parametrize("choice", [False, True])
def test_stream_fork(branches, choice):
    prove(fork(stream_fork, branches, choice=choice))


@pytest.mark.parametrize(("promise", "choice", "old", "new"), [
    ("once", False, "m.d.sync += taken.eq(finished)", "m.d.sync += taken.eq(0)"),
    ("all", False, "m.d.sync += taken.eq(0)", "m.d.sync += taken[1:].eq(0)"),
    ("once", True, "~taken[n] & self.chosen[n]", "~taken[n]"),
    ("all", False, "finished.all()", "finished.any()"),
    ("all", True, "finished[n].eq(~wanted | branch.ready", "finished[n].eq(1"),
    ("on", False, "finished.all()", "finished.all() & ~taken.any()"),
    ("still", False, "branch.valid.eq(self.i.valid & wanted)", "branch.valid.eq(self.i.valid & wanted & ~taken.any())"),
    ("offered", True, "branch.valid.eq(self.i.valid & wanted)", "branch.valid.eq(self.i.valid & wanted & branch.ready)"),
    ("payload", False, "branch.payload.eq(self.i.payload)", "branch.payload.eq(self.i.payload ^ n)"),
])
def test_stream_fork_fault(promise, choice, old, new):
    refute(fork(mutated(stream_fork, old, new), 2, choice=choice), promise)


def arbiter(module, count, *, less=0):
    """Every input keeps its order, and waits for one transfer of each other input at most (lowered by `less`)."""
    payload = data.StructLayout({"mark": 1, "source": range(count)})
    component = module.StreamArbiter(shape=payload, inputs=count)
    c, o = Contract(component), component.o
    c.promise("offered", o.valid == Cat(i.valid for i in component.i).any())
    c.still(o, "still")
    for n, i in enumerate(component.i):
        c.still(i, f"producer_{n}", assumed=True)
        c.assume(i.p.source == n)
        take = moved(o) & (o.p.source == n)
        c.order(moved(i), i.p.mark, take, o.p.mark, 0, "order")
        fair(c, i.valid & ~i.ready, moved(o), count - 1 - less, n)
    return c


def fair(c, waits, served, limit, n):
    """While one waits, others are served `limit` times at most."""
    others = Signal(range(limit + 3), name=f"others_{n}")
    with c.m.If(~waits):
        c.m.d.sync += others.eq(0)
    with c.m.Elif(served):
        c.m.d.sync += others.eq(others + 1)
    c.promise("fair", ~(waits & served) | (others < limit))


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_stream_arbiter(count):
    prove(arbiter(stream_arbiter, count))


def test_stream_arbiter_bound_is_tight():
    refute(arbiter(stream_arbiter, 3, less=1), "fair")


@pytest.mark.parametrize(("promise", "old", "new"), [
    ("order", "self.o.ready & turn.grant[n]", "self.o.ready & i.valid"),
    ("still", "turn.advance.eq(self.o.ready)", "turn.advance.eq(1)"),
    ("offered", "self.o.valid.eq(turn.asks.any())", "self.o.valid.eq(turn.asks.all())"),
])
def test_stream_arbiter_fault(promise, old, new):
    refute(arbiter(mutated(stream_arbiter, old, new), 3), promise)


def test_stream_arbiter_without_turns():
    unfair = mutated(round_robin, "pool.eq(Mux(early.any(), early, self.asks))", "pool.eq(self.asks)")
    refute(arbiter(with_names(stream_arbiter, RoundRobin=unfair.RoundRobin), 3), "fair")


def turns(module, count, *, less=0):
    """The choice is one of those that ask; it stays until it is served, then all others that go on asking come first."""
    component = module.RoundRobin(inputs=count)
    c, asks, grant, advance = Contract(component), component.asks, component.grant, component.advance
    c.promise("one", ((grant & (grant - 1)) == 0) & ((grant & ~asks) == 0) & (grant.any() == asks.any()))
    c.promise("number", Array(1 << n for n in range(count))[component.choice] == (grant | ~asks.any()))
    standing = c.before(grant & ~advance.replicate(count), "standing")
    c.promise("stays", ~(standing & asks).any() | (grant == standing))
    for n in range(count):
        fair(c, asks[n] & ~grant[n], advance, count - 1 - less, n)
    return c


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_round_robin(count):
    prove(turns(round_robin, count))


def test_round_robin_bound_is_tight():
    refute(turns(round_robin, 3, less=1), "fair")


@pytest.mark.parametrize(("promise", "old", "new"), [
    ("one", "pool & (~pool + 1)", "pool"),
    ("number", "if n >> bit & 1", "if n & 1"),
    ("stays", "Mux(self.advance, above, above | self.grant)", "above"),
    ("fair", "Mux(self.advance, above, above | self.grant)", "above | self.grant"),
])
def test_round_robin_fault(promise, old, new):
    refute(turns(mutated(round_robin, old, new), 3), promise)


def crossing(faulty=0):
    component = Crossbar(inputs=3, outputs=2, width=2)
    c = Contract(component)
    for select, o in zip(component.select, component.o, strict=True):
        c.promise("choice", (select == 3) | (o == Array(component.i)[select] + faulty))
    return c


def test_crossbar():
    prove(crossing())
    refute(crossing(faulty=1), "choice")


class Spread(wiring.Component):
    """A butterfly network whose marked positions want consecutive values; value n is n itself."""

    def __init__(self, module, bits):
        self._module, self._bits = module, bits
        super().__init__({"present": In(1 << bits), "start": In(bits), "o": Out(bits).array(1 << bits)})

    def elaborate(self, platform):
        m, count = Module(), 1 << self._bits
        ranks, _ = self._module.prefix_counts(self.present, self._bits)
        wanted = [(rank + self.start)[:self._bits] for rank in ranks]
        stages = self._module.crossings(m, wanted, self.present)
        values = self._module.spread(m, [Signal(self._bits, init=n, name=f"value_{n}") for n in range(count)], stages)
        m.d.comb += [o.eq(value) for o, value in zip(self.o, values, strict=True)]
        return m


def network(module, bits):
    component = Spread(module, bits)
    c = Contract(component)
    for n, o in enumerate(component.o):
        rank = popcount(component.present[:n]) if n else 0
        c.promise("spread", ~component.present[n] | (o == (component.start + rank)[:bits]))
    return c


@pytest.mark.parametrize("bits", [1, 2, 3, pytest.param(4, marks=pytest.mark.prove)])
def test_butterfly(bits):
    prove(network(butterfly, bits))


@pytest.mark.parametrize(("old", "new"), [
    ("claims[high][-1] & ~claims[high][0]", "claims[high][-1]"),
    ("for level in reversed(range(len(stages)))", "for level in range(len(stages))"),
    ("[(n + below)[:width] for n in high]", "high"),
])
def test_butterfly_fault(old, new):
    refute(network(mutated(butterfly, old, new), 3), "spread")


def tiles(module, count):
    """Beats keep their order, each with the mask of its tile, whose first beat alone is sure to bring it."""
    component = module.TileFifo(tile=2, width=1, lines_per_beat=1, tiles=count)
    c, i, o = Contract(component), component.i, component.o
    first, mask = Signal(init=1), Signal(4)
    kept = Signal(5)
    c.assume(~i.valid | (i.p.first == first))
    c.m.d.comb += mask.eq(i.p.mask)
    with c.m.If(moved(i)):
        c.m.d.sync += first.eq(i.p.last)
        with c.m.If(first):
            c.m.d.sync += kept.eq(Cat(i.p.mask, i.p.transpose))
    label = Signal(5)
    c.m.d.comb += label.eq(kept)
    with c.m.If(first):
        c.m.d.comb += label.eq(Cat(i.p.mask, i.p.transpose))
    held = c.order(moved(i), i.p.lines[0][0][0], moved(o), o.p.lines[0][0][0], 2 * count + 1, "order",
                   carried=Cat(label, first, i.p.last), brought=Cat(o.p.mask, o.p.transpose, o.p.first, o.p.last))
    c.still(o, "still")
    c.at_most((held != 0) & ~o.valid, component.latency - 1, "offered")
    c.promise("room", i.ready | (held >= count - 1))
    return c


def test_tile_fifo():
    prove(tiles(tile_fifo, 2))


@pytest.mark.parametrize(("promise", "old", "new"), [
    ("order", "heads.r_en.eq(read & o.p.last)", "heads.r_en.eq(read)"),
    ("order", "heads.w_en.eq(write & expect_first)", "heads.w_en.eq(write & i.p.last)"),
    ("order", "m.d.sync += first.eq(o.p.last)", "m.d.sync += first.eq(1)"),
    ("still", "o.valid.eq(beats.r_rdy & heads.r_rdy)", "o.valid.eq(beats.r_rdy & heads.r_rdy & ~write)"),
    ("offered", "read.eq(o.valid & o.ready)", "read.eq(o.valid)"),
    ("room", "(heads.w_rdy | ~expect_first)", "heads.w_rdy & expect_first"),
])
def test_tile_fifo_fault(promise, old, new):
    refute(tiles(mutated(tile_fifo, old, new), 2), promise)
