"""A stage of one register that takes what its consumer refuses."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["SkidBuffer", "skidded"]


def skidded(m, source, enable, name="skid"):
    """`source`, a stream that something here drives, or what leaves a skid buffer behind it if `enable`."""
    if not enable:
        return source
    m.submodules[name] = skid = SkidBuffer(shape=source.p.shape())
    wiring.connect(m, source, skid.i)
    return skid.o


class SkidBuffer(wiring.Component):
    """Cuts the combinational path from `o.ready` to `i.ready`: a transfer that is refused waits in a register.

    Latency zero: `o` follows `i` combinationally while the register is empty. Throughput: one transfer per cycle.

    Parameters
    ----------
    shape : payload
    """

    def __init__(self, *, shape):
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()
        i, o = self.i, self.o
        held, refused = Signal(), Signal.like(i.payload, reset_less=True)
        m.d.comb += [
            i.ready.eq(~held),
            o.valid.eq(held | i.valid),
            o.payload.eq(Mux(held, refused, i.payload)),
        ]
        m.d.sync += held.eq(o.valid & ~o.ready)
        with m.If(~held):
            m.d.sync += refused.eq(i.payload)
        return m
