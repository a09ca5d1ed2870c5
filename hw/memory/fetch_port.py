"""Instructions from main memory: read requests out, beats put together to whole instructions."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..spec.isa import INSTRUCTION_BYTES
from .axi import read_beat, read_request, size_code

__all__ = ["FetchPort", "fetch_layout"]


def fetch_layout():
    """An instruction as fetched, whether one of its beats came with an error, and whether it was refused."""
    return data.StructLayout({"instruction": 8 * INSTRUCTION_BYTES, "error": 1, "refused": 1})


class FetchPort(wiring.Component):
    """Fetches instructions in the order of the requests; the beats of the next one wait while one is offered.

    An instruction is offered the cycle after its last beat; one beat per cycle, with a cycle between instructions.

    Parameters
    ----------
    bus_width : data bits, a power of two, at most an instruction

    Members
    -------
    fetch_request : In(stream(32)), byte address of an instruction from the base of memory on, a multiple of its length
    fetch : Out(stream(fetch_layout))
    request : Out(stream(read_request)), to the reader
    i : In(stream(read_beat)), from the reader
    """

    def __init__(self, *, bus_width):
        self.beats = 8 * INSTRUCTION_BYTES // bus_width
        self._bus_width = bus_width
        super().__init__({
            "fetch_request": In(stream.Signature(32)),
            "fetch": Out(stream.Signature(fetch_layout())),
            "request": Out(stream.Signature(read_request(bus_width))),
            "i": In(stream.Signature(read_beat(bus_width))),
        })

    def elaborate(self, platform):
        m = Module()
        m.d.comb += [
            self.request.payload.beat.eq(self.fetch_request.payload >> size_code(self._bus_width)),
            self.request.payload.beats.eq(self.beats),
            self.request.valid.eq(self.fetch_request.valid),
            self.fetch_request.ready.eq(self.request.ready),
        ]

        fetched, count = self.fetch.payload, Signal(range(self.beats))
        m.d.comb += self.i.ready.eq(~self.fetch.valid)
        with m.If(self.fetch.ready):
            m.d.sync += self.fetch.valid.eq(0)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [
                fetched.instruction.eq(Cat(fetched.instruction, self.i.payload.data)[self._bus_width:]),
                fetched.error.eq(self.i.payload.error | ((count != 0) & fetched.error)),
                fetched.refused.eq(self.i.payload.refused),
                count.eq(count + 1),
            ]
            with m.If(count == self.beats - 1):
                m.d.sync += [count.eq(0), self.fetch.valid.eq(1)]
        return m
