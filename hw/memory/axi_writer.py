"""Writes to main memory: a stream of beats collected into bursts of known length."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO, SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from ..spec.registers import PAGE_BITS
from .access import access_layout, within
from .axi import BURST_INCR, RESPONSE_OKAY, AXI4WriteSignature, beat_bits, size_code

__all__ = ["AxiWriter"]


class AxiWriter(wiring.Component):
    """Writes a stream of beats to consecutive addresses in INCR bursts, and tells when memory has answered them all.

    Beats are collected up to the next multiple of `burst_beats` (so bursts never cross 4 KiB) or the end of the
    stream; only then the burst's address and first beat are offered, at the same time and without waiting for each
    other. One beat per cycle. While `flush` is high no burst is begun and the rest of an open one writes no byte
    (``wstrb = 0``); a beat that is already offered keeps its strobes.

    The base of memory is added to the address. A burst whose page lies outside the window for writes is not begun, nor
    anything behind it; `refused` is high while such a burst is next. A burst takes the bus attributes of the moment in which
    it begins.

    Parameters
    ----------
    bus_width : data bits, a power of two
    burst_beats : longest burst, a power of two with at most 4096 bytes
    outstanding : bursts without an answer
    address_bits : of the bus

    Members
    -------
    axi : AW, W and B channels; the id is 0
    access : In(access_layout)
    address : In(beat_bits), beat address of the stream's first beat, from the base of memory on; there a cycle before that
        beat, and held until it is taken
    i : In(stream(data, last)); after ``last`` the next stream has to wait for `done`
    done : Out(1), a cycle, when the last answer has come; never after an answer other than OKAY
    error : Out(1), from such an answer until reset
    refused : Out(1), the next burst lies outside the window
    flush : In(1)
    idle : Out(1), nothing is outstanding on the bus
    """

    def __init__(self, *, bus_width, burst_beats, outstanding, address_bits=32):
        if burst_beats & (burst_beats - 1) or burst_beats * bus_width > 8 * 4096:
            raise ValueError(f"burst_beats = {burst_beats}: a power of two of at most {8 * 4096 // bus_width} beats")
        self._bus_width = bus_width
        self._burst_beats = burst_beats
        self._outstanding = outstanding
        self._beat_bits = beat_bits(bus_width, address_bits)
        super().__init__({
            "axi": Out(AXI4WriteSignature(data_width=bus_width, address_width=address_bits)),
            "access": In(access_layout(address_bits)),
            "address": In(beat_bits(bus_width)),
            "i": In(stream.Signature(data.StructLayout({"data": bus_width, "last": 1}))),
            "done": Out(1),
            "error": Out(1),
            "refused": Out(1),
            "flush": In(1),
            "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        offset = self._burst_beats.bit_length() - 1
        burst = data.StructLayout({"beat": self._beat_bits + 1, "more": offset})
        m.submodules.beats = beats = SyncFIFOBuffered(width=self._bus_width, depth=2 * self._burst_beats)
        m.submodules.bursts = bursts = SyncFIFO(width=data.Layout.cast(burst).size, depth=2)
        ending = self._collect(m, offset, beats, bursts)
        flying = self._send(m, data.View(burst, bursts.r_data), beats, bursts)
        finished = ending & ~bursts.r_rdy & (flying == 0) & ~self.error
        m.d.comb += self.done.eq(finished)
        with m.If(finished):
            m.d.sync += ending.eq(0)
        return m

    def _collect(self, m, offset, beats, bursts):
        """Beats into their FIFO, and a burst for every full or last collection; returns "the stream has ended"."""
        inside, ending = Signal(), Signal()
        # With a bit more than the bus has: what lies beyond its addresses lies in no window.
        bits = self._beat_bits + 1
        first, following = Signal(bits, reset_less=True), Signal(bits, reset_less=True)
        address = Signal(bits, reset_less=True)
        beat, start = Signal(bits), Signal(bits)
        closes = self.i.payload.last | beat[:offset].all()
        taken = self.i.valid & self.i.ready
        m.d.sync += address.eq((self.access.memory_base << (PAGE_BITS - size_code(self._bus_width))) + self.address)
        m.d.comb += [
            beat.eq(Mux(inside, following, address)),
            start.eq(Mux(inside, first, address)),
            self.i.ready.eq(~ending & beats.w_rdy & bursts.w_rdy),
            beats.w_data.eq(self.i.payload.data),
            beats.w_en.eq(taken),
            bursts.w_data.eq(Cat(start, (beat - start)[:offset])),
            bursts.w_en.eq(taken & closes),
        ]
        with m.If(taken):
            m.d.sync += [
                inside.eq(~self.i.payload.last),
                ending.eq(self.i.payload.last),
                following.eq(beat + 1),
                first.eq(Mux(closes, beat + 1, start)),
            ]
        return ending

    def _send(self, m, burst, beats, bursts):
        """The three channels; returns the number of bursts without an answer."""
        axi = self.axi
        flying, sending = Signal(range(self._outstanding + 1)), Signal()
        left = Signal.like(burst.more, reset_less=True)
        load, begin, allowed = Signal(), Signal(), Signal()
        m.d.comb += [
            allowed.eq(within(self.access.write, burst.beat, self._bus_width)),
            self.refused.eq(bursts.r_rdy & ~allowed),
            load.eq(sending & beats.r_rdy & (~axi.wvalid | axi.wready)),
            begin.eq(bursts.r_rdy & allowed & ~self.flush & (~axi.awvalid | axi.awready)
                     & (flying != self._outstanding) & (~sending | (load & (left == 0)))),
            bursts.r_en.eq(begin),
            beats.r_en.eq(load),
            axi.bready.eq(1),
            axi.awsize.eq(size_code(self._bus_width)),
            axi.awburst.eq(BURST_INCR),
            self.idle.eq(flying == 0),
        ]
        m.d.sync += flying.eq(flying + begin - axi.bvalid)

        with m.If(axi.awready):
            m.d.sync += axi.awvalid.eq(0)
        with m.If(axi.wready):
            m.d.sync += axi.wvalid.eq(0)
        with m.If(load):
            m.d.sync += [
                axi.wvalid.eq(1),
                axi.wdata.eq(beats.r_data),
                axi.wstrb.eq(Mux(self.flush, 0, -1)),
                axi.wlast.eq(left == 0),
                left.eq(left - 1),
                sending.eq(left != 0),
            ]
        with m.If(begin):
            m.d.sync += [
                sending.eq(1),
                left.eq(burst.more),
                axi.awvalid.eq(1),
                axi.awaddr.eq(burst.beat << size_code(self._bus_width)),
                axi.awlen.eq(burst.more),
                axi.awprot.eq(self.access.prot),
                axi.awcache.eq(self.access.cache),
            ]
        with m.If(axi.bvalid & (axi.bresp != RESPONSE_OKAY)):
            m.d.sync += self.error.eq(1)
        return flying
