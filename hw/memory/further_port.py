"""A further port to main memory: it brings its share of the weights, and the embeddings of its clusters."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from ..layout import tile_write
from ..spec.error_codes import MemoryFault
from ..spec.isa import Buffer
from ..spec.registers import PAGE_BITS
from ..spec.widths import SLOT_BITS
from ..streams.stream_queue import StreamQueue
from .access import access_layout
from .axi import AXI4ReadSignature, read_request
from .axi_reader import AxiReader
from .gatherer import Gatherer
from .gearbox_in import GearboxIn
from .pieces import Pieces
from .row_requester import gather_layout
from .tile_loader import TileLoader, load_layout
from .tile_walk import area_layout

__all__ = ["FurtherPort", "gather_share", "share_layout"]

_REQUESTS = 2
"""Requests that wait while the bursts of another are issued."""


def share_layout(bus_width):
    """A LOAD to the weight buffer as every port is told of it: beats, the same for all; first slot; tiles of all ports."""
    return data.StructLayout({**read_request(bus_width).members, "slot": SLOT_BITS, "tiles": 16})


def gather_share(bus_width, clusters):
    """A GATHER as the port is told of it that brings it: what is asked for, where it goes, and to which clusters."""
    return data.StructLayout({"issue": gather_layout(bus_width), "area": area_layout(), "clusters": clusters})


class FurtherPort(wiring.Component):
    """Reads and writes the tiles of LOADs whose numbers are `number` modulo `ports`: tile t comes to slot ``slot + t``. With
    several clusters it runs the GATHERs of some of them as well.

    The bursts of an instruction are issued while the tiles of up to `ahead` - 1 instructions before it arrive. Tiles come as
    fast as the bus brings them, a mask or as many lines as `Pieces` says in a cycle; rows of a GATHER come a line in a cycle. A
    LOAD without a tile for this port asks for nothing and is finished as soon as those before it are.

    An error stays, with the beat that it came with where it is one of the bus, until a reset; nothing is written after it.

    Parameters
    ----------
    number, ports : of this port, from 1 on, and of all
    ahead : instructions that are under way at once
    tile, width, b_width, lines_per_beat : shape of tiles, of weights, and of the buffers' ports
    bus_width, burst_beats, outstanding_reads, address_bits : see `AxiReader`
    weight_tiles, activation_tiles : capacities, of one activation buffer
    clusters : activation buffers; with one there are no GATHERs here

    Members
    -------
    axi : Out(AXI4ReadSignature)
    access : In(access_layout), whose ``memory_base`` is this port's own, for weights
    job : In(stream(share_layout)), taken when there is room for it
    gather : In(stream(gather_share)), likewise; gather_base : In(pages), the base of its addresses
    finished : Out(1), a cycle for each instruction, in order: all its tiles of this port are written
    error : Out(4), 0, or a MemoryFault until reset
    o : Out(stream(tile_write)), to the weight buffer
    activation_write : Out(stream(tile_write)), activation_clusters : Out(clusters), to whose activation buffers
    stop : In(1), no further instruction begins
    flush : In(1), idle : Out(1), see `AxiReader`
    """

    def __init__(self, *, number, ports, ahead, tile, width, b_width, lines_per_beat, bus_width, burst_beats, outstanding_reads,
                 weight_tiles, activation_tiles, clusters=1, address_bits=32):
        self._number, self._ahead, self._bus_width, self._clusters = number, ahead, bus_width, clusters
        pieces = Pieces(tile=tile, width=width, b_width=b_width, scale_bits=0, lines_per_beat=lines_per_beat,
                        bus_width=bus_width, buffers=(Buffer.WEIGHT,))
        self._reader = AxiReader(bus_width=bus_width, burst_beats=burst_beats, depths=(outstanding_reads * burst_beats,),
                                 outstanding=(outstanding_reads,), address_bits=address_bits)
        sizes, line = pieces.sizes, tile * width
        sizes += (line,) if clusters > 1 and line not in sizes else ()
        self._row_line = sizes.index(line) if clusters > 1 else None
        self._gearbox = GearboxIn(bus_width=bus_width, sizes=sizes)
        self._loader = TileLoader(pieces=pieces, capacities={Buffer.WEIGHT: weight_tiles}, stripes=ports, first=number)
        self._gatherer = Gatherer(
            tile=tile, width=width, lines_per_beat=lines_per_beat, bus_width=bus_width, activation_tiles=activation_tiles,
            rows_ahead=outstanding_reads + 2) if clusters > 1 else None
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
        } | ({
            "gather": In(stream.Signature(gather_share(bus_width, clusters))),
            "gather_base": In(address_bits - PAGE_BITS),
            "activation_write": Out(stream.Signature(tile_write(tile, width, lines_per_beat))),
            "activation_clusters": Out(clusters),
        } if clusters > 1 else {}))

    def elaborate(self, platform):
        m = Module()
        m.submodules.reader = reader = self._reader
        m.submodules.gearbox = gearbox = self._gearbox
        m.submodules.loader = loader = self._loader
        entry = data.StructLayout({"empty": 1, "load": load_layout(self._bus_width), "gather": 1, "clusters": self._clusters})
        m.submodules.requests = requests = StreamQueue(shape=read_request(self._bus_width), depth=_REQUESTS)
        m.submodules.jobs = jobs = SyncFIFO(width=entry.size, depth=self._ahead)
        new, job = Signal(entry, name="new_load"), data.View(entry, jobs.r_data)

        # A job asks for its data, and waits until those before it are finished.
        told, taken, waits = self.job.payload, Signal(), Signal()
        m.d.comb += [
            self.job.ready.eq(requests.i.ready & jobs.w_rdy),
            taken.eq(self.job.valid & self.job.ready),
            new.empty.eq(told.tiles <= self._number),
            requests.i.payload.beat.eq(told.beat),
            requests.i.payload.beats.eq(told.beats),
            requests.i.valid.eq(taken & ~new.empty),
            jobs.w_en.eq(taken),
            jobs.w_data.eq(new),
            new.load.beats.eq(told.beats),
            new.load.buffer.eq(Buffer.WEIGHT),
            new.load.area.slot.eq(told.slot),
            new.load.area.rows.eq(1),
            new.load.area.columns.eq(told.tiles),
            waits.eq(jobs.r_rdy & ~self.stop),
            loader.job.payload.eq(job.load),
            loader.job.valid.eq(waits & ~job.empty & ~job.gather),
            self.finished.eq(waits & (job.empty | loader.job.ready)),
            jobs.r_en.eq(self.finished),
        ]
        m.d.comb += [
            reader.request[0].payload.eq(requests.o.payload),
            reader.request[0].valid.eq(requests.o.valid),
            requests.o.ready.eq(reader.request[0].ready),
        ]

        self._connect_bus(m, reader)
        spoiled, fault = self._connect_pieces(m, reader.o[0], gearbox, loader)
        error = loader.error
        if self._gatherer:
            spoiled = self._connect_gathers(m, requests, jobs, job, waits, spoiled)
            error = error | self._gatherer.error
        m.d.sync += self.error.eq(Mux(spoiled, fault, error))
        return m

    def _connect_gathers(self, m, requests, jobs, job, waits, spoiled):
        """GATHERs among the LOADs: what is asked for, beats, pieces, writes; later assignments replace those of LOADs.

        Returns whether a beat with an error is due that the gearbox would take.
        """
        m.submodules.gatherer = gatherer = self._gatherer
        reader, gearbox, told, beats = self._reader, self._gearbox, self.gather.payload, self._reader.o[0]
        asks, gathers = gatherer.request.valid, jobs.r_rdy & job.gather

        # Requests go to the bus in the order of the jobs: neither kind begins while the other has some to ask for.
        m.d.comb += [
            self.job.ready.eq(requests.i.ready & jobs.w_rdy & gatherer.issued),
            gatherer.issue.payload.eq(told.issue),
            gatherer.issue.valid.eq(self.gather.valid & jobs.w_rdy & ~requests.o.valid),
            self.gather.ready.eq(gatherer.issue.ready & jobs.w_rdy & ~requests.o.valid),
            reader.access.memory_base.eq(Mux(asks, self.gather_base, self.access.memory_base)),
            gatherer.request.ready.eq(reader.request[0].ready),
        ]
        with m.If(asks):
            m.d.comb += [reader.request[0].payload.eq(gatherer.request.payload), reader.request[0].valid.eq(1),
                         requests.o.ready.eq(0)]
        rows = Signal(job.shape(), name="new_gather")
        m.d.comb += [rows.gather.eq(1), rows.load.area.eq(told.area), rows.clusters.eq(told.clusters)]
        with m.If(self.gather.valid):
            m.d.comb += [jobs.w_en.eq(self.gather.ready), jobs.w_data.eq(rows)]

        # Beats are indices between rows; pieces are lines of rows.
        indices = gatherer.indices.ready & gearbox.idle & gathers
        m.d.comb += [
            gatherer.job.payload.eq(job.load.area), gatherer.job.valid.eq(waits & job.gather),
            gatherer.indices.payload.eq(beats.payload), gatherer.indices.valid.eq(beats.valid & indices),
            gatherer.piece.payload.eq(gearbox.o.payload),
        ]
        with m.If(indices):
            m.d.comb += [beats.ready.eq(1), gearbox.i.valid.eq(0)]
        # With indices that came with an error a GATHER goes on, with row 0, but it must not count.
        with m.If(gathers):
            m.d.comb += [
                self.finished.eq(waits & gatherer.job.ready & (self.error == 0)),
                gearbox.size.eq(self._row_line), gearbox.append.eq(gatherer.append), gearbox.close.eq(gatherer.close),
                gearbox.segment.payload.eq(gatherer.segment.payload), gearbox.segment.valid.eq(gatherer.segment.valid),
                gatherer.segment.ready.eq(gearbox.segment.ready), self._loader.segment.ready.eq(0),
                gatherer.piece.valid.eq(gearbox.o.valid), gearbox.o.ready.eq(gatherer.piece.ready),
                self._loader.piece.valid.eq(0),
            ]
        wiring.connect(m, gatherer.o, wiring.flipped(self.activation_write))
        m.d.comb += self.activation_clusters.eq(job.clusters)
        return spoiled & ~indices

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
        m.d.comb += [
            gearbox.segment.payload.eq(loader.segment.payload),
            gearbox.segment.valid.eq(loader.segment.valid),
            loader.segment.ready.eq(gearbox.segment.ready),
            loader.piece.payload.eq(gearbox.o.payload),
            loader.piece.valid.eq(gearbox.o.valid),
            gearbox.o.ready.eq(loader.piece.ready),
            self.o.valid.eq(loader.o.valid),
            self.o.payload.as_value().eq(Cat(loader.o.payload)),
            loader.o.ready.eq(self.o.ready),
        ]
        return spoiled, fault
