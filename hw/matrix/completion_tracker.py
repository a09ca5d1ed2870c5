"""Knows when every output tile of a product is in the buffer."""

from amaranth.hdl import Array, Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..arithmetic import tree_sum
from ..spec.widths import TAG_BITS
from .product import COUNT_BITS

__all__ = ["CompletionTracker"]


class CompletionTracker(wiring.Component):
    """Counts output tiles per product in flight and reports products in order.

    Parameters
    ----------
    grid : PEs, output tiles that may be issued at once
    ports : write ports of the grid, output tiles that may be written at once

    Members
    -------
    open : In(1), a product begins and takes `tag`, while `free` is high
    free : Out(1)
    tag : Out(TAG_BITS), number of the product that is being, or will be, issued
    issued : In(range(grid + 1)), output tiles issued for it in this cycle
    close : In(1), all its tiles are issued, this cycle's included
    written, written_tag : In(1), In(TAG_BITS) per port: an output tile is in the buffer
    done : Out(1), a pulse per finished product, two cycles after its last tile is written
    """

    def __init__(self, *, grid, ports):
        self._ports = ports
        super().__init__({
            "open": In(1), "free": Out(1), "tag": Out(TAG_BITS), "issued": In(range(grid + 1)), "close": In(1),
            "written": In(ports), "written_tag": In(TAG_BITS).array(ports), "done": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        tags = 1 << TAG_BITS
        # Modular counts: tiles may be written before all of their group are issued.
        missing = Array(Signal(2 * COUNT_BITS + 2, name=f"missing_{n}") for n in range(tags))
        complete = Signal(tags)
        busy = Signal(tags)
        oldest = Signal(TAG_BITS)

        m.d.comb += self.free.eq(~busy.bit_select(self.tag, 1))

        # What happens comes late in its cycle and counts in the next one.
        issued, closed, issued_tag = Signal.like(self.issued), Signal(), Signal.like(self.tag)
        written, written_tag = Signal.like(self.written), Signal(TAG_BITS * self._ports)
        m.d.sync += [
            issued.eq(self.issued), closed.eq(self.close), issued_tag.eq(self.tag),
            written.eq(self.written), written_tag.eq(Cat(self.written_tag)),
        ]
        for n in range(tags):
            landed = tree_sum(written[p] & (written_tag.word_select(p, TAG_BITS) == n) for p in range(self._ports))
            m.d.sync += missing[n].eq(missing[n] + (issued & (issued_tag == n).replicate(len(issued))) - landed)
            with m.If(self.open & (self.tag == n)):
                m.d.sync += busy[n].eq(1)
            with m.If(closed & (issued_tag == n)):
                m.d.sync += complete[n].eq(1)
        with m.If(self.close):
            m.d.sync += self.tag.eq(self.tag + 1)

        finished = complete.bit_select(oldest, 1) & (missing[oldest] == 0)
        m.d.comb += self.done.eq(finished)
        with m.If(finished):
            m.d.sync += oldest.eq(oldest + 1)
            for n in range(tags):
                with m.If(oldest == n):
                    m.d.sync += [complete[n].eq(0), busy[n].eq(0)]
        return m
