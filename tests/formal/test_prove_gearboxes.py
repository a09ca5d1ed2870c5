"""Gearboxes: every bit in its order, however beats and pieces cut the stream, and nothing behind its end."""

import pytest
from amaranth.hdl import Array, Mux, Signal

from acceltran.hw.memory import gearbox_in, gearbox_out
from support.contracts import Contract, prove, refute
from support.mutation import mutated, with_names

COUNT_BITS = 3
"""Of the beats of a segment."""

BUSES = [(2, (2, 5)), (2, (4, 5)), (2, (2, 1)), (5, (2, 3)), (8, (2, 3))]
"""Bus and sizes in units of a single bit: pieces longer than a beat, as long, shorter, and several to a beat."""


def moved(stream):
    return stream.valid & stream.ready


def most(bus, sizes):
    """What a gearbox has to hold so that there is no bubble."""
    return max(sizes) + bus + min(max(sizes), bus) - 1


def joining(module, bus, sizes, *, less=0, steady=None):
    """Pieces back to back in beats, streams apart; the last beat is marked and filled with zeros."""
    component = module.GearboxOut(bus_width=bus, sizes=sizes)
    c, i, o, largest = Contract(component), component.i, component.o, max(sizes)
    capacity, size, ending = most(bus, sizes), Array(sizes)[i.p.size], Signal()
    put, take, final = Signal(range(largest + 1)), Signal(range(bus + 1)), Signal()
    c.assume((i.p.data >> size) == 0)
    held = c.units(put, i.p.data, take, o.p.data, capacity - less, "order")
    c.m.d.comb += [
        final.eq(ending & (held <= bus)),
        put.eq(Mux(moved(i), size, 0)), take.eq(Mux(moved(o), Mux(final, held, bus), 0)),
    ]
    with c.m.If(moved(i) & i.p.last):
        c.m.d.sync += ending.eq(1)
    with c.m.Elif(moved(o) & final):
        c.m.d.sync += ending.eq(0)
    c.still(o, "still")
    c.promise("offered", o.valid == (ending | (held >= bus)))
    c.promise("last", ~o.valid | (o.p.last == final))
    c.promise("padding", ~(o.valid & o.p.last) | ((o.p.data >> held) == 0))
    c.promise("room", i.ready == (~ending & (held <= capacity - largest)))
    c.promise("flow", i.ready | o.valid)

    # Pieces of one size that always come into beats that are always taken: whichever is the limit moves in every cycle.
    if steady is not None:
        begun = Signal()
        c.m.d.sync += begun.eq((begun | moved(i)) & ~ending)
        c.assume(i.valid & o.ready & (i.p.size == steady))
        c.promise("rate", ending | (i.ready if sizes[steady] <= bus else ~begun | o.valid))
    return c


@pytest.mark.parametrize(("bus", "sizes"), BUSES)
def test_gearbox_out(bus, sizes):
    prove(joining(gearbox_out, bus, sizes))


@pytest.mark.prove
@pytest.mark.parametrize(("bus", "sizes"), BUSES)
@pytest.mark.parametrize("size", [0, 1])
def test_gearbox_out_without_a_bubble(bus, sizes, size):
    prove(joining(gearbox_out, bus, sizes, steady=size), "rate")


def test_gearbox_out_is_filled():
    refute(joining(gearbox_out, 2, (2, 5), less=1), "order")


@pytest.mark.prove
@pytest.mark.parametrize(("promise", "old", "new"), [
    ("order", "held.eq(rest | (self.i.payload.data << n", "held.eq(held | (self.i.payload.data << n"),
    ("order", "rest_level + Mux(self.i.payload.size, self._sizes[1]", "rest_level + Mux(self.i.payload.size, self._sizes[0]"),
    ("still", "self.o.valid.eq(ending | (level >= self._bus))",
     "self.o.valid.eq(ending | (level >= self._bus) & ~self.i.valid)"),
    ("offered", "(level >= self._bus)", "(level > self._bus)"),
    ("last", "final = ending & (level <= self._bus)", "final = ending & (level < self._bus)"),
    ("padding", "held.eq(self.i.payload.data)", "held.eq(~self.i.payload.data)"),
    ("room", "~ending & (level <= self._capacity - self._largest)", "level <= self._capacity - self._largest"),
    ("flow", "~ending & (level <=", "~ending & (level + self._largest <"),
])
def test_gearbox_out_fault(promise, old, new):
    refute(joining(mutated(gearbox_out, old, new), 5, (2, 3)), promise)


@pytest.mark.prove
@pytest.mark.parametrize("size", [0, 1])
def test_gearbox_out_too_small(size):
    refute(joining(mutated(gearbox_out, "+ min(self._largest, self._bus) - 1", ""), 5, (2, 3), steady=size), "rate")


