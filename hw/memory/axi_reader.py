"""Reads from main memory for several clients: one address channel, responses told apart by their id."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .access import access_layout
from .axi import BURST_INCR, RESPONSE_OKAY, AXI4ReadSignature, read_beat, read_request, size_code
from .read_client import ReadClient

__all__ = ["AxiReader"]


class AxiReader(wiring.Component):
    """Turns each client's requests into INCR bursts and hands it the beats in the order of its requests.

    Bursts end at multiples of `burst_beats` beats, so they never cross 4 KiB. A client's id is its number, and a burst
    leaves only when the client's response FIFO has room for all of it: `rready` is always high, and no client can hold
    up another, in whatever order the memory answers the ids. The client with the highest number goes first.

    One burst per cycle can be issued; a beat is offered to its client two cycles after the bus. While `flush` is high
    nothing new is issued and arriving beats are dropped; an address that is already offered stays until it is taken.

    The base of memory is added to every request. A burst leaves only for pages inside the window for reads, with the bus
    attributes of that moment; what lies outside is answered with errors, see `ReadClient`.

    Parameters
    ----------
    bus_width : data bits, a power of two
    burst_beats : longest burst, a power of two with at most 4096 bytes
    depths : per client, beats in the response FIFO; at least the longest burst of that client, and at least 4
    outstanding : per client, bursts in flight
    address_bits : of the bus

    Members
    -------
    axi : AR and R channels
    access : In(access_layout)
    request : In(stream(read_request)), per client; zero beats are taken and answered with nothing
    o : Out(stream(read_beat)), per client
    flush : In(1)
    idle : Out(1), nothing is outstanding on the bus
    """

    def __init__(self, *, bus_width, burst_beats, depths, outstanding, address_bits=32):
        if burst_beats & (burst_beats - 1) or burst_beats * bus_width > 8 * 4096:
            raise ValueError(f"burst_beats = {burst_beats}: a power of two of at most {8 * 4096 // bus_width} beats")
        if len(depths) != len(outstanding) or min(depths) < 4:
            raise ValueError(f"depths = {depths}, outstanding = {outstanding}: one of each per client, depths from 4")
        self._bus_width = bus_width
        self._burst_beats = burst_beats
        self._depths = depths
        self._outstanding = outstanding
        self._address_bits = address_bits
        self._id_width = max(1, (len(depths) - 1).bit_length())
        super().__init__({
            "axi": Out(AXI4ReadSignature(data_width=bus_width, address_width=address_bits, id_width=self._id_width)),
            "access": In(access_layout(address_bits)),
            "request": In(stream.Signature(read_request(bus_width))).array(len(depths)),
            "o": Out(stream.Signature(read_beat(bus_width))).array(len(depths)),
            "flush": In(1),
            "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        axi = self.axi
        clients = [
            ReadClient(bus_width=self._bus_width, burst_beats=self._burst_beats, depth=depth, outstanding=outstanding,
                       address_bits=self._address_bits)
            for depth, outstanding in zip(self._depths, self._outstanding, strict=True)
        ]
        for n, client in enumerate(clients):
            m.submodules[f"client_{n}"] = client
            wiring.connect(m, wiring.flipped(self.request[n]), client.request)
            wiring.connect(m, client.o, wiring.flipped(self.o[n]))

        # The address channel is a register that the clients share, the last one first.
        with m.If(axi.arready):
            m.d.sync += axi.arvalid.eq(0)
        with m.If((~axi.arvalid | axi.arready) & ~self.flush):
            for n, client in reversed(list(enumerate(clients))):
                with m.If(client.burst.valid) if client is clients[-1] else m.Elif(client.burst.valid):
                    m.d.comb += client.burst.ready.eq(1)
                    m.d.sync += [
                        axi.arvalid.eq(1),
                        axi.arid.eq(n),
                        axi.araddr.eq(client.burst.payload.beat << size_code(self._bus_width)),
                        axi.arlen.eq(client.burst.payload.length - 1),
                        axi.arprot.eq(self.access.prot),
                        axi.arcache.eq(self.access.cache),
                    ]
        m.d.comb += [
            axi.arsize.eq(size_code(self._bus_width)),
            axi.arburst.eq(BURST_INCR),
        ]

        # Every response goes to the client it names.
        m.d.comb += axi.rready.eq(1)
        for n, client in enumerate(clients):
            m.d.comb += [
                client.access.eq(self.access),
                client.response.data.eq(axi.rdata),
                client.response.error.eq(axi.rresp != RESPONSE_OKAY),
                client.response_valid.eq(axi.rvalid & (axi.rid == n)),
                client.response_last.eq(axi.rlast),
                client.flush.eq(self.flush),
            ]
        m.d.comb += self.idle.eq(~axi.arvalid)
        for client in clients:
            with m.If(~client.idle):
                m.d.comb += self.idle.eq(0)
        return m
