"""One client of the reader: its requests cut into bursts, its responses kept until it takes them."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from .axi import beat_bits, read_beat, read_request

__all__ = ["ReadClient", "burst_layout"]


def burst_layout(bus_width, burst_beats):
    """A burst of ``length`` beats from beat address ``beat``."""
    return data.StructLayout({"beat": beat_bits(bus_width), "length": range(burst_beats + 1)})


class ReadClient(wiring.Component):
    """Splits requests at multiples of `burst_beats` beats and reserves a place for every beat it asks for.

    A burst is offered when the FIFO has room for all its beats, those on their way counted, so `response` needs no
    ready. Bursts follow each other without a gap within a request, with one idle cycle between requests; a beat is
    offered on `o` two cycles after it came.

    Parameters
    ----------
    bus_width, burst_beats : as for `AxiReader`
    depth : beats in the FIFO
    outstanding : bursts in flight

    Members
    -------
    request : In(stream(read_request))
    burst : Out(stream(burst_layout))
    response : In(read_beat), with response_valid and response_last
    o : Out(stream(read_beat))
    flush : In(1), drop what arrives
    idle : Out(1), no burst is in flight
    """

    def __init__(self, *, bus_width, burst_beats, depth, outstanding):
        self._bus_width = bus_width
        self._burst_beats = burst_beats
        self._depth = depth
        self._outstanding = outstanding
        super().__init__({
            "request": In(stream.Signature(read_request(bus_width))),
            "burst": Out(stream.Signature(burst_layout(bus_width, burst_beats))),
            "response": In(read_beat(bus_width)),
            "response_valid": In(1),
            "response_last": In(1),
            "o": Out(stream.Signature(read_beat(bus_width))),
            "flush": In(1),
            "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        burst, issued, popped = self.burst.payload, Signal(), Signal()
        m.d.comb += [issued.eq(self.burst.valid & self.burst.ready), popped.eq(self.o.valid & self.o.ready)]

        # What is left of the request, up to the next multiple of burst_beats.
        bits = beat_bits(self._bus_width)
        beat, left = Signal(bits, reset_less=True), Signal(bits)
        room = Signal(range(self._burst_beats + 1))
        m.d.comb += [
            room.eq(self._burst_beats - beat[:self._burst_beats.bit_length() - 1]),
            burst.beat.eq(beat),
            burst.length.eq(Mux(left < room, left, room)),
            self.request.ready.eq(left == 0),
        ]
        with m.If(issued):
            m.d.sync += [beat.eq(beat + burst.length), left.eq(left - burst.length)]
        with m.If(self.request.valid & self.request.ready):
            m.d.sync += [beat.eq(self.request.payload.beat), left.eq(self.request.payload.beats)]

        # A burst needs room in the FIFO and a place among those in flight.
        credits = Signal(range(self._depth + 1), init=self._depth)
        flying = Signal(range(self._outstanding + 1))
        m.d.comb += [
            self.burst.valid.eq((left != 0) & (credits >= burst.length) & (flying != self._outstanding)),
            self.idle.eq(flying == 0),
        ]
        m.d.sync += [
            credits.eq(credits - Mux(issued, burst.length, 0) + popped),
            flying.eq(flying + issued - (self.response_valid & self.response_last)),
        ]

        # Responses wait here.
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=self._bus_width + 1, depth=self._depth)
        m.d.comb += [
            fifo.w_data.eq(self.response),
            fifo.w_en.eq(self.response_valid & ~self.flush),
            Value.cast(self.o.payload).eq(fifo.r_data),
            self.o.valid.eq(fifo.r_rdy),
            fifo.r_en.eq(self.o.ready),
        ]
        return m
