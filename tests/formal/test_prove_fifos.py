"""The FIFOs of Amaranth as the blocks use them, and what is promised on them: credits of the fetch."""

import pytest
from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from acceltran.hw.control import instruction_fetch
from support.contracts import Contract, prove, refute
from support.mutation import mutated

LATENCY = {"SyncFIFO": 0, "SyncFIFOBuffered": 1}
"""Cycles until what is held is offered."""


def moved(stream):
    return stream.valid & stream.ready


class Fifo(wiring.Component):
    """One of Amaranth's FIFOs between streams."""

    def __init__(self, kind, depth):
        self.fifo = kind(width=2, depth=depth)
        super().__init__({"i": In(stream.Signature(2)), "o": Out(stream.Signature(2))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.fifo = self.fifo
        wiring.connect(m, wiring.flipped(self.i), self.fifo.w_stream)
        wiring.connect(m, self.fifo.r_stream, wiring.flipped(self.o))
        return m


def queue(module, kind, depth):
    component = Fifo(getattr(module, kind), depth)
    c, i, o = Contract(component), component.i, component.o
    held = c.order(moved(i), i.payload[0], moved(o), o.payload[0], depth, "order", carried=i.payload[1], brought=o.payload[1])
    c.still(o, "still")
    c.promise("level", component.fifo.level == held)
    c.promise("room", ~i.ready | (held < depth))
    c.at_most((held != 0) & ~o.valid, LATENCY[kind], "offered")
    c.at_most((held < depth) & ~i.ready, LATENCY[kind], "accepted")
    return c


@pytest.mark.parametrize("kind", LATENCY)
@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_fifo(kind, depth):
    prove(queue(fifo, kind, depth))


@pytest.mark.parametrize(("promise", "kind", "old", "new"), [
    ("order", "SyncFIFOBuffered", "m.d.sync += self.r_rdy.eq(0)", "m.d.sync += self.r_rdy.eq(do_write)"),
    ("still", "SyncFIFOBuffered", "inner_r_rdy & (~self.r_rdy | self.r_en)", "inner_r_rdy"),
    ("offered", "SyncFIFOBuffered", "inner_r_rdy & (~self.r_rdy | self.r_en)", "inner_r_rdy & self.r_en"),
    ("level", "SyncFIFOBuffered", "self.level.eq(inner_level + self.r_rdy)", "self.level.eq(inner_level)"),
    ("room", "SyncFIFO", "self.w_rdy.eq(self.level != self.depth)", "self.w_rdy.eq(1)"),
    ("accepted", "SyncFIFO", "self.w_rdy.eq(self.level != self.depth)", "self.w_rdy.eq(self.level == 0)"),
])
def test_fifo_fault(promise, kind, old, new):
    refute(queue(mutated(fifo, old, new), kind, 3), promise)


def fetch(module, outstanding, *, less=0):
    """As many requests as there is room for answers (less: one less); addresses and numbers in order; the end is told."""
    component = module.InstructionFetch(outstanding=outstanding)
    c, request, answer, o = Contract(component), component.request, component.fetch, component.o
    asked, out = Signal(range(outstanding + 2)), Signal(range(outstanding + 2))
    started, left, begun, following = Signal(), Signal(3), Signal(3), Signal(3)
    c.m.d.sync += [asked.eq(asked + moved(request) - moved(answer)), out.eq(out + moved(request) - moved(o))]
    c.assume(~answer.valid | (asked != 0))
    c.assume(~component.start | ((component.length < 6) & component.idle & (left == 0)))
    c.assume(component.start | started | ~answer.valid)
    with c.m.If(component.start):
        c.m.d.sync += [started.eq(1), left.eq(component.length), begun.eq(component.address[6:]), following.eq(0)]
    with c.m.Else():
        c.m.d.sync += [left.eq(left - moved(request)), begun.eq(begun + moved(request)), following.eq(following + moved(o))]
    c.still(request, "still")
    c.promise("credits", (out + request.valid <= outstanding - less) & (answer.ready | (asked == 0)))
    c.promise("length", ~request.valid | (left != 0))
    c.promise("address", ~request.valid | ((request.payload[6:9] == begun) & (request.payload[:6] == 0)))
    c.promise("number", ~o.valid | (o.p.number == following))
    c.promise("stop", ~request.valid | ~c.before(component.stop & ~request.valid, "stopped"))
    c.promise("end", component.exhausted == (started & (left == 0) & (out == 0)))
    c.order(moved(answer), answer.p.instruction[0], moved(o), o.p.instruction[0], outstanding, "order",
            carried=Cat(answer.p.error, answer.p.refused), brought=Cat(o.p.error, o.p.refused))
    c.at_most((left != 0) & (out < outstanding) & ~request.valid & ~component.stop, 2, "on")
    return c


@pytest.mark.parametrize("outstanding", [3, 4])
def test_instruction_fetch(outstanding):
    prove(fetch(instruction_fetch, outstanding))


def test_instruction_fetch_uses_all_credits():
    refute(fetch(instruction_fetch, 3, less=1), "credits")


@pytest.mark.parametrize(("promise", "old", "new"), [
    ("still", "with m.If(self.request.valid & self.request.ready)", "with m.If(self.request.valid)"),
    ("credits", "(credits != 0) & ", ""),
    ("length", "(remaining != 0) & ", ""),
    ("address", "block.eq(block + 1)", "block.eq(block)"),
    ("number", "m.d.sync += number.eq(number + 1)", "m.d.sync += number.eq(number)"),
    ("stop", "~self.request.valid & ~self.stop", "~self.request.valid"),
    ("end", "(remaining == 0) & self.idle", "(remaining == 0)"),
    ("order", "fetched.error, fetched.refused", "fetched.refused, fetched.error"),
    ("on", "credits - raised + handed", "credits - raised"),
])
def test_instruction_fetch_fault(promise, old, new):
    refute(fetch(mutated(instruction_fetch, old, new), 3), promise)
