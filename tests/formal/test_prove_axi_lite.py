"""AXI4-Lite: every access reaches the registers once and is answered once, in order; what is offered stands still."""

import pytest
from amaranth.hdl import Signal

from acceltran.hw.control import axi_lite
from support.contracts import Contract, prove, refute
from support.mutation import mutated

SLOWEST = 2
"""Cycles after which the registers answer at the latest."""


def front_end(module, *, less=0):
    """One write and one read, whichever, are followed from the bus to the registers and back."""
    component = module.AxiLiteFrontEnd()
    c, axi, bus = Contract(component), component.axi, component.bus
    for channel, values in (("aw", ["awaddr"]), ("w", ["wdata", "wstrb"]), ("ar", ["araddr"])):
        valid = getattr(axi, f"{channel}valid")
        c.held(valid & ~getattr(axi, f"{channel}ready"), valid, [getattr(axi, name) for name in values], channel, assumed=True)
    c.held(axi.bvalid & ~axi.bready, axi.bvalid, [axi.bresp], "still")
    c.held(axi.rvalid & ~axi.rready, axi.rvalid, [axi.rdata, axi.rresp], "still_read")

    # The registers answer each access once, in time.
    busy, writes = Signal(), Signal()
    begins = bus.read | bus.write
    c.m.d.sync += busy.eq((busy | begins) & ~bus.acknowledge)
    with c.m.If(begins):
        c.m.d.sync += writes.eq(bus.write)
    c.assume(~bus.acknowledge | busy)
    c.at_most(busy & ~bus.acknowledge, SLOWEST, "registers", assumed=True)
    c.promise("single", ~(bus.read & bus.write) & ~(begins & busy))
    c.held((busy | begins) & ~bus.acknowledge, 1, [bus.address, bus.write_data], "bus")

    moves = {name: getattr(axi, f"{name}valid") & getattr(axi, f"{name}ready") for name in ("aw", "w", "b", "ar", "r")}
    number, index = c.fixed(2, "number"), {name: Signal(2, name=f"{name}_number") for name in moves}
    c.m.d.sync += [index[name].eq(index[name] + moved) for name, moved in moves.items()]
    ours = {name: moved & (index[name] == number) for name, moved in moves.items()}
    seen = {name: Signal(name=f"{name}_seen") for name in moves}

    # The write: what its address and its data brought, what reached the registers, what they said.
    address, data, strobes = Signal(12), Signal(32), Signal(4)
    wrote, failed, answered = Signal(), Signal(), Signal(32)
    for name, kept, value in (("aw", address, axi.awaddr), ("w", data, axi.wdata), ("w", strobes, axi.wstrb)):
        with c.m.If(ours[name]):
            c.m.d.sync += [kept.eq(value), seen[name].eq(1)]
    c.promise("write", ~(bus.write & (index["b"] == number)) | (
        seen["aw"] & seen["w"] & strobes.all() & ~wrote & (bus.address == address[2:]) & (bus.write_data == data)))
    with c.m.If(bus.write & (index["b"] == number)):
        c.m.d.sync += wrote.eq(1)
    with c.m.If(bus.acknowledge & writes & (index["b"] == number)):
        c.m.d.sync += failed.eq(bus.error)
    c.promise("answer", ~ours["b"] | (seen["aw"] & seen["w"] & (wrote == strobes.all()) & (
        axi.bresp == axi_lite.Response.SLVERR * (failed | ~strobes.all()))))
    with c.m.If(ours["b"]):
        c.m.d.sync += [seen["aw"].eq(0), seen["w"].eq(0), wrote.eq(0), failed.eq(0)]

    # The read.
    place, read, refused = Signal(12), Signal(), Signal()
    with c.m.If(ours["ar"]):
        c.m.d.sync += [place.eq(axi.araddr), seen["ar"].eq(1)]
    turn = index["r"] == number
    c.promise("read", ~(bus.read & turn) | (seen["ar"] & ~read & (bus.address == place[2:])))
    with c.m.If(bus.read & turn):
        c.m.d.sync += read.eq(1)
    with c.m.If(bus.acknowledge & ~writes & turn):
        c.m.d.sync += [refused.eq(bus.error), answered.eq(bus.read_data)]
    c.promise("data", ~ours["r"] | (seen["ar"] & read & (axi.rdata == answered) & (
        axi.rresp == axi_lite.Response.SLVERR * refused)))
    with c.m.If(ours["r"]):
        c.m.d.sync += [seen["ar"].eq(0), read.eq(0)]

    # Both come to an end, whoever else goes on asking; a write while the last one's answer is taken.
    waits = {name: (index[name] != index["b" if name in ("aw", "w") else "r"]) for name in ("aw", "w", "ar")}
    c.at_most(waits["aw"] & waits["w"] & ~axi.bvalid, 2 * SLOWEST + 5 - less, "write_soon")
    c.at_most(waits["ar"] & ~axi.rvalid, 2 * SLOWEST + 6 - less, "read_soon")
    return c


@pytest.mark.prove
def test_axi_lite():
    prove(front_end(axi_lite))


@pytest.mark.parametrize("promise", ["write_soon", "read_soon"])
def test_axi_lite_bounds_are_tight(promise):
    refute(front_end(axi_lite, less=1), promise)


@pytest.mark.parametrize(("promise", "old", "new"), [
    ("still", "with m.If(axi.bready):", "with m.If(1):"),
    ("still_read", "with m.If(axi.rready):", "with m.If(axi.bready):"),
    ("single", "m.d.sync += [bus.read.eq(0), bus.write.eq(0)]", "m.d.sync += bus.read.eq(0)"),
    ("bus", "m.State(\"READ\"), m.If(bus.acknowledge)", "m.State(\"READ\"), m.If(1)"),
    ("write", "held[\"awaddr\"][2:]", "held[\"awaddr\"][1:]"),
    ("write", "can_write = held[\"aw\"] & held[\"w\"]", "can_write = held[\"aw\"]"),
    ("answer", "held[\"w\"] & ~axi.bvalid", "held[\"w\"]"),
    ("answer", "with m.If(held[\"wstrb\"].all())", "with m.If(held[\"wstrb\"].any())"),
    ("answer", "axi.bresp.eq(response)", "axi.bresp.eq(Response.OKAY)"),
    ("read", "bus.address.eq(held[\"araddr\"][2:])", "bus.address.eq(held[\"awaddr\"][2:])"),
    ("data", "held[\"ar\"] & ~axi.rvalid", "held[\"ar\"]"),
    ("data", "axi.rresp.eq(response)", "axi.rresp.eq(Response.OKAY)"),
    ("read_soon", "with m.Elif(can_read)", "with m.Elif(can_read & ~held[\"aw\"])"),
    ("write_soon", "held[\"w\"] & ~axi.bvalid", "held[\"w\"] & ~axi.bvalid & ~held[\"ar\"]"),
])
def test_axi_lite_fault(promise, old, new):
    refute(front_end(mutated(axi_lite, old, new)), promise)
