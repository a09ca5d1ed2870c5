"""A further port to main memory: it brings its share of the tiles of every LOAD to the weight buffer."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from ..layout import tile_write
from ..spec.error_codes import MemoryFault
from ..spec.isa import Buffer
from ..spec.widths import SLOT_BITS
from ..streams.stream_queue import StreamQueue
from .access import access_layout
from .axi import AXI4ReadSignature, read_request
from .axi_reader import AxiReader
from .gearbox_in import GearboxIn
from .pieces import Pieces
from .tile_loader import TileLoader, load_layout

__all__ = ["WeightPort", "share_layout"]

_REQUESTS = 2
"""Requests that wait while the bursts of another are issued."""


def share_layout(bus_width):
    """A LOAD to the weight buffer as every port is told of it: beats, the same for all; first slot; tiles of all ports."""
    return data.StructLayout({**read_request(bus_width).members, "slot": SLOT_BITS, "tiles": 16})


class WeightPort(wiring.Component):
    """Reads and writes the tiles of LOADs whose numbers are `number` modulo `ports`: tile t comes to slot ``slot + t``.

    The bursts of a LOAD are issued while the tiles of up to `ahead` - 1 LOADs before it arrive. Tiles come as fast as the bus
    brings them, a mask or as many lines as `Pieces` says in a cycle. A LOAD without a tile for this port asks for nothing and
    is finished as soon as those before it are.

    An error stays, with the beat that it came with where it is one of the bus, until a reset; nothing is written after it.

    Parameters
    ----------
    number, ports : of this port, from 1 on, and of all
    ahead : LOADs that are under way at once
    tile, b_width, lines_per_beat : shape of weight tiles and of the buffer's port
    bus_width, burst_beats, outstanding_reads, address_bits : see `AxiReader`
    weight_tiles : capacity

    Members
    -------
    axi : Out(AXI4ReadSignature)
    access : In(access_layout), whose ``memory_base`` is this port's own
    job : In(stream(share_layout)), taken when there is room for it
    finished : Out(1), a cycle for each LOAD, in order: all its tiles of this port are written
    error : Out(4), 0, or a MemoryFault until reset
    o : Out(stream(tile_write))
    stop : In(1), no further LOAD begins
    flush : In(1), idle : Out(1), see `AxiReader`
    """

    def __init__(self, *, number, ports, ahead, tile, b_width, lines_per_beat, bus_width, burst_beats, outstanding_reads,
                 weight_tiles, address_bits=32):
        self._number, self._ahead, self._bus_width = number, ahead, bus_width
        pieces = Pieces(tile=tile, width=b_width, b_width=b_width, scale_bits=0, lines_per_beat=lines_per_beat,
                        bus_width=bus_width, buffers=(Buffer.WEIGHT,))
        self._reader = AxiReader(bus_width=bus_width, burst_beats=burst_beats, depths=(outstanding_reads * burst_beats,),
                                 outstanding=(outstanding_reads,), address_bits=address_bits)
        self._gearbox = GearboxIn(bus_width=bus_width, sizes=pieces.sizes)
        self._loader = TileLoader(pieces=pieces, capacities={Buffer.WEIGHT: weight_tiles}, stripes=ports, first=number)
        super().__init__({
            "axi": Out(AXI4ReadSignature(data_width=bus_width, address_width=address_bits)),
            "access": In(access_layout(address_bits)),
            "job": In(stream.Signature(share_layout(bus_width))),
            "finished": Out(1),
            "error": Out(4),
            "o": Out(stream.Signature(tile_write(tile, b_width, lines_per_beat))),
            "stop": In(1),
            "flush": In(1),
            "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.reader = reader = self._reader
        m.submodules.gearbox = gearbox = self._gearbox
        m.submodules.loader = loader = self._loader
        load = load_layout(self._bus_width)
        m.submodules.requests = requests = StreamQueue(shape=read_request(self._bus_width), depth=_REQUESTS)
        m.submodules.jobs = jobs = SyncFIFO(width=1 + load.size, depth=self._ahead)

        # A job asks for its data, and waits until those before it are finished.
        told, taken, empty = self.job.payload, Signal(), Signal()
        new, waits = data.View(load, jobs.w_data[1:]), Signal()
        m.d.comb += [
            self.job.ready.eq(requests.i.ready & jobs.w_rdy),
            taken.eq(self.job.valid & self.job.ready),
            empty.eq(told.tiles <= self._number),
            requests.i.payload.beat.eq(told.beat),
            requests.i.payload.beats.eq(told.beats),
            requests.i.valid.eq(taken & ~empty),
            jobs.w_en.eq(taken),
            jobs.w_data[0].eq(empty),
            new.beats.eq(told.beats),
            new.buffer.eq(Buffer.WEIGHT),
            new.area.slot.eq(told.slot),
            new.area.rows.eq(1),
            new.area.columns.eq(told.tiles),
            waits.eq(jobs.r_rdy & ~self.stop),
            loader.job.payload.eq(jobs.r_data[1:]),
            loader.job.valid.eq(waits & ~jobs.r_data[0]),
            self.finished.eq(waits & (jobs.r_data[0] | loader.job.ready)),
            jobs.r_en.eq(self.finished),
        ]
        wiring.connect(m, requests.o, reader.request[0])

        self._connect_bus(m, reader)
        spoiled, fault = self._connect_pieces(m, reader.o[0], gearbox, loader)
        m.d.sync += self.error.eq(Mux(spoiled, fault, loader.error))
        return m

    def _connect_bus(self, m, reader):
        wiring.connect(m, reader.axi, wiring.flipped(self.axi))
        m.d.comb += [reader.access.eq(self.access), reader.flush.eq(self.flush), self.idle.eq(reader.idle)]

    def _connect_pieces(self, m, beats, gearbox, loader):
        """Beats to pieces to the loader; returns whether a beat with an error is due, which stays there, and its fault."""
        good, spoiled, fault = beats.valid & ~beats.payload.error, Signal(), Signal(self.error.shape())
        m.d.comb += [
            gearbox.i.payload.eq(beats.payload.data),
            gearbox.i.valid.eq(good),
            beats.ready.eq(good & gearbox.i.ready),
            spoiled.eq(beats.valid & beats.payload.error & gearbox.i.ready),
            fault.eq(Mux(beats.payload.refused, MemoryFault.READ_WINDOW, MemoryFault.BUS_READ)),
            gearbox.size.eq(loader.size),
            gearbox.close.eq(loader.close),
            loader.short.eq(gearbox.short),
            loader.drained.eq(gearbox.idle),
        ]
        wiring.connect(m, loader.segment, gearbox.segment)
        wiring.connect(m, gearbox.o, loader.piece)
        m.d.comb += [
            self.o.valid.eq(loader.o.valid),
            self.o.payload.as_value().eq(Cat(loader.o.payload)),
            loader.o.ready.eq(self.o.ready),
        ]
        return spoiled, fault
