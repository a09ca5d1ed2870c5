"""Issue queue and dispatcher: every instruction to its engine, in order, once its tokens are there; done and given once."""

import pytest
from amaranth.hdl import Array, Cat, Mux, Signal
from amaranth.lib import data

from acceltran.hw.control import dispatcher, issue_queue, layouts, semaphores
from acceltran.hw.instruction_layout import header_layout
from acceltran.hw.spec.isa import Engine
from support.contracts import Contract, prove, refute
from support.mutation import mutated, with_names

HEADER = header_layout()
BITS = HEADER.size + 2
"""Of an instruction: its header and two bits, a mark and one that has to stay with it."""

ENGINES = range(3)


def moved(stream):
    return stream.valid & stream.ready


def header(instruction):
    return data.View(HEADER, instruction[:HEADER.size])


def waits(instruction):
    fields = header(instruction)
    return fields.wait_memory, fields.wait_matrix, fields.wait_vector


def short(module):
    """With instructions that are little more than their header."""
    return with_names(module, INSTRUCTION_BITS=BITS, engine_bits=lambda engine: BITS)


def issue(module, depth=2, in_flight=2):
    """An engine's queue, whose numbers carry the mark in their lowest bit.

    Tokens become fewer by its own taking only; the engine is done with, or fails at, what it was given and has not finished.
    """
    component = short(module).IssueQueue(engine=Engine.MATRIX, depth=depth, in_flight=in_flight)
    c, i, o, took = Contract(component), component.i, component.o, component.take
    most = depth + in_flight
    for x in ENGINES:
        left = Signal(13, name=f"left_{x}")
        c.m.d.sync += left.eq(component.tokens[x] - Mux(took, component.wanted[x], 0))
        c.assume(component.tokens[x] >= left)
        c.promise("tokens", ~took | (component.tokens[x] >= component.wanted[x]))

    # What the engine holds, and when it has failed.
    given, failed = Signal(range(most + 2)), Signal()
    fails, done = Signal(), Signal()
    c.m.d.comb += [fails.eq(component.error.valid & ~failed), done.eq(component.done & ~failed & ~fails)]
    c.m.d.sync += [given.eq(given + moved(o) - done), failed.eq(failed | fails)]
    c.assume(given + moved(o) >= done + fails)

    # Through the queue to the engine, a mark in the instruction.
    engine = i.p.instruction[HEADER.size]
    c.order(moved(i) & ~i.p.sync, engine, moved(o), o.payload[HEADER.size], depth + 1, "issue",
            carried=i.p.instruction[HEADER.size + 1], brought=o.payload[HEADER.size + 1])
    c.still(o, "still")
    c.promise("stop", ~(component.stop & took))

    # Through the queue to completion, a mark in the number.
    told = component.timeline
    label = Cat(i.p.number[1], header(i.p.instruction).signal)
    gave = c.before(component.give, "gave")
    held = c.order(moved(i), i.p.number[0], told.done, told.done_number[0], most + 1, "complete",
                   carried=label, brought=Cat(told.done_number[1], gave))
    c.promise("empty", component.empty == (held == told.done))
    c.promise("give", component.retired | (component.give == 0))
    c.promise("retired", told.done == c.before(component.retired, "was_retired"))

    # The marked one, of those for the engine, is complete with its own `done`, and it is that which a failure names.
    ahead, marked, sync, finished = Signal(range(most + 2)), Signal(), Signal(), Signal()
    begun, queued = moved(i) & i.p.number[0], Signal(range(most + 3))
    c.m.d.sync += queued.eq(queued + (moved(i) & ~i.p.sync) - done)
    with c.m.If(begun):
        c.m.d.sync += [marked.eq(1), sync.eq(i.p.sync), ahead.eq(queued - done)]
    with c.m.Elif(done & marked & ~finished):
        c.m.d.sync += [ahead.eq(ahead - 1), finished.eq((ahead == 0) & ~sync)]
    retired = told.done & told.done_number[0]
    c.promise("own", ~retired | sync | finished)
    report = component.report
    its = marked & ~sync & ~finished & (ahead == 0)
    c.promise("report", ~report.valid | (failed & (~its | report.number[0])))
    reported = Signal()
    c.m.d.sync += reported.eq(reported | report.valid)
    c.promise("report_once", ~report.valid | ~reported)
    c.at_most(failed & ~reported & ~report.valid, in_flight + 1, "report_soon")

    # It goes on: what has its tokens and room is taken three cycles later at most, what is done completes.
    queue, flight = Signal(range(depth + 2)), Signal(range(in_flight + 2))
    c.m.d.sync += [queue.eq(queue + moved(i) - took), flight.eq(flight + took - component.retired)]
    c.promise("in_flight", flight <= in_flight)
    ready = Cat(tokens >= wait for tokens, wait in zip(component.tokens, component.wanted, strict=True)).all()
    c.at_most((queue != 0) & ready & (flight != in_flight) & ~o.valid & ~component.stop & ~took, 2, "taken_soon")
    front, left = Signal(range(most + 2)), Signal()
    with c.m.If(begun):
        c.m.d.sync += front.eq(queue + flight - component.retired)
    with c.m.Elif(component.retired & marked):
        c.m.d.sync += [front.eq(front - (front != 0)), left.eq(left | (front == 0))]
    first = marked & (front == 0) & ~left
    c.at_most(first & (finished | sync & (queue == 0)) & ~component.retired, 0, "complete_soon")
    # In the cycle in which it enters an empty queue, its number is not yet there.
    c.at_most(first & ~(component.oldest.valid & component.oldest.number[0]), 1, "oldest")
    return c


