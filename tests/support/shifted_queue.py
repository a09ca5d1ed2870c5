"""A queue for proofs: to the outside a StreamQueue, inside the oldest entry always stands in the same place."""

from amaranth.hdl import Array, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["ShiftedQueue"]


class ShiftedQueue(wiring.Component):
    """First-in first-out queue whose entries move up as one leaves; parameters and members are those of StreamQueue.

    `entries` are its registers, the oldest one first, of which `level` hold something.

    A prover needs not look at every position of two pointers. That both behave alike is proved in
    tests/formal/test_prove_streams.py.
    """

    def __init__(self, *, shape, depth):
        self._depth = depth
        self.entries = [Signal(shape, name=f"entry_{n}", reset_less=True) for n in range(depth)]
        super().__init__({
            "i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape)), "level": Out(range(depth + 1)),
        })

    def elaborate(self, platform):
        m = Module()
        entries = self.entries
        push, pop, last = self.i.valid & self.i.ready, self.o.valid & self.o.ready, Signal.like(self.level)
        m.d.comb += [
            self.i.ready.eq(self.level != self._depth), self.o.valid.eq(self.level != 0),
            self.o.payload.eq(entries[0]), last.eq(self.level - pop),
        ]
        m.d.sync += self.level.eq(last + push)
        with m.If(pop):
            m.d.sync += [one.eq(following) for one, following in zip(entries, entries[1:], strict=False)]
        with m.If(push):
            m.d.sync += Array(entries)[last].eq(self.i.payload)
        return m
