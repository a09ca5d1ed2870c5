"""One client of the reader: its requests cut into bursts, its responses kept until it takes them."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from ..spec.registers import PAGE_BITS
from .access import access_layout, within
from .axi import beat_bits, read_beat, read_request, size_code

__all__ = ["ReadClient", "burst_layout"]


def burst_layout(bus_width, burst_beats, address_bits=32):
    """A burst of ``length`` beats from beat address ``beat``, as the bus counts."""
    return data.StructLayout({"beat": beat_bits(bus_width, address_bits), "length": range(burst_beats + 1)})


class ReadClient(wiring.Component):
    """Splits requests at multiples of `burst_beats` beats and reserves a place for every beat it asks for.

    A burst is offered when the FIFO has room for all its beats, those on their way counted, so `response` needs no
    ready. Bursts follow each other without a gap within a request, with one idle cycle between requests; a beat is
    offered on `o` two cycles after it came.

    What lies outside the window for reads is not offered: each of its beats is answered here, one per cycle, with an error
    marked as refused, after the answers to everything before it.

    Parameters
    ----------
    bus_width, burst_beats, address_bits : as for `AxiReader`
    depth : beats in the FIFO
    outstanding : bursts in flight

    Members
    -------
    request : In(stream(read_request))
    access : In(access_layout)
    burst : Out(stream(burst_layout))
    response : In({data, error}), with response_valid and response_last
    o : Out(stream(read_beat))
    flush : In(1), drop what arrives
    idle : Out(1), no burst is in flight
    """

    def __init__(self, *, bus_width, burst_beats, depth, outstanding, address_bits=32):
        self._bus_width = bus_width
        self._burst_beats = burst_beats
        self._depth = depth
        self._outstanding = outstanding
        self._address_bits = address_bits
        super().__init__({
            "request": In(stream.Signature(read_request(bus_width))),
            "access": In(access_layout(address_bits)),
            "burst": Out(stream.Signature(burst_layout(bus_width, burst_beats, address_bits))),
            "response": In(data.StructLayout({"data": bus_width, "error": 1})),
            "response_valid": In(1),
            "response_last": In(1),
            "o": Out(stream.Signature(read_beat(bus_width))),
            "flush": In(1),
            "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        burst, issued, refused, popped = self.burst.payload, Signal(), Signal(), Signal()
        m.d.comb += [issued.eq(self.burst.valid & self.burst.ready), popped.eq(self.o.valid & self.o.ready)]

        # What is left of the request, up to the next multiple of burst_beats. With a bit more than the bus has: what lies
        # beyond its addresses lies in no window.
        beat, left = Signal(len(burst.beat) + 1, reset_less=True), Signal(beat_bits(self._bus_width))
        room = Signal(range(self._burst_beats + 1))
        m.d.comb += [
            room.eq(self._burst_beats - beat[:self._burst_beats.bit_length() - 1]),
            burst.beat.eq(beat),
            burst.length.eq(Mux(left < room, left, room)),
            self.request.ready.eq(left == 0),
        ]
        with m.If(issued):
            m.d.sync += [beat.eq(beat + burst.length), left.eq(left - burst.length)]
        with m.If(refused):
            m.d.sync += [beat.eq(beat + 1), left.eq(left - 1)]
        base = self.access.memory_base << (PAGE_BITS - size_code(self._bus_width))
        with m.If(self.request.valid & self.request.ready):
            m.d.sync += [beat.eq(base + self.request.payload.beat), left.eq(self.request.payload.beats)]

        # A burst needs room in the FIFO and a place among those in flight.
        credits = Signal(range(self._depth + 1), init=self._depth)
        flying, inside = Signal(range(self._outstanding + 1)), Signal()
        m.d.comb += [
            inside.eq(within(self.access.read, beat, self._bus_width)),
            self.burst.valid.eq((left != 0) & inside & (credits >= burst.length) & (flying != self._outstanding)),
            refused.eq((left != 0) & ~inside & (credits != 0) & self.idle & ~self.flush),
            self.idle.eq(flying == 0),
        ]
        m.d.sync += [
            credits.eq(credits - Mux(issued, burst.length, refused) + popped),
            flying.eq(flying + issued - (self.response_valid & self.response_last)),
        ]

        # Responses wait here. None is under way while something is refused.
        answer = Signal(read_beat(self._bus_width))
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=len(answer.as_value()), depth=self._depth)
        m.d.comb += [
            answer.data.eq(self.response.data),
            answer.error.eq(self.response.error | refused),
            answer.refused.eq(refused),
            fifo.w_data.eq(answer),
            fifo.w_en.eq((self.response_valid | refused) & ~self.flush),
            Value.cast(self.o.payload).eq(fifo.r_data),
            self.o.valid.eq(fifo.r_rdy),
            fifo.r_en.eq(self.o.ready),
        ]
        return m