def test_issue_queue_for_one():
    prove(issue(issue_queue, 1, 1))


@pytest.mark.prove
def test_issue_queue():
    prove(issue(issue_queue))


@pytest.mark.parametrize(("promise", "old", "new"), [
    ("tokens", "queue.r_rdy & satisfied & ~self.take", "queue.r_rdy & satisfied"),
    ("issue", "kept.eq(head.instruction)", "kept.eq(self.i.payload.instruction)"),
    ("still", "with m.If(accepted):", "with m.If(self.o.valid):"),
    ("stop", "& flight.w_rdy & ~self.stop", "& flight.w_rdy"),
    ("complete", "flight.r_en.eq(self.retired)", "flight.r_en.eq(done)"),
    ("complete", "Cat(head.number, header.signal, head.sync)", "Cat(head.number, header.signal & 3, head.sync)"),
    ("empty", "(queue.level == 0) & (flight.level == 0)", "queue.level == 0"),
    ("give", "Mux(self.retired, oldest.signal, 0)", "oldest.signal"),
    ("retired", "self.timeline.done.eq(self.retired)", "self.timeline.done.eq(done)"),
    ("own", "pulses + done - used", "pulses + done"),
    ("report", "oldest.number, self.retired_number)", "self.retired_number, self.retired_number)"),
    ("complete_soon", "(oldest.sync | done | (pulses != 0))", "(done | (pulses != 0))"),
    ("report_once", "faulted & ~reported &", "faulted &"),
    ("report_soon", "& (pulses == 0) &", "& (pulses != 0) &"),
    ("in_flight", "& flight.w_rdy & ~self.stop", "& ~self.stop"),
    ("taken_soon", "& flight.w_rdy & ~self.stop", "& (flight.level == 0) & ~self.stop"),
    ("oldest", "Mux(flight.r_rdy, oldest.number, head.number)", "head.number"),
])
def test_issue_queue_fault(promise, old, new):
    refute(issue(mutated(issue_queue, old, new)), promise)


@pytest.mark.prove
@pytest.mark.parametrize(("promise", "old", "new"), [
    ("report", "(pulses == 0) & ~(flight.r_rdy & oldest.sync)", "~(flight.r_rdy & oldest.sync)"),
    ("report", "(pulses == 0) & ~(flight.r_rdy & oldest.sync)", "(pulses == 0)"),
    ("complete_soon", "(oldest.sync | done | (pulses != 0))", "(oldest.sync | done)"),
])
def test_issue_queue_fault_behind_a_sync(promise, old, new):
    refute(issue(mutated(issue_queue, old, new), 1, 4), promise)


