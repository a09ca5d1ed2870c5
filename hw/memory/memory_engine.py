"""The memory engine: LOAD, STORE and GATHER between main memory and the buffers, and the fetching of instructions."""

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO, SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from ..instruction_layout import header_layout, layout
from ..layout import tile_beat, tile_write, vector_write
from ..spec.error_codes import MemoryFault
from ..spec.isa import INSTRUCTION_BYTES, Buffer, Opcode
from ..spec.widths import SLOT_BITS
from ..streams.skid_buffer import skidded
from .access import access_layout
from .axi import AXI4Signature, join, size_code
from .axi_reader import AxiReader
from .axi_writer import AxiWriter
from .fetch_port import FetchPort, fetch_layout
from .further_ports import FurtherPorts
from .gatherer import Gatherer
from .gearbox_in import GearboxIn
from .gearbox_out import GearboxOut
from .pieces import LINE, MASK, Pieces
from .scrubber import Scrubber
from .tile_loader import TileLoader, load_layout
from .tile_storer import TileStorer

__all__ = ["MemoryEngine", "error_layout"]

_FETCHES_AHEAD = 4
_JOBS = 2
_NOTHING, _LOAD, _GATHER = range(3)


def error_layout():
    """An error: whether there is one, and which `MemoryFault`."""
    return data.StructLayout({"valid": 1, "code": 4})


