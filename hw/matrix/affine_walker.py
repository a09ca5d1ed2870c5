"""Walks the tile loops of a product and forms one operand's address by additions only."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["AffineWalker", "loop_level"]


def loop_level(position_bits, stride_bits):
    """One loop: it counts 0, step, 2*step, ... below `limit`; each count moves the address by `stride`."""
    return data.StructLayout({"limit": position_bits, "step": position_bits, "stride": stride_bits})


class AffineWalker(wiring.Component):
    """Nested counters, outermost first, with ``address = base + sum(count * stride)``.

    `start` loads the loops; from the next cycle the outputs describe the current iteration until `advance` moves to the
    next. `done` is high with the last iteration. Every limit must be at least one.

    Parameters
    ----------
    levels : number of loops
    position_bits, stride_bits, address_bits : widths

    Members
    -------
    start, advance : In(1)
    base : In(address_bits)
    loops : In(loop_level).array(levels), outermost first; held while walking
    position : Out(position_bits).array(levels)
    first, last : Out(levels), per loop: at its first, at its last count
    address : Out(address_bits)
    done : Out(1)
    """

    def __init__(self, *, levels, position_bits, stride_bits, address_bits):
        self._levels, self._address_bits = levels, address_bits
        super().__init__({
            "start": In(1), "advance": In(1),
            "base": In(address_bits),
            "loops": In(loop_level(position_bits, stride_bits)).array(levels),
            "position": Out(position_bits).array(levels),
            "first": Out(levels), "last": Out(levels),
            "address": Out(address_bits), "done": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        # origin[n] is the address at the current counts of loops 0..n and the first count of those inside.
        origin = [Signal(self._address_bits, name=f"origin_{n}", reset_less=True) for n in range(self._levels)]
        following = []
        for n, loop in enumerate(self.loops):
            beyond = Signal(len(self.position[n]) + 1, name=f"beyond_{n}")
            target = Signal(self._address_bits, name=f"target_{n}")
            m.d.comb += [
                beyond.eq(self.position[n] + loop.step),
                self.first[n].eq(self.position[n] == 0),
                self.last[n].eq(beyond >= loop.limit),
                target.eq(origin[n] + loop.stride),
            ]
            following.append((beyond, target))
        m.d.comb += [self.address.eq(origin[-1]), self.done.eq(self.last.all())]

        with m.If(self.start):
            m.d.sync += [o.eq(self.base) for o in origin] + [p.eq(0) for p in self.position]
        with m.Elif(self.advance):
            for n in range(self._levels):
                inner_done = self.last[n + 1:].all() if n + 1 < self._levels else 1
                with m.If(inner_done & ~self.last[n]):
                    beyond, target = following[n]
                    m.d.sync += [self.position[n].eq(beyond), *(o.eq(target) for o in origin[n:])]
                    m.d.sync += [p.eq(0) for p in self.position[n + 1:]]
        return m
