"""What tells that work is done, or is not: completion tracker, order of shares, watchdog."""

import pytest
from amaranth.hdl import Array, Cat, Mux, Signal

from acceltran.hw.control import watchdog
from acceltran.hw.matrix import completion_tracker
from acceltran.hw.memory import share_order
from support.contracts import Contract, prove, refute
from support.mutation import mutated, with_names


def moved(stream):
    return stream.valid & stream.ready


def tracker(module, *, grid=2, ports=2, most=7):
    """Products are reported in their order, each two cycles after its last tile is in the buffer.

    Products are issued one after the other, and their tiles are written once each; no more than `most` are under way.
    """
    component = with_names(module, COUNT_BITS=1).CompletionTracker(grid=grid, ports=ports)
    c, tags = Contract(component), 4
    inside, missing = Signal(), [Signal(range(most + 1), name=f"missing_{n}") for n in range(tags)]
    opens, closes, done = component.open, component.close, component.done
    c.assume(~opens | (component.free & ~inside))
    c.assume(((component.issued == 0) & ~closes) | inside)
    c.m.d.sync += inside.eq((inside | opens) & ~closes)
    lands = [sum(component.written[p] & (component.written_tag[p] == n) for p in range(ports)) for n in range(tags)]
    for n in range(tags):
        comes = Mux(component.tag == n, component.issued, 0)
        c.assume((missing[n] + comes <= most) & (lands[n] <= missing[n]) & (component.issued <= grid))
        c.m.d.sync += missing[n].eq(missing[n] + comes - lands[n])

    # The products that are closed and not reported, oldest first: how many, and the tag of the oldest.
    waiting, oldest = Signal(range(tags + 2)), Signal(2)
    c.m.d.sync += [waiting.eq(waiting + closes - done), oldest.eq(oldest + done)]
    ready = Signal()
    left = Array(missing)[oldest]
    c.m.d.comb += ready.eq((waiting != 0) & (left == 0))
    c.promise("done", ~done | c.before(ready, "told"))
    c.at_most(ready & ~done, 2, "soon")
    c.promise("free", component.free == (~inside & (waiting != tags)))
    c.promise("tag", component.tag == (oldest + waiting)[:2])
    return c


def test_small_completion_tracker():
    prove(tracker(completion_tracker, grid=1, ports=1, most=2))


@pytest.mark.prove
def test_completion_tracker():
    prove(tracker(completion_tracker))


@pytest.mark.parametrize(("promise", "old", "new"), [
    ("done", "complete.bit_select(oldest, 1) & (missing[oldest] == 0)", "complete.bit_select(oldest, 1)"),
    ("done", "complete.bit_select(oldest, 1) & (missing[oldest] == 0)", "missing[oldest] == 0"),
    ("done", "written_tag.word_select(p, TAG_BITS) == n", "written_tag.word_select(0, TAG_BITS) == n"),
    ("soon", "for p in range(self._ports))", "for p in range(1))"),
    ("free", "[complete[n].eq(0), busy[n].eq(0)]", "complete[n].eq(0)"),
    ("tag", "with m.If(self.close)", "with m.If(closed)"),
])
def test_completion_tracker_fault(promise, old, new):
    refute(tracker(mutated(completion_tracker, old, new)), promise)