class MemoryEngine(wiring.Component):
    """Runs memory instructions in order over one AXI4 port, and fetches instructions over the same port.

    The addresses of a LOAD or GATHER are issued while data of up to `_JOBS` instructions before it still arrive, and the
    indices of a GATHER are asked for before the rows of the GATHER before it; a STORE waits until those are done, and the
    next instruction until all the STORE's write responses have come. Data move as fast as the bus, a LOAD
    moves a mask or as many lines as the bus brings in a cycle, a GATHER a line.

    An error is reported once, when everything before the instruction it hit is `done`, however far the reads ran ahead.
    Nothing starts after it, that instruction and those behind it are never `done`, and only a reset helps. Tiles of the same
    instruction that came before an out-of-range one are written. A LOAD that fetches more bytes than its tiles take is done
    when the last of them has come and been dropped.

    The base of memory is added to every address, and every burst has to lie inside the window of its direction; an instruction
    or a fetch that leaves it is an error of its own, and the bus is not asked.

    With several `ports`, a LOAD to the weight buffer has one row, and its tiles are striped: tile t comes through port ``t mod
    ports``, the first of which is `axi`. That one serves everything else too, but GATHERs for one of several clusters: these
    are a matter of the port with the cluster's number, modulo the ports. Of a LOAD every port reads the same number of bytes
    from the same address, counted from a base of its own, and may run ahead of the others; the LOAD is done when all its tiles
    are written. If several ports fail in it, the first in number is reported; tiles of later LOADs may have come through
    others. LOADs that are under way at once must not write the same slots of the weight buffer: their order is not kept.

    Soft reset: raise `flush` and hold it, wait for `idle`, then raise `core_reset`; `flush` may fall as that rises.
    While `flush` is up no burst begins, arriving data are dropped, an open write burst ends with empty strobes, and
    neither `done` nor `error` is raised; `core_reset` then clears everything, requests not yet issued included.

    Parameters
    ----------
    tile, width, lines_per_beat : shape of tiles and of the buffers' ports
    b_width, scale_bits : bits of a weight, and of a scale in the vector buffer
    bus_width : data bits, 64 to 512
    burst_beats : longest burst, in either direction
    outstanding_reads : data bursts in flight, in either direction; the data FIFO holds as many
    weight_tiles, activation_tiles, vector_lines : capacities of the buffers
    address_bits : of the bus
    ports : 1, 2, 4 or 8, to main memory
    skid : whether pieces that the way to the bus refuses wait in a skid buffer
    clusters : activation buffers, of `activation_tiles` each

    Members
    -------
    axi : Out(AXI4Signature); id 0 for data, id 1 for fetches
    axi_{n} : Out(AXI4ReadSignature), of the ports n from 1 on
    access : In(access_layout); port_base : In(pages).array(ports - 1), the base of memory for each of them
    instruction : In(stream(512)), taken when it has been issued (STORE: finished)
    done : Out(1), a cycle per finished instruction; the last write into a buffer was at least a cycle before
    error : Out(error_layout), a cycle
    weight_write, activation_write : Out(stream(tile_write)); weight_write_{n} : the same of the ports from 1 on, and with
        several clusters activation_write_{n}, activation_clusters_{n}
    vector_write : Out(stream(vector_write))
    read_request : Out(stream(SLOT_BITS)), read : In(stream(tile_beat)), the tiles of a STORE
    activation_clusters, store_clusters : Out(clusters), with several: whose buffers `activation_write` goes to, and whose
        `read_request` asks
    fetch_request : In(stream(32)), fetch : Out(stream(fetch_layout)); four instructions may be on their way
    flush, core_reset : In(1), idle : Out(1)
    scrub : In(1), pulse, while nothing runs: zeroes the buffers, see `Scrubber`; scrubbed : Out(1), pulse
    bytes_read, bytes_written : Out, bytes on the bus in the cycle before, fetches and dropped data included
    bytes_read_{n} : Out, of the ports from 1 on, which `bytes_read` leaves out
    tiles_loaded : Out(1), a tile was completed in a buffer in the cycle before
    busy : Out(1), an instruction is in progress
    stalled : Out(1), and no data moved in the cycle before, neither on the bus (fetches excepted) nor into a buffer
    """

    def __init__(self, *, tile, width, b_width, scale_bits, lines_per_beat, bus_width, burst_beats, outstanding_reads,
                 weight_tiles, activation_tiles, vector_lines, address_bits=32, ports=1, skid=False, clusters=1):
        if bus_width not in (64, 128, 256, 512):
            raise ValueError(f"bus_width = {bus_width}: 64, 128, 256 or 512")
        self._bus_width, self._skid, self._clusters = bus_width, skid, clusters
        shape = {"tile": tile, "width": width, "lines_per_beat": lines_per_beat}
        pieces = Pieces(**shape, b_width=b_width, scale_bits=scale_bits, bus_width=bus_width)
        self._reader = AxiReader(
            bus_width=bus_width, burst_beats=burst_beats,
            depths=(outstanding_reads * burst_beats, max(4, _FETCHES_AHEAD * 8 * INSTRUCTION_BYTES // bus_width)),
            outstanding=(outstanding_reads, _FETCHES_AHEAD * max(1, 8 * INSTRUCTION_BYTES // bus_width // burst_beats)),
            address_bits=address_bits,
        )
        self._writer = AxiWriter(bus_width=bus_width, burst_beats=burst_beats, outstanding=outstanding_reads,
                                 address_bits=address_bits)
        self._fetch_port = FetchPort(bus_width=bus_width)
        self._gearbox_in = GearboxIn(bus_width=bus_width, sizes=pieces.sizes)
        self._gearbox_out = GearboxOut(bus_width=bus_width, sizes=(pieces.sizes[MASK], pieces.sizes[LINE]))
        self._loader = TileLoader(pieces=pieces, stripes=ports, capacities={
            Buffer.WEIGHT: weight_tiles, Buffer.ACTIVATION: activation_tiles, Buffer.VECTOR: vector_lines})
        self._further = FurtherPorts(
            **shape, ports=ports, ahead=_JOBS, b_width=b_width, bus_width=bus_width, burst_beats=burst_beats,
            outstanding_reads=outstanding_reads, weight_tiles=weight_tiles, activation_tiles=activation_tiles,
            clusters=clusters, address_bits=address_bits)
        self._gatherer = Gatherer(**shape, bus_width=bus_width, activation_tiles=activation_tiles,
                                  rows_ahead=outstanding_reads + 2)
        self._storer = TileStorer(**shape, activation_tiles=activation_tiles)
        self._scrubber = Scrubber(**shape, b_width=b_width, scale_bits=scale_bits, weight_tiles=weight_tiles,
                                  activation_tiles=activation_tiles, vector_lines=vector_lines)
        super().__init__({
            "axi": Out(AXI4Signature(data_width=bus_width, address_width=address_bits)),
            "access": In(access_layout(address_bits)),
            "instruction": In(stream.Signature(8 * INSTRUCTION_BYTES)),
            "done": Out(1),
            "error": Out(error_layout()),
            "weight_write": Out(stream.Signature(tile_write(tile, b_width, lines_per_beat))),
            "activation_write": Out(stream.Signature(tile_write(**shape))),
            "vector_write": Out(stream.Signature(vector_write(tile, width, scale_bits))),
            "read_request": Out(stream.Signature(SLOT_BITS)),
            "read": In(stream.Signature(tile_beat(**shape))),
            **({"activation_clusters": Out(clusters), "store_clusters": Out(clusters)} if clusters > 1 else {}),
            "fetch_request": In(stream.Signature(32)),
            "fetch": Out(stream.Signature(fetch_layout())),
            "flush": In(1),
            "idle": Out(1),
            "core_reset": In(1),
            "scrub": In(1),
            "scrubbed": Out(1),
            "bytes_read": Out(range(bus_width // 8 + 1)),
            "bytes_written": Out(range(bus_width // 8 + 1)),
            "tiles_loaded": Out(1),
            "busy": Out(1),
            "stalled": Out(1),
        } | self._further.members)

    def elaborate(self, platform):
        m = Module()
        for name in ("reader", "writer", "fetch_port", "gearbox_in", "gearbox_out", "loader", "gatherer", "storer", "scrubber"):
            m.submodules[name] = getattr(self, f"_{name}")
        # Kinds have a queue of their own, with the head in a register: what follows from it is the longest path. It is one
        # longer than that of the jobs, since a kind takes a cycle to its register.
        load = load_layout(self._bus_width)
        m.submodules.jobs = jobs = SyncFIFO(width=load.size, depth=_JOBS)
        m.submodules.kinds = kinds = SyncFIFOBuffered(width=2, depth=_JOBS + 1)
        m.d.comb += [kinds.w_en.eq(jobs.w_en), kinds.r_en.eq(jobs.r_en)]
        gathers = kinds.r_rdy & (kinds.r_data == _GATHER)
        failed = Signal()
        self._further.add(m, self, failed)

        self._bus(m)
        self._issue(m, kinds.w_data, data.View(load, jobs.w_data), jobs, failed)
        finished = self._run_jobs(m, kinds, data.View(load, jobs.r_data), jobs)
        spoiled = self._cut_beats(m, gathers)
        self._write_buffers(m)
        if self._clusters > 1:
            self._choose_clusters(m, jobs)
        self._status(m, finished, jobs, failed, spoiled)
        return ResetInserter(self.core_reset)(m)

    def _bus(self, m):
        """The bus, the instruction fetch and the way of a STORE."""
        reader, writer, fetch, storer = self._reader, self._writer, self._fetch_port, self._storer
        m.d.comb += [
            *join(self.axi, reader.axi),
            *join(self.axi, writer.axi),
            reader.access.eq(self.access),
            writer.access.eq(self.access),
            reader.flush.eq(self.flush),
            writer.flush.eq(self.flush),
            self.idle.eq(self._further.idle(reader.idle & writer.idle)),
        ]
        wiring.connect(m, wiring.flipped(self.fetch_request), fetch.fetch_request)
        wiring.connect(m, fetch.fetch, wiring.flipped(self.fetch))
        wiring.connect(m, fetch.request, reader.request[1])
        wiring.connect(m, reader.o[1], fetch.i)

        wiring.connect(m, storer.read_request, wiring.flipped(self.read_request))
        wiring.connect(m, wiring.flipped(self.read), storer.read)
        wiring.connect(m, skidded(m, storer.o, self._skid, "pieces"), self._gearbox_out.i)
        wiring.connect(m, self._gearbox_out.o, writer.i)

    def _issue(self, m, kind, job, jobs, failed):
        """Starts instructions: read requests for the bus, and jobs for what arrives."""
        further, room = self._further, self._further.has_room(jobs.w_rdy)
        load, store, gather = (
            data.View(layout(opcode), self.instruction.payload)
            for opcode in (Opcode.LOAD, Opcode.STORE, Opcode.GATHER)
        )
        request, issue, area = self._reader.request[0], self._gatherer.issue, job.area
        beats = size_code(self._bus_width)
        may_start, push, begun = self.instruction.valid & ~failed, Signal(), Signal()
        elsewhere = Signal()
        m.d.comb += jobs.w_en.eq(push & ~elsewhere if further.spread else push)

        def place(instruction):
            m.d.comb += [getattr(area, name).eq(getattr(instruction, name)) for name in area.shape().members]

        def skip():
            """An instruction without tiles, in its place among the others."""
            m.d.comb += [kind.eq(_NOTHING), push.eq(may_start & room), self.instruction.ready.eq(push)]

        m.d.comb += [
            request.payload.eq(self._gatherer.request.payload),
            request.valid.eq(self._gatherer.request.valid),
            self._gatherer.request.ready.eq(request.ready),
            job.beats.eq(load.bytes >> beats),
            job.buffer.eq(load.buffer),
            issue.payload.table.eq(gather.address >> beats),
            issue.payload.indices.eq(gather.indices >> beats),
            issue.payload.row_beats.eq(gather.row_bytes >> beats),
            issue.payload.rows.eq(gather.rows),
            issue.payload.columns.eq(gather.columns),
            self._writer.address.eq(store.address >> beats),
        ]
        if further.order:
            m.d.comb += further.order.i.payload.eq(1)
        further.tell_gather(m, gather, issue.payload)
        with m.Switch(load.opcode):
            with m.Case(Opcode.LOAD):
                place(load)
                with m.If((load.columns == 0) | ((load.rows == 0) & (load.buffer != Buffer.VECTOR))):
                    skip()
                with m.Elif(self._gatherer.issued):
                    m.d.comb += [
                        kind.eq(_LOAD),
                        request.payload.beat.eq(load.address >> beats),
                        request.payload.beats.eq(load.bytes >> beats),
                        request.valid.eq(may_start & further.issue_shares(m, load, room, push)),
                        push.eq(request.valid & request.ready),
                        self.instruction.ready.eq(push),
                    ]
                with m.If(load.buffer == Buffer.VECTOR):
                    m.d.comb += area.rows.eq(1)
            with m.Case(Opcode.GATHER):
                place(gather)
                with m.If((gather.rows == 0) | (gather.columns == 0)):
                    skip()
                if further.spread:
                    chosen, one = further.chosen(gather)
                    with m.Elif(one):
                        m.d.comb += [elsewhere.eq(1), push.eq(may_start & further.order.i.ready & further.gather_ready),
                                     self.instruction.ready.eq(push)]
                        further.issue_gather(m, chosen, may_start & further.order.i.ready)
                with m.Else():
                    m.d.comb += [
                        kind.eq(_GATHER),
                        issue.valid.eq(may_start & room),
                        push.eq(issue.valid & issue.ready),
                        self.instruction.ready.eq(push),
                    ]
            with m.Case(Opcode.STORE):
                with m.If((store.rows == 0) | (store.columns == 0)):
                    skip()
                with m.Else():
                    self._issue_store(m, store, may_start & further.quiet(~jobs.r_rdy), begun)
            with m.Default():
                skip()
        if further.order:
            m.d.comb += further.order.i.valid.eq(push)

    def _issue_store(self, m, store, may_start, begun):
        """Starts a STORE when nothing else runs, and takes the instruction when memory has it all."""
        job = self._storer.job
        m.d.comb += [
            *(getattr(job.payload, name).eq(getattr(store, name)) for name in job.payload.shape().members),
            job.valid.eq(may_start & ~begun),
            self.instruction.ready.eq(self._writer.done),
        ]
        with m.If(job.valid & job.ready):
            m.d.sync += begun.eq(1)
        with m.If(self._writer.done):
            m.d.sync += begun.eq(0)

    def _run_jobs(self, m, kinds, job, jobs):
        """Gives the job at the head to whom it concerns; returns "an instruction has finished"."""
        loader, gatherer = self._loader, self._gatherer
        job_done = Signal()
        m.d.comb += [
            loader.job.payload.eq(job),
            gatherer.job.payload.eq(job.area),
            jobs.r_en.eq(job_done),
        ]
        with m.If(kinds.r_rdy):
            with m.Switch(kinds.r_data):
                with m.Case(_LOAD):
                    m.d.comb += [loader.job.valid.eq(1), job_done.eq(loader.job.ready)]
                with m.Case(_GATHER):
                    m.d.comb += [gatherer.job.valid.eq(1), job_done.eq(gatherer.job.ready)]
                with m.Default():
                    m.d.comb += job_done.eq(1)
        return self._further.done(m, job_done) | self._writer.done

    def _cut_beats(self, m, gathers):
        """Beats to the gearbox or the list of indices, pieces to the loader or the gatherer.

        A beat with an error that the gearbox would take stays where it is, and stops everything: as the gearbox takes beats of
        the job at the head only, that is the one it hit. Returns "such a beat is there".
        """
        loader, gatherer, gearbox, beats = self._loader, self._gatherer, self._gearbox_in, self._reader.o[0]
        indices = gatherer.indices.ready & gearbox.idle
        good = beats.valid & ~beats.payload.error
        m.d.comb += [
            gatherer.indices.payload.eq(beats.payload),
            gatherer.indices.valid.eq(beats.valid & indices),
            gearbox.i.payload.eq(beats.payload.data),
            gearbox.i.valid.eq(good & ~indices),
            beats.ready.eq(Mux(indices, 1, good & gearbox.i.ready)),
            loader.short.eq(gearbox.short),
            loader.drained.eq(gearbox.idle),
            loader.piece.payload.eq(gearbox.o.payload),
            gatherer.piece.payload.eq(gearbox.o.payload),
        ]
        with m.If(gathers):
            m.d.comb += [gearbox.size.eq(LINE), gearbox.append.eq(gatherer.append)]
        with m.Else():
            m.d.comb += gearbox.size.eq(loader.size)
        for owner, user in ((gathers, gatherer), (~gathers, loader)):
            with m.If(owner):
                m.d.comb += [
                    gearbox.segment.payload.eq(user.segment.payload),
                    gearbox.segment.valid.eq(user.segment.valid),
                    user.segment.ready.eq(gearbox.segment.ready),
                    user.piece.valid.eq(gearbox.o.valid),
                    gearbox.o.ready.eq(user.piece.ready),
                    gearbox.close.eq(user.close),
                ]
        return beats.valid & beats.payload.error & ~indices & gearbox.i.ready

    def _write_buffers(self, m):
        """Writes of the loader by buffer, of the gatherer to the activation buffer, of a scrub to all; never two at a time."""
        loader, gatherer = self._loader.o, self._gatherer.o
        vector = self.vector_write
        m.d.comb += [
            vector.payload.address.eq(loader.payload.slot),
            vector.payload.line.as_value().eq(loader.payload.lines[0].as_value()),
        ]
        for port in (self.weight_write, self.activation_write):
            for name, _ in port.payload.shape():
                if name == "lines":
                    for line, loaded in zip(port.payload.lines, loader.payload.lines, strict=True):
                        m.d.comb += line.as_value().eq(loaded.as_value())
                else:
                    m.d.comb += port.payload[name].eq(loader.payload[name])
        for buffer, port in (
            (Buffer.WEIGHT, self.weight_write), (Buffer.ACTIVATION, self.activation_write), (Buffer.VECTOR, vector),
        ):
            with m.If(self._loader.buffer == buffer):
                m.d.comb += [port.valid.eq(loader.valid), loader.ready.eq(port.ready)]
        with m.If(gatherer.valid):
            m.d.comb += [
                self.activation_write.payload.eq(gatherer.payload),
                self.activation_write.valid.eq(gatherer.valid),
                gatherer.ready.eq(self.activation_write.ready),
            ]
        scrubber = self._scrubber
        m.d.comb += [scrubber.start.eq(self.scrub), self.scrubbed.eq(scrubber.done)]
        with m.If(scrubber.busy):
            for name in ("weight_write", "activation_write", "vector_write"):
                source, port = getattr(scrubber, name), getattr(self, name)
                m.d.comb += [port.payload.eq(source.payload), port.valid.eq(source.valid), source.ready.eq(port.ready)]

    def _choose_clusters(self, m, jobs):
        """Whose buffers a job writes, a STORE reads: a job is at the head until its last write is taken."""
        named = data.View(header_layout(), self.instruction.payload[: header_layout().size]).clusters[: self._clusters]
        m.submodules.targets = targets = SyncFIFO(width=self._clusters, depth=_JOBS)
        everyone = self._scrubber.busy | ~targets.r_data.any()
        m.d.comb += [
            targets.w_data.eq(named), targets.w_en.eq(jobs.w_en), targets.r_en.eq(jobs.r_en),
            self.activation_clusters.eq(Mux(everyone, -1, targets.r_data)),
            self.store_clusters.eq(named),
        ]

    def _status(self, m, finished, jobs, failed, spoiled):
        """Completion, errors and counters."""
        axi, code = self.axi, Signal(4)
        with m.If(spoiled):
            m.d.comb += code.eq(Mux(self._reader.o[0].payload.refused, MemoryFault.READ_WINDOW, MemoryFault.BUS_READ))
        with m.Elif(self._writer.error):
            m.d.comb += code.eq(MemoryFault.BUS_WRITE)
        with m.Elif(self._writer.refused):
            m.d.comb += code.eq(MemoryFault.WRITE_WINDOW)
        with m.Else():
            m.d.comb += code.eq(self._loader.error | self._gatherer.error | self._storer.error)
        code = self._further.due(m, code)
        raised = (code != 0) & ~self.flush & ~failed
        with m.If(raised):
            m.d.sync += failed.eq(1)
        m.d.sync += [
            self.done.eq(finished & ~self.flush & ~failed),
            self.error.valid.eq(raised),
            self.error.code.eq(code),
        ]

        written, read = axi.wvalid & axi.wready, axi.rvalid & axi.rready
        tile_ports = (self.weight_write, self.activation_write, *self._further.writes)
        into_buffer = Cat(port.valid & port.ready for port in (*tile_ports, self.vector_write))
        tile_ends = Cat(port.valid & port.ready & port.payload.last for port in tile_ports)
        busy = self._further.running(self.instruction.valid | jobs.r_rdy)
        moved = self._further.moved(read & (axi.rid == 0))
        m.d.sync += [
            self.bytes_read.eq(Mux(read, self._bus_width // 8, 0)),
            self.bytes_written.eq(Mux(written, self._bus_width // 8, 0)),
            self.tiles_loaded.eq(tile_ends.any()),
            self.busy.eq(busy),
            self.stalled.eq(busy & ~written & ~moved & ~into_buffer.any()),
        ]
