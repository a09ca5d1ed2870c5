"""Contracts: what a component promises in every cycle, each promise under a name, and what its surroundings keep to."""

from amaranth.hdl import Assert, Assume, Cat, ClockDomain, Module, Mux, Signal, Value

from .proof import Verdict, decide, inputs, search

__all__ = ["Contract", "opened", "prove", "refute", "survive"]


class Contract:
    """A component whose inputs are free, with promises and assumptions about its ports.

    Parameters
    ----------
    component : wiring.Component

    Attributes
    ----------
    m : Module that holds it, for further logic
    followed : by name of an `order`, whether the marked item is inside, and how many were put in before it and are too
    """

    def __init__(self, component):
        self.m, self._ports, self._promises, self._assumed = Module(), inputs(component), {}, []
        self.followed = {}
        self.m.submodules.component = component

    def promise(self, name, condition):
        """What the component must see to in every cycle; several conditions may have one name."""
        self._promises.setdefault(name, []).append(condition)

    def assume(self, condition):
        """What the surroundings see to in every cycle."""
        self._assumed.append(condition)

    def free(self, shape, name):
        """A signal with any value in any cycle."""
        signal = Signal(shape, name=name)
        self._ports.append(signal)
        return signal

    def fixed(self, shape, name):
        """A signal with any value, the same in every cycle."""
        signal, started, was = self.free(shape, name), Signal(name=f"{name}_started", reset_less=True), Signal(
            shape, name=f"{name}_is", reset_less=True)
        self.m.d.sync += [started.eq(1), was.eq(signal)]
        self.assume(~started | (signal == was))
        return signal

    def before(self, value, name, *, shape=None):
        """The value in the cycle before, of the shape of `value` or another of its width."""
        was = Signal(len(Value.cast(value)) if shape is None else shape, name=name)
        self.m.d.sync += was.eq(value)
        return was

    def still(self, stream, name, *, assumed=False):
        """What `stream` offers and nobody takes is offered in the next cycle, unchanged."""
        self.held(stream.valid & ~stream.ready, stream.valid, [stream.payload], name, assumed=assumed)

    def held(self, waits, valid, values, name, *, assumed=False):
        """After a cycle in which something `waits`, it is still `valid` and `values` are what they were."""
        waited = self.before(waits, f"{name}_waited")
        for n, value in enumerate([valid, *values]):
            condition = ~waited | (value if n == 0 else Value.cast(value) == self.before(value, f"{name}_was_{n}"))
            self.assume(condition) if assumed else self.promise(name, condition)

    def at_most(self, condition, limit, name, *, assumed=False):
        """`condition` holds for `limit` cycles on end at most."""
        cycles = Signal(range(limit + 2), name=f"{name}_cycles")
        with self.m.If(condition & (cycles <= limit)):
            self.m.d.sync += cycles.eq(cycles + 1)
        with self.m.Else():
            self.m.d.sync += cycles.eq(0)
        kept = ~condition | (cycles < limit)
        self.assume(kept) if assumed else self.promise(name, kept)

    def order(self, put, marked, take, seen, capacity, name, *, carried=0, brought=0):
        """What is put in is taken out once, in its order: one item, whichever the surroundings choose to mark, is followed.

        Since every item may be the marked one, none is lost, doubled or overtaken if what is held comes out at all.

        Parameters
        ----------
        put, take : an item goes in, comes out, in this cycle
        marked, seen : whether it carries the mark
        capacity : most items held at the end of a cycle
        name : of the promise
        carried, brought : what goes in and comes out with it

        Returns
        -------
        Signal, how many are held at the begin of the cycle
        """
        held, ahead = (Signal(range(capacity + 2), name=f"{name}_{what}") for what in ("held", "ahead"))
        front = Signal.like(ahead, name=f"{name}_front")
        sent, received, now, due = (Signal(name=f"{name}_{what}") for what in ("sent", "received", "now", "due"))
        m = self.m
        m.d.comb += [now.eq(sent | put & marked), front.eq(held), due.eq(now & ~received & (front == 0))]
        with m.If(sent):
            m.d.comb += front.eq(ahead)
        m.d.sync += [held.eq(held + put - take), sent.eq(now), ahead.eq(front - (take & (front != 0)))]
        with m.If(take & due):
            m.d.sync += received.eq(1)
        self.followed[name] = sent & ~received, ahead
        self.assume(~(put & marked & sent))
        self.promise(name, ~received | sent)
        self.promise(name, (held + put <= capacity + take) & (~take | (held != 0) | put) & (~take | (seen == due)))
        word, carried = Signal(len(Value.cast(carried)), name=f"{name}_word"), Value.cast(carried)
        with m.If(put & marked):
            m.d.sync += word.eq(carried)
        fresh = put & marked & ~sent
        self.promise(name, ~(take & due) | (Value.cast(brought) == Mux(fresh, carried, word)))
        return held

    def units(self, put, word, take, brought, capacity, name, *, dropped=0):
        """What is put in, several units at a time, is taken out in its order, however it is cut: one unit is followed.

        Parameters
        ----------
        put, take : how many units go in, come out, in this cycle; what goes in comes out in a later cycle
        word, brought : what they go in, come out with, a bit for each unit, the first one lowest
        capacity : most units held at the end of a cycle
        name : of the promise
        dropped : all units are forgotten with this cycle

        Returns
        -------
        Signal, how many are held at the begin of the cycle
        """
        held, ahead = (Signal(range(capacity + len(word) + 1), name=f"{name}_{what}") for what in ("held", "ahead"))
        chosen, place = self.free(1, f"{name}_chosen"), self.free(range(len(word)), f"{name}_place")
        begun, followed, value = (Signal(name=f"{name}_{what}") for what in ("begun", "followed", "value"))
        m = self.m
        m.d.sync += held.eq(Mux(dropped, 0, held + put - take))
        leaves = followed & (take > ahead)
        with m.If(leaves | dropped):
            m.d.sync += followed.eq(0)
        with m.Elif(followed):
            m.d.sync += ahead.eq(ahead - take)
        with m.Elif(chosen & ~begun & (place < put)):
            m.d.sync += [begun.eq(1), followed.eq(1), value.eq(word.bit_select(place, 1)), ahead.eq(held + place - take)]
        self.promise(name, (take <= held) & (held + put - take <= capacity))
        self.promise(name, ~leaves | (brought.bit_select(ahead, 1) == value))
        return held

    def never_reset(self):
        """Leave the reset out, which makes a search several times faster."""
        self.m.domains.sync = domain = ClockDomain("sync", reset_less=True)
        self._ports.append(domain.clk)

    def module(self, *names, together=False):
        """The module with the promises of these names, or with all, and the free inputs; once.

        Promises `together` are one for the prover: each may rest on what the others said in the cycle before.
        """
        for condition in self._assumed:
            self.m.d.comb += Assume(condition)
        conditions = [condition for name in names or self._promises for condition in self._promises[name]]
        if together:
            conditions = [Cat(Value.cast(condition).any() for condition in conditions).all()]
        self.m.d.comb += [Assert(condition) for condition in conditions]
        return self.m, self._ports


