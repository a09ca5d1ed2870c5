"""AXI4-Lite: the port, and the front end that turns it into one register access at a time."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["AxiLiteFrontEnd", "Response", "axi_lite_signature", "register_bus_signature"]


class Response:
    """Values of bresp and rresp."""

    OKAY = 0
    SLVERR = 2


def axi_lite_signature(*, address_bits=12):
    """AXI4-Lite with 32-bit data, as the manager sees it; member names are those of the standard, in lower case."""
    if not 12 <= address_bits <= 16:
        raise ValueError(f"address_bits = {address_bits}: choose 12 to 16")
    return wiring.Signature({
        "awaddr": Out(address_bits), "awprot": Out(3), "awvalid": Out(1), "awready": In(1),
        "wdata": Out(32), "wstrb": Out(4), "wvalid": Out(1), "wready": In(1),
        "bresp": In(2), "bvalid": In(1), "bready": Out(1),
        "araddr": Out(address_bits), "arprot": Out(3), "arvalid": Out(1), "arready": In(1),
        "rdata": In(32), "rresp": In(2), "rvalid": In(1), "rready": Out(1),
    })


def register_bus_signature(*, address_bits=12):
    """One access at a time, as the front end sees it.

    `read` or `write` is high for one cycle with `address` (in words) and `write_data`, which stay until the subordinate
    answers, one or more cycles later, with a pulse of `acknowledge`, with `error` and `read_data`.
    """
    return wiring.Signature({
        "address": Out(address_bits - 2), "read": Out(1), "write": Out(1), "write_data": Out(32),
        "acknowledge": In(1), "error": In(1), "read_data": In(32),
    })


class AxiLiteFrontEnd(wiring.Component):
    """AXI4-Lite subordinate to a register bus.

    Address and data of a write may come in either order. A write goes before a read that waits, and leaves room for one
    read before the next write. The low two address bits and the protection bits are ignored. A write that does not
    enable all four bytes answers SLVERR without reaching the register bus. No access is taken in reset. Every output is a
    register or the inverse of one; an access takes three cycles and the latency of the register bus.

    Parameters
    ----------
    address_bits : bits of a byte address, 12 to 16

    Members
    -------
    axi : In(axi_lite_signature())
    bus : Out(register_bus_signature())
    """

    def __init__(self, *, address_bits=12):
        super().__init__({
            "axi": In(axi_lite_signature(address_bits=address_bits)),
            "bus": Out(register_bus_signature(address_bits=address_bits)),
        })

    def elaborate(self, platform):
        m = Module()
        axi, bus = self.axi, self.bus

        # A register per incoming channel, free again when the access is answered; taken in reset, in which nothing is accepted.
        held = {}
        for channel, payloads in (("aw", ("awaddr",)), ("w", ("wdata", "wstrb")), ("ar", ("araddr",))):
            valid, ready = getattr(axi, f"{channel}valid"), getattr(axi, f"{channel}ready")
            held[channel] = Signal(name=f"{channel}_held", init=1)
            m.d.comb += ready.eq(~held[channel])
            for name in payloads:
                port = getattr(axi, name)
                held[name] = Signal(port.shape(), name=f"{name}_held", reset_less=True)
                with m.If(ready):
                    m.d.sync += held[name].eq(port)
            with m.If(valid & ready):
                m.d.sync += held[channel].eq(1)

        m.d.sync += [bus.read.eq(0), bus.write.eq(0)]
        with m.If(axi.bready):
            m.d.sync += axi.bvalid.eq(0)
        with m.If(axi.rready):
            m.d.sync += axi.rvalid.eq(0)

        def answer_write(response):
            m.d.sync += [axi.bvalid.eq(1), axi.bresp.eq(response), held["aw"].eq(0), held["w"].eq(0)]

        def answer_read(response):
            m.d.sync += [axi.rvalid.eq(1), axi.rresp.eq(response), axi.rdata.eq(bus.read_data), held["ar"].eq(0)]

        can_write = held["aw"] & held["w"] & ~axi.bvalid
        can_read = held["ar"] & ~axi.rvalid
        response = Response.SLVERR * bus.error
        with m.FSM():
            with m.State("WAKE"):
                m.d.sync += [held[channel].eq(0) for channel in ("aw", "w", "ar")]
                m.next = "IDLE"
            with m.State("IDLE"):
                with m.If(can_write):
                    m.d.sync += [bus.address.eq(held["awaddr"][2:]), bus.write_data.eq(held["wdata"])]
                    with m.If(held["wstrb"].all()):
                        m.d.sync += bus.write.eq(1)
                        m.next = "WRITE"
                    with m.Else():
                        answer_write(Response.SLVERR)
                with m.Elif(can_read):
                    m.d.sync += [bus.address.eq(held["araddr"][2:]), bus.read.eq(1)]
                    m.next = "READ"
            with m.State("WRITE"), m.If(bus.acknowledge):
                answer_write(response)
                m.next = "IDLE"
            with m.State("READ"), m.If(bus.acknowledge):
                answer_read(response)
                m.next = "IDLE"
        return m