def cutting(module, bus, sizes, *, less=0, steady=None):
    """Pieces of a segment, of the size that is asked for; beats of the segment and no others."""
    short = with_names(module, beat_bits=lambda bus_width: COUNT_BITS)
    component = short.GearboxIn(bus_width=bus, sizes=sizes)
    c, i, o, segment, largest = Contract(component), component.i, component.o, component.segment, max(sizes)
    capacity, size = most(bus, sizes), Array(sizes)[component.size]
    opened, closing, left = Signal(), Signal(), Signal(COUNT_BITS)
    put, take, dropped = Signal(range(bus + 1)), Signal(range(largest + 1)), Signal()
    begins = moved(segment)
    c.assume((component.size < len(sizes)) & ~(component.append & component.close))
    held = c.units(put, i.payload, take, o.payload, capacity - less, "order", dropped=dropped)
    offers = opened & ~closing
    ends = offers & component.close
    c.m.d.comb += [
        put.eq(Mux(moved(i) & ~closing, bus, 0)), take.eq(Mux(moved(o), size, 0)), dropped.eq(ends | begins & ~opened),
    ]
    c.m.d.sync += left.eq(left - moved(i))
    with c.m.If((closing | ends) & (left == 0)):
        c.m.d.sync += [opened.eq(0), closing.eq(0)]
    with c.m.Elif(ends):
        c.m.d.sync += closing.eq(1)
    with c.m.If(begins):
        c.m.d.sync += [opened.eq(1), left.eq(segment.payload)]
    c.promise("offered", o.valid == (offers & (held >= size)))
    c.promise("short", component.short == (offers & (held < size) & (left == 0)))
    c.promise("idle", component.idle == ~opened)
    c.promise("count", ~i.ready | (opened & (left != 0)))
    c.promise("room", (left == 0) | (i.ready == (closing | (held <= capacity - bus))))
    c.promise("flow", (left == 0) | i.ready | o.valid)
    c.promise("begin", segment.ready == (~opened | component.append & ~closing & (left == moved(i))))

    # Beats that always come into pieces of one size that are always taken.
    if steady is not None:
        begun = Signal()
        c.m.d.sync += begun.eq(begun & ~begins | moved(i))
        c.assume(i.valid & o.ready & (component.size == steady) & ~component.close)
        c.promise("rate", (left == 0) | (i.ready if sizes[steady] >= bus else ~begun | o.valid))
    return c


@pytest.mark.parametrize(("bus", "sizes"), BUSES)
def test_gearbox_in(bus, sizes):
    prove(cutting(gearbox_in, bus, sizes))


@pytest.mark.prove
def test_gearbox_in_of_many_sizes():
    prove(cutting(gearbox_in, 4, (2, 3, 1, 6)))


@pytest.mark.prove
@pytest.mark.parametrize(("bus", "sizes"), BUSES)
@pytest.mark.parametrize("size", [0, 1])
def test_gearbox_in_without_a_bubble(bus, sizes, size):
    prove(cutting(gearbox_in, bus, sizes, steady=size), "rate")


def test_gearbox_in_is_filled():
    refute(cutting(gearbox_in, 2, (2, 5), less=1), "order")


@pytest.mark.prove
@pytest.mark.parametrize(("promise", "old", "new"), [
    ("order", "[held.eq(joined >> size * self._unit)", "[held.eq(held >> size * self._unit)"),
    ("order", "m.d.comb += joined.eq(held | (self.i.payload << n", "m.d.comb += joined.eq((held >> 1) | (self.i.payload << n"),
    ("order", "m.d.sync += [held.eq(0), level.eq(0)]", "m.d.sync += level.eq(0)"),
    ("offered", "enough = level >= wanted", "enough = level > wanted"),
    ("offered", "opened & ~closing & enough)", "opened & enough)"),
    ("offered", "m.d.sync += [held.eq(0), level.eq(0)]", "m.d.sync += held.eq(0)"),
    ("short", "~enough & (left == 0)", "~enough & (left <= 1)"),
    ("idle", "m.d.sync += [opened.eq(0), closing.eq(0)]", "m.d.sync += closing.eq(0)"),
    ("count", "opened & (left != 0) & (closing", "opened & (closing"),
    ("room", "(closing | (level <=", "((level <="),
    ("room", "(level <= self._capacity - self._bus)))", "(level < self._capacity - self._bus)))"),
    ("flow", "(level <= self._capacity - self._bus)))", "(level < self._bus)))"),
    ("begin", "((left == 1) & self.i.valid & self.i.ready)", "(left == 1)"),
    ("begin", "self.append & ~closing & all_taken", "self.append & all_taken"),
])
def test_gearbox_in_fault(promise, old, new):
    refute(cutting(mutated(gearbox_in, old, new), 2, (2, 5)), promise)


@pytest.mark.prove
@pytest.mark.parametrize(("bus", "sizes"), [(2, (4, 5)), (5, (2, 3))])
def test_gearbox_in_too_small(bus, sizes):
    refute(cutting(mutated(gearbox_in, "+ min(largest, self._bus) - 1", ""), bus, sizes, steady=1), "rate")