def dispatch(module, *, queue=issue_queue, depth=1, in_flight=1):
    """Whatever the pair of engines: what waits for a token of `x` in `y` begins after the one that gives it is complete, and
    only one of those that wait does.

    The only instruction of engine `x` that gives a token to engine `y` has bit 0 of its number set, those of `y` that wait for
    it bit 1. Semaphores count to seven.
    """
    parts = {name: getattr(with_names(part, SEMAPHORE_BITS=3), name) for name, part in (
        ("Semaphores", semaphores), ("IssueQueue", short(queue)))}
    item = data.StructLayout({name: field.shape for name, field in layouts.dispatched()} | {"instruction": BITS})
    component = with_names(module, **parts, INSTRUCTION_BITS=BITS, dispatched=lambda: item).Dispatcher(
        depth=depth, in_flight=in_flight)
    c, i = Contract(component), component.i
    item, fields = i.p, header(i.p.instruction)
    x, y = c.fixed(2, "x"), c.fixed(2, "y")
    gives, takes = item.number[0], item.number[1]
    wait, signal = Array(waits(item.instruction)), Array(fields.signal)
    sent, complete, begun = Signal(), Signal(), Signal()
    c.m.d.sync += sent.eq(sent | moved(i) & gives)
    c.assume((x < 3) & (y < 3) & (item.engine < 3))
    c.assume(~gives | ((item.engine == x) & ~(sent & i.valid)))
    c.assume(~takes | ((item.engine == y) & (wait[x] != 0)))
    c.assume(gives | (item.engine != x) | ~signal[y])

    # Engines finish what they were given.
    offers, told = [getattr(component, f"{name}_instruction") for name in layouts.ENGINES], Array(
        component.timeline[name] for name in layouts.ENGINES)
    for e, (name, o) in enumerate(zip(layouts.ENGINES, offers, strict=True)):
        done, given = getattr(component, f"{name}_done"), Signal(range(in_flight + 2), name=f"given_{name}")
        inside = Signal(range(depth + in_flight + 2), name=f"inside_{name}")
        comes = moved(i) & (item.engine == e)
        c.m.d.sync += [given.eq(given + moved(o) - done), inside.eq(inside + comes - component.retired[e])]
        c.assume((given + moved(o) >= done) & ~getattr(component, f"{name}_error").valid)
        c.still(o, "still")
        c.order(comes & ~item.sync, item.instruction[HEADER.size], moved(o), o.payload[HEADER.size], depth + 1, f"route_{name}")
        c.promise("empty", ~component.empty | (inside == 0))
    begins = told[y].start & told[y].start_number[1]
    c.m.d.sync += [complete.eq(complete | told[x].done & told[x].done_number[0]), begun.eq(begun | begins)]
    c.promise("waits", ~begins | complete)
    c.promise("once", ~begins | ~begun)
    return c


@pytest.mark.prove
def test_dispatcher():
    prove(dispatch(dispatcher))


@pytest.mark.parametrize(("promise", "old", "new"), [
    ("waits", "semaphores.tokens[e][x]", "semaphores.tokens[x][e]"),
    ("waits", "semaphores.give[e].eq(queue.give)", "semaphores.give[2 - e].eq(queue.give)"),
    ("once", "semaphores.wanted[e][x].eq(queue.wanted[x])", "semaphores.wanted[e][x].eq(queue.wanted[2 - x])"),
    ("once", "semaphores.take[e].eq(queue.take)", "semaphores.take[e].eq(0)"),
    ("route_vector", "self.i.valid & chosen", "self.i.valid & (chosen | (e == 2))"),
    ("empty", "Cat(q.empty for q in queues).all()", "Cat(q.empty for q in queues).any()"),
])
def test_dispatcher_fault(promise, old, new):
    refute(dispatch(mutated(dispatcher, old, new)), promise)


@pytest.mark.parametrize(("promise", "old", "new"), [
    ("route_matrix", "kept.eq(head.instruction)", "kept.eq(self.i.payload.instruction)"),
    ("still", "with m.If(accepted):", "with m.If(self.o.valid):"),
])
def test_dispatcher_fault_of_a_queue(promise, old, new):
    refute(dispatch(dispatcher, queue=mutated(issue_queue, old, new)), promise)