def opened(kind):
    """A class of components that are elaborated when they are made: the submodules of one are found at `inside.submodules`.

    So what is promised of the state of a part can be proved along with a promise that does not follow from itself alone.
    """
    class Opened(kind):
        def __init__(self, **parameters):
            super().__init__(**parameters)
            self.inside = super().elaborate(None)

        def elaborate(self, platform):
            return self.inside

    return Opened


def prove(contract, *names, together=False, seconds=120):
    """Assert that a component keeps its promises, all or those of these names, for ever; `together`, if they are inductive."""
    answer = decide(*contract.module(*names, together=together), inductive=together, seconds=seconds)
    assert answer.verdict == Verdict.PROVED, (answer.verdict, answer.cycles, answer.said)


def survive(contract, *names, cycles, seconds=120):
    """Assert that a component keeps promises for so many cycles from the first on, where for ever cannot be decided."""
    contract.never_reset()
    answer = search(*contract.module(*names), cycles=cycles, seconds=seconds)
    assert answer.verdict == Verdict.UNDECIDED and answer.cycles >= cycles, (answer.verdict, answer.cycles, answer.said)


def refute(contract, name, *, cycles=60, seconds=60):
    """Assert that the component, a faulty one, breaks the promise `name` within so many cycles, without a reset."""
    contract.never_reset()
    answer = search(*contract.module(name), cycles=cycles, seconds=seconds)
    assert answer.verdict == Verdict.REFUTED, (answer.verdict, answer.cycles, answer.said)
