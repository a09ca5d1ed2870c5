"""The AXI reader and writer against the rules of AXI, and what they promise to the memory engine."""

import pytest
from amaranth.hdl import Cat, Mux, Signal
from amaranth.lib.fifo import SyncFIFO

from acceltran.hw.memory import axi_reader, axi_writer, read_client
from acceltran.hw.memory.axi import BURST_INCR, size_code
from acceltran.hw.spec.registers import PAGE_BITS
from support.contracts import Contract, prove, refute, survive
from support.mutation import mutated, with_names

pytestmark = pytest.mark.prove

ADDRESS_BITS = 13
"""Of the bus: two pages."""


def moved(stream):
    return stream.valid & stream.ready


def channel(c, axi, name, values, promise):
    """What is offered on a channel stands still; returns whether it moves, and whether an offer is new in this cycle."""
    valid, ready = getattr(axi, f"{name}valid"), getattr(axi, f"{name}ready")
    c.held(valid & ~ready, valid, [getattr(axi, f"{name}{value}") for value in values], promise)
    return valid & ready, valid & ~c.before(valid & ~ready, f"{name}_stood")


def burst_rules(c, axi, prefix, bus, burst_beats):
    """Size, kind and length of a burst, which ends in the page in which it begins."""
    valid, address, length, size, kind = (getattr(axi, f"{prefix}{what}") for what in ("valid", "addr", "len", "size", "burst"))
    c.promise("burst", ~valid | ((size == size_code(bus)) & (kind == BURST_INCR) & (length < burst_beats)
                                    & (address[:size_code(bus)] == 0)))
    c.promise("page", ~valid | (address[size_code(bus):PAGE_BITS] + length < 1 << (PAGE_BITS - size_code(bus))))


def inside(window, address):
    page = address[PAGE_BITS:]
    return (page >= window.base) & (page <= window.limit)