def shares(module, *, ports=2, depth=2):
    """One instruction, whichever: done in its turn when its shares are, and a port fails with it that still owes one."""
    component = module.ShareOrder(ports=ports, depth=depth)
    c, i, done = Contract(component), component.i, component.done
    mark = c.free(1, "mark")
    held = Signal(range(depth + 2))
    c.m.d.sync += held.eq(held + moved(i) - done)
    c.promise("count", (held <= depth) & (~done | (held != 0)))
    marked, left, front, mask = Signal(), Signal(), Signal(range(depth + 1)), Signal(ports)
    begins = moved(i) & mark & ~marked
    with c.m.If(begins):
        c.m.d.sync += [marked.eq(1), front.eq(held - done), mask.eq(i.payload)]
    with c.m.Elif(marked & done):
        c.m.d.sync += [front.eq(front - (front != 0)), left.eq(left | (front == 0))]
    first, got = marked & (front == 0) & ~left, Signal(ports)
    c.promise("empty", component.empty == (held == 0))
    c.promise("done", ~first | (done == (got | ~mask).all()))
    for port in range(ports):
        owed, ahead = Signal(range(depth + 2), name=f"owed_{port}"), Signal(range(depth + 2), name=f"ahead_{port}")
        finished, failed = component.finished[port], component.failed[port]
        c.m.d.sync += owed.eq(owed + (moved(i) & i.payload[port]) - finished)
        c.assume(~finished | ((owed != 0) & ~failed))
        c.assume(failed | ~c.before(failed, f"failed_{port}"))
        with c.m.If(begins):
            c.m.d.sync += ahead.eq(owed - finished)
        with c.m.Elif(marked & finished):
            c.m.d.sync += [ahead.eq(ahead - (ahead != 0)), got[port].eq(got[port] | (ahead == 0) & mask[port])]
        fails = failed & first & mask[port] & ~got[port]
        c.promise("failing", ~first | (component.failing[port] == fails))
        c.promise("failing", (held != 0) | (component.failing[port] == (failed if port == 0 else 0)))
    return c


@pytest.mark.parametrize(("ports", "depth"), [(2, 2), (3, 3), pytest.param(3, 4, marks=pytest.mark.prove)])
def test_share_order(ports, depth):
    prove(shares(share_order, ports=ports, depth=depth))


@pytest.mark.parametrize(("promise", "old", "new"), [
    ("done", "(self.done & takes_part)", "self.done"),
    ("done", "for has, takes in zip(ahead, concerned, strict=True)).all()", "for has, takes in zip(ahead, concerned)).any()"),
    ("empty", "self.empty.eq(~begun.o.valid)", "self.empty.eq(~begun.o.valid | self.done)"),
    ("failing", "& concerned[port] & ~ahead[port]", "& concerned[port]"),
    ("failing", "(concerned[0] | ~begun.o.valid)", "concerned[0]"),
    ("failing", "& ~ahead[0] & (concerned[0] | ~begun.o.valid)", "& ~ahead[0]"),
    ("count", "begun.o.ready.eq(self.done)", "begun.o.ready.eq(1)"),
])
def test_share_order_fault(promise, old, new):
    refute(shares(mutated(share_order, old, new)), promise)


def dog(module, most=4):
    """Expires in the cycle after `limit` others without a sign of life, which counts one cycle after it comes."""
    component = module.Watchdog()
    c, window = Contract(component), most + 3
    limit = c.fixed(3, "limit_of_all")
    c.assume((component.limit == limit) & (limit <= most))

    def past(value, name):
        values = [value]
        for n in range(window):
            values.append(c.before(values[-1], f"{name}_{n}"))
        return values

    # What stood in each cycle before, the last first; nothing before reset.
    running, alive, expired = (past(value, name) for value, name in (
        (component.running, "running"), (component.alive, "alive"), (component.expired, "expired")))
    for cycles in range(1, most + 1):
        quiet = Cat(*running[1:cycles + 2], *(~a for a in alive[2:cycles + 3]), *(~e for e in expired[1:cycles + 2])).all()
        c.promise("exact", (limit != cycles) | (component.expired == quiet))
    c.promise("off", (limit != 0) | ~component.expired)
    return c


def test_watchdog():
    prove(dog(watchdog))


@pytest.mark.parametrize(("promise", "old", "new"), [
    ("exact", "count >= self.limit", "count > self.limit"),
    ("exact", "count >= self.limit", "count + 1 >= self.limit"),
    ("exact", "~self.running | alive | self.expired", "alive | self.expired"),
    ("exact", "~self.running | alive | self.expired", "~self.running | self.alive | self.expired"),
    ("exact", "~self.running | alive | self.expired", "~self.running | alive"),
    ("off", " & (self.limit != 0)", ""),
])
def test_watchdog_fault(promise, old, new):
    refute(dog(mutated(watchdog, old, new)), promise)
