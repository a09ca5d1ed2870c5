"""When an instruction is done of which several ports bring their shares, and whose failure stopped it."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..streams.stream_queue import StreamQueue

__all__ = ["ShareOrder"]


class ShareOrder(wiring.Component):
    """Keeps instructions in order while ports finish their shares of them at different times.

    A port finishes its shares in order, but may be ahead of others by as many instructions as are under way, which is
    `depth` at most. An instruction is done in the cycle after the last port has finished its share, one a cycle. A port's
    failure counts once every instruction before the one that it hit is done.

    Parameters
    ----------
    ports : number of them
    depth : instructions under way

    Members
    -------
    i : In(stream(ports)), an instruction begins; the payload: the ports that have a share of it
    finished : In(ports), a cycle for each share
    failed : In(ports), the port cannot finish its next share, until reset
    done : Out(1), the oldest instruction is done
    failing : Out(ports), ports that keep the oldest instruction from being done for ever
    empty : Out(1), nothing is under way
    """

    def __init__(self, *, ports, depth):
        self._ports, self._depth = ports, depth
        super().__init__({
            "i": In(stream.Signature(self._ports)),
            "finished": In(ports),
            "failed": In(ports),
            "done": Out(1),
            "failing": Out(ports),
            "empty": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.begun = begun = StreamQueue(shape=self._ports, depth=self._depth)
        wiring.connect(m, wiring.flipped(self.i), begun.i)
        ahead, concerned = [], []
        for port in range(self._ports):
            shares = Signal(range(self._depth + 1), name=f"ahead_{port}")
            takes_part = begun.o.valid & begun.o.payload[port]
            m.d.sync += shares.eq(shares + self.finished[port] - (self.done & takes_part))
            ahead.append(shares != 0)
            concerned.append(takes_part)
        # Port 0 fails also with instructions that only it knows of, while nothing else is under way.
        m.d.comb += [
            self.done.eq(begun.o.valid & Cat(has | ~takes for has, takes in zip(ahead, concerned, strict=True)).all()),
            begun.o.ready.eq(self.done),
            self.empty.eq(~begun.o.valid),
            self.failing.eq(Cat(self.failed[0] & ~ahead[0] & (concerned[0] | ~begun.o.valid), *(
                self.failed[port] & concerned[port] & ~ahead[port] for port in range(1, self._ports)))),
        ]
        return m