def written(module, *, bus=8, burst_beats=2, outstanding=2, less=0):
    """Bursts by the rules of AXI; beats in order and whole, to the addresses of their stream; `done` when all is answered.

    Memory answers a burst once, after its address and its last beat. Attributes, base and window may change at any time.
    """
    component = module.AxiWriter(bus_width=bus, burst_beats=burst_beats, outstanding=outstanding, address_bits=ADDRESS_BITS)
    c, axi, i, access = Contract(component), component.axi, component.i, component.access
    size, place = size_code(bus), Signal(ADDRESS_BITS - size_code(bus))
    address_moves, new = channel(c, axi, "aw", ("id", "addr", "len", "size", "burst", "prot", "cache"), "still")
    beat_moves, new_beat = channel(c, axi, "w", ("data", "strb", "last"), "still_data")
    burst_rules(c, axi, "aw", bus, burst_beats)
    c.promise("id", axi.awid == 0)
    c.still(i, "source", assumed=True)

    # Lengths of the bursts whose beats are to come, in the order of their addresses.
    c.m.submodules.lengths = lengths = SyncFIFO(width=5, depth=outstanding + 1)
    count, whole, unanswered = Signal(5), Signal(range(outstanding + 2)), Signal(range(outstanding + 2))
    length = Signal(5)
    c.m.d.comb += [length.eq(Mux(lengths.r_rdy, lengths.r_data, axi.awlen)), lengths.w_data.eq(axi.awlen)]
    last = beat_moves & axi.wlast
    passes = new & last & ~lengths.r_rdy
    c.m.d.comb += [lengths.w_en.eq(new & ~passes), lengths.r_en.eq(last)]
    c.m.d.sync += count.eq(Mux(last, 0, count + beat_moves))
    c.promise("last", ~beat_moves | ((lengths.r_rdy | new) & (axi.wlast == (count == length))))
    addresses, answers = Signal(range(outstanding + 2)), axi.bvalid
    c.m.d.sync += [
        addresses.eq(addresses + address_moves - answers), whole.eq(whole + last - answers),
        unanswered.eq(unanswered + new - answers),
    ]
    c.assume(~answers | ((addresses != 0) & (whole != 0)))
    c.promise("outstanding", axi.bready & (unanswered + new <= outstanding - less))
    c.promise("idle", component.idle == (unanswered + new == 0))

    # Beats, and where they go.
    held = c.order(moved(i), i.p.data[0], beat_moves, axi.wdata[0], 2 * burst_beats + 1, "order",
            carried=i.p.data[1], brought=axi.wdata[1])
    flushed = c.before(component.flush, "flushed")
    c.promise("flush", ~new | ~flushed)
    c.promise("strobes", ~new_beat | (axi.wstrb == (~flushed).replicate(bus // 8)))
    streaming, ended = Signal(), Signal()
    begin = c.before((access.memory_base << (PAGE_BITS - size)) + component.address, "begin")
    c.assume(~i.valid | streaming | c.before(1, "awake") & (begin < 2 << (ADDRESS_BITS - size)))
    with c.m.If(moved(i)):
        c.m.d.sync += [streaming.eq(1), ended.eq(i.p.last)]
        with c.m.If(~streaming):
            c.m.d.sync += place.eq(begin)
    with c.m.If(new):
        c.m.d.sync += place.eq(place + axi.awlen + 1)
    c.promise("address", ~new | (axi.awaddr[size:] == place))
    c.promise("window", ~new | inside(c.before(access.write, "window_was", shape=access.write.shape()), axi.awaddr))
    c.promise("attributes", ~new | ((axi.awprot == c.before(access.prot, "prot_was"))
                                    & (axi.awcache == c.before(access.cache, "cache_was"))))
    failed = Signal()
    c.m.d.sync += failed.eq(failed | answers & (axi.bresp != 0))
    c.promise("error", component.error == failed)
    c.promise("done", ~component.done | (ended & (held == 0) & (unanswered + new == 0) & ~failed))
    with c.m.If(component.done):
        c.m.d.sync += [streaming.eq(0), ended.eq(0)]
    return c


def read(module, *, clients=2, bus=16, burst_beats=2, depth=4, outstanding=2, less=0):
    """Bursts by the rules of AXI; the beats of each client in order, with a place kept for each before it is asked for.

    Memory answers the bursts of one client in order, with as many beats as were asked for; clients in any order.
    """
    component = module.AxiReader(bus_width=bus, burst_beats=burst_beats, depths=(depth,) * clients,
                                 outstanding=(outstanding,) * clients, address_bits=ADDRESS_BITS)
    c, axi, access, size = Contract(component), component.axi, component.access, size_code(bus)
    moves, new = channel(c, axi, "ar", ("id", "addr", "len", "size", "burst", "prot", "cache"), "still")
    burst_rules(c, axi, "ar", bus, burst_beats)
    c.promise("flush", ~new | ~c.before(component.flush, "flushed"))
    c.promise("window", ~new | inside(c.before(access.read, "window_was", shape=access.read.shape()), axi.araddr))
    c.promise("attributes", ~new | ((axi.arprot == c.before(access.prot, "prot_was"))
                                    & (axi.arcache == c.before(access.cache, "cache_was"))))
    c.promise("ready", axi.rready)
    idle, astray = [], Signal()
    with c.m.If(Cat(o.valid & o.p.refused for o in component.o).any() | (access.read.base != 0) | ~access.read.limit.all()):
        c.m.d.sync += astray.eq(1)
    for n, (request, o) in enumerate(zip(component.request, component.o, strict=True)):
        ours, answers = new & (axi.arid == n), axi.rvalid & (axi.rid == n)
        c.still(o, "still_answer")

        # The lengths of the bursts that memory has been asked for, oldest first.
        lengths = SyncFIFO(width=5, depth=outstanding)
        c.m.submodules[f"lengths_{n}"] = lengths
        count, bursts = Signal(5, name=f"count_{n}"), Signal(range(outstanding + 2), name=f"bursts_{n}")
        c.m.d.comb += [lengths.w_data.eq(axi.arlen), lengths.w_en.eq(moves & (axi.arid == n)),
                       lengths.r_en.eq(answers & axi.rlast)]
        c.m.d.sync += [bursts.eq(bursts + ours - (answers & axi.rlast)),
                       count.eq(Mux(answers, Mux(axi.rlast, 0, count + 1), count))]
        c.assume(~answers | (lengths.r_rdy & (axi.rlast == (count == lengths.r_data))))
        c.promise("outstanding", bursts + ours <= outstanding - less)
        idle.append(bursts + ours == 0)

        # A place for every beat that was asked for.
        places = Signal(range(2 * depth + 2), name=f"places_{n}")
        asked = Mux(ours, axi.arlen + 1, 0)
        taken = moved(o) & ~o.p.refused
        c.m.d.sync += places.eq(places + asked - taken)
        c.promise("places", component.flush | c.before(component.flush, f"flushed_{n}") | (places + asked <= depth + taken))

        # Beats, in order.
        c.order(answers & ~component.flush, axi.rdata[0], taken, o.p.data[0], depth, f"order_{n}",
                carried=axi.rresp != 0, brought=o.p.error)

        # Where a request leads to, unless part of it may lie outside the window.
        left, place = Signal(32 - size, name=f"left_{n}"), Signal(ADDRESS_BITS - size, name=f"place_{n}")
        with c.m.If(ours):
            c.m.d.sync += [left.eq(left - axi.arlen - 1), place.eq(place + axi.arlen + 1)]
        begin = (access.memory_base << (PAGE_BITS - size)) + request.p.beat
        c.assume(~request.valid | (begin + request.p.beats < 1 << (ADDRESS_BITS - size)))
        with c.m.If(moved(request)):
            c.m.d.sync += [left.eq(request.p.beats), place.eq(begin)]
        c.promise("address", ~ours | ((axi.araddr[size:] == place) & (axi.arlen < left)) | astray)
    c.promise("id", ~axi.arvalid | (axi.arid < clients))
    c.promise("idle", component.idle == Cat(idle).all())
    return c


EASY = ("still", "still_data", "burst", "page", "id", "outstanding", "idle", "flush", "strobes", "window", "attributes",
        "error")
"""Promises of the writer that are proved in seconds."""


def test_axi_writer():
    prove(written(axi_writer), *EASY)


@pytest.mark.parametrize("promise", ["last", "order", "done"])
def test_axi_writer_keeps_order(promise):
    prove(written(axi_writer), promise, seconds=200)


def test_axi_writer_addresses_for_a_while():
    survive(written(axi_writer, bus=512), "address", cycles=8)


def test_axi_writer_to_the_end_of_a_page():
    prove(written(axi_writer, bus=1024, burst_beats=32), "still", "burst", "page", "outstanding")


def test_axi_writer_uses_all_that_may_be_outstanding():
    refute(written(axi_writer, less=1), "outstanding")


@pytest.mark.parametrize(("promise", "old", "new"), [
    ("still", "& (~axi.awvalid | axi.awready)", ""),
    ("still_data", "& (~axi.wvalid | axi.wready)", ""),
    ("burst", "axi.awlen.eq(burst.more)", "axi.awlen.eq(burst.more + 1)"),
    ("page", "self.i.payload.last | beat[:offset].all()", "self.i.payload.last"),
    ("id", "axi.bready.eq(1),", "axi.bready.eq(1), axi.awid.eq(1),"),
    ("last", "axi.wlast.eq(left == 0)", "axi.wlast.eq(left <= 1)"),
    ("outstanding", "& (flying != self._outstanding)", ""),
    ("idle", "self.idle.eq(flying == 0)", "self.idle.eq(~axi.awvalid)"),
    ("order", "beats.r_en.eq(load)", "beats.r_en.eq(load & ~begin)"),
    ("flush", "allowed & ~self.flush", "allowed"),
    ("strobes", "Mux(self.flush, 0, -1)", "-1"),
    ("address", "first.eq(Mux(closes, beat + 1, start))", "first.eq(start)"),
    ("window", "bursts.r_rdy & allowed &", "bursts.r_rdy &"),
    ("attributes", "axi.awprot.eq(self.access.prot)", "axi.awprot.eq(0)"),
    ("error", "axi.bresp != RESPONSE_OKAY", "axi.bresp == 2"),
    ("done", "& (flying == 0) & ~self.error", "& ~self.error"),
    ("done", "& (flying == 0) & ~self.error", "& (flying == 0)"),
])
def test_axi_writer_fault(promise, old, new):
    refute(written(mutated(axi_writer, old, new)), promise)


READ = ("still", "burst", "page", "flush", "window", "attributes", "ready", "still_answer", "outstanding", "id", "idle")
"""Promises of the reader that are proved in seconds."""


def test_axi_reader_for_one():
    prove(read(axi_reader, clients=1, bus=8), *READ)


def test_axi_reader():
    prove(read(axi_reader), *READ)


@pytest.mark.parametrize("promise", ["places", "order_0", "address"])
def test_axi_reader_keeps_order_for_a_while(promise):
    survive(read(axi_reader, clients=1, bus=8), promise, cycles=6)


def test_axi_reader_to_the_end_of_a_page():
    prove(read(axi_reader, bus=1024, burst_beats=32, depth=32), "still", "burst", "page", "outstanding")


def test_axi_reader_uses_all_that_may_be_outstanding():
    refute(read(axi_reader, clients=1, bus=8, less=1), "outstanding")


@pytest.mark.parametrize(("promise", "old", "new"), [
    ("still", "with m.If((~axi.arvalid | axi.arready) & ~self.flush)", "with m.If(~self.flush)"),
    ("burst", "axi.arburst.eq(BURST_INCR)", "axi.arburst.eq(0)"),
    ("flush", "(~axi.arvalid | axi.arready) & ~self.flush", "~axi.arvalid | axi.arready"),
    ("attributes", "axi.arprot.eq(self.access.prot)", "axi.arprot.eq(0)"),
    ("ready", "axi.rready.eq(1)", "axi.rready.eq(~self.flush)"),
    ("id", "axi.arid.eq(n)", "axi.arid.eq(n + 1)"),
    ("idle", "with m.If(~client.idle)", "with m.If(0)"),
    ("order_0", "client.response.error.eq(axi.rresp != RESPONSE_OKAY)", "client.response.error.eq(0)"),
])
def test_axi_reader_fault(promise, old, new):
    refute(read(mutated(axi_reader, old, new), clients=1, bus=8), promise)


@pytest.mark.parametrize(("promise", "old", "new"), [
    ("page", "Mux(left < room, left, room)", "Mux(left < 2, left, 2)"),
    ("window", "(left != 0) & inside &", "(left != 0) &"),
    ("outstanding", "& (flying != self._outstanding)", ""),
    ("places", "(credits >= burst.length) &", "(credits != 0) &"),
    ("still_answer", "fifo.r_en.eq(self.o.ready)", "fifo.r_en.eq(1)"),
    ("address", "beat.eq(beat + burst.length)", "beat.eq(beat + 1)"),
])
def test_read_client_fault(promise, old, new):
    faulty = with_names(axi_reader, ReadClient=mutated(read_client, old, new).ReadClient)
    refute(read(faulty, clients=1, bus=8), promise)
