"""The memory ports beside the first, and the order in which instructions are done that several ports bring."""

from functools import reduce
from operator import and_

from amaranth.hdl import Cat, Const, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..layout import tile_write
from ..spec.isa import Buffer
from ..spec.registers import PAGE_BITS
from .axi import AXI4ReadSignature, size_code
from .further_port import FurtherPort
from .share_order import ShareOrder

__all__ = ["FurtherPorts"]

_WITH_CLUSTERS = 8
"""Instructions that are under way at once with several clusters, each of which has GATHERs of its own."""


class FurtherPorts:
    """Every `FurtherPort` and the `ShareOrder` of all ports, for a memory engine that adds them; with one port, nothing.

    Parameters
    ----------
    ports : of main memory, the first included
    clusters : activation buffers
    ahead : instructions that are under way at once in one port; twice as many in all, or `_WITH_CLUSTERS`
    tile, width, b_width, lines_per_beat, bus_width, address_bits, and `parameters` : see `FurtherPort`

    Members
    -------
    members : what the memory engine has for them, by name, see there
    order : ShareOrder, or None with one port
    spread : whether GATHERs of single clusters are a matter of these ports
    gather_ready : Signal, whether the port takes the GATHER that `issue_gather` starts
    writes : streams to the buffers, once they are added
    """

    def __init__(self, *, ports, clusters, ahead, tile, width, b_width, lines_per_beat, bus_width, address_bits, **parameters):
        self._bus_width, self._clusters = bus_width, clusters
        shape = {"tile": tile, "width": width, "lines_per_beat": lines_per_beat}
        self._ports = {number: FurtherPort(**shape, number=number, ports=ports, ahead=ahead, b_width=b_width,
                                           bus_width=bus_width, clusters=clusters, address_bits=address_bits, **parameters)
                       for number in range(1, ports)}
        depth = _WITH_CLUSTERS if clusters > 1 else 2 * ahead
        self.order = ShareOrder(ports=ports, depth=depth) if ports > 1 else None
        self.spread = clusters > 1 and ports > 1
        self.gather_ready, self.writes, self._buses = Signal(name="gather_ready"), [], []
        self.members = {"port_base": In(address_bits - PAGE_BITS).array(ports - 1)} if ports > 1 else {}
        for number in self._ports:
            self.members |= {
                f"axi_{number}": Out(AXI4ReadSignature(data_width=bus_width, address_width=address_bits)),
                f"weight_write_{number}": Out(stream.Signature(tile_write(tile, b_width, lines_per_beat))),
                f"bytes_read_{number}": Out(range(bus_width // 8 + 1)),
            }
            if clusters > 1:
                self.members |= {f"activation_write_{number}": Out(stream.Signature(tile_write(**shape))),
                                 f"activation_clusters_{number}": Out(clusters)}

    def add(self, m, engine, failed):
        """Add them to `m`, the module of `engine`, and connect its `members`; nothing begins once `failed` is high."""
        if not self.order:
            return
        m.submodules.order = order = self.order
        for number, port in self._ports.items():
            m.submodules[f"port_{number}"] = port
            axi, written = getattr(engine, f"axi_{number}"), getattr(engine, f"weight_write_{number}")
            self._buses.append(axi)
            self.writes.append(written)
            wiring.connect(m, port.axi, wiring.flipped(axi))
            wiring.connect(m, port.o, wiring.flipped(written))
            m.d.comb += [
                port.access.eq(engine.access),
                port.access.memory_base.eq(engine.port_base[number - 1]),
                port.flush.eq(engine.flush),
                port.stop.eq(failed),
                order.finished[number].eq(port.finished),
                order.failed[number].eq(port.error != 0),
            ]
            if self._clusters > 1:
                self.writes.append(getattr(engine, f"activation_write_{number}"))
                wiring.connect(m, port.activation_write, wiring.flipped(self.writes[-1]))
                m.d.comb += [port.gather_base.eq(engine.access.memory_base),
                             getattr(engine, f"activation_clusters_{number}").eq(port.activation_clusters)]
            m.d.sync += getattr(engine, f"bytes_read_{number}").eq(Mux(axi.rvalid & axi.rready, self._bus_width // 8, 0))

    def idle(self, first):
        """Whether the first port, which says so, and all others are idle."""
        return reduce(and_, (port.idle for port in self._ports.values()), first)

    def quiet(self, first):
        """Whether nothing is under way, neither in the first port nor in another."""
        return first & self.order.empty if self.order else first

    def running(self, first):
        """Whether something is under way."""
        return first | ~self.order.empty if self.order else first

    def moved(self, first):
        """Whether data came."""
        return first | Cat(axi.rvalid & axi.rready for axi in self._buses).any() if self.order else first

    def has_room(self, first):
        """Whether an instruction can begin, if the first port has room for it."""
        return first & self.order.i.ready if self.order else first

    def done(self, m, first):
        """Whether an instruction is done: with one port when its share is, with several in their order."""
        if not self.order:
            return first
        m.d.comb += self.order.finished[0].eq(first)
        return self.order.done

    def due(self, m, code):
        """The code of the error that is due, or 0: that of the first port is `code`, and the lowest number goes first."""
        if not self.order:
            return code
        due = Signal.like(code)
        m.d.comb += self.order.failed[0].eq(code != 0)
        for number, found in reversed([(0, code), *((number, port.error) for number, port in self._ports.items())]):
            with m.If(self.order.failing[number]):
                m.d.comb += due.eq(found)
        return due

    def issue_shares(self, m, load, room, push):
        """Tells every port of its share of a LOAD, if it is one to the weight buffer; returns whether there is room for it.

        The first port has `room`, and with `push` the LOAD begins.
        """
        if not self.order:
            return room
        striped, ready = Signal(), Cat(port.job.ready for port in self._ports.values()).all()
        beats = size_code(self._bus_width)
        m.d.comb += [striped.eq(load.buffer == Buffer.WEIGHT), self.order.i.payload.eq(Mux(striped, -1, 1))]
        for port in self._ports.values():
            share = port.job.payload
            m.d.comb += [
                share.beat.eq(load.address >> beats), share.beats.eq(load.bytes >> beats),
                share.slot.eq(load.slot), share.tiles.eq(load.columns), port.job.valid.eq(push & striped),
            ]
        return room & (ready | ~striped)

    def tell_gather(self, m, gather, issue):
        """Shows every port a GATHER as `issue` has it, in beats."""
        for port in self._ports.values() if self.spread else ():
            told = port.gather.payload
            m.d.comb += [told.issue.eq(issue), told.clusters.eq(gather.clusters[: self._clusters]),
                         *(getattr(told.area, name).eq(getattr(gather, name)) for name in told.area.shape().members)]

    def chosen(self, gather):
        """The ports, by number, that a GATHER for one cluster may be a matter of, each with whether it is; and whether one is.

        It is that with the cluster's number, modulo the ports.
        """
        ports, named = 1 + len(self._ports), gather.clusters[: self._clusters]
        chosen = {number: named[number::ports].any() for number in self._ports if number < self._clusters}
        return chosen, ((named & (named - 1)) == 0) & Cat(chosen.values()).any()

    def issue_gather(self, m, chosen, begins):
        """Starts a GATHER in the port that is `chosen`, if it `begins` and that port takes it."""
        m.d.comb += self.order.i.payload.eq(Cat(Const(0, 1), *(chosen.get(number, 0) for number in self._ports)))
        for number, chosen_one in chosen.items():
            port = self._ports[number]
            with m.If(chosen_one):
                m.d.comb += [self.gather_ready.eq(port.gather.ready), port.gather.valid.eq(begins)]
