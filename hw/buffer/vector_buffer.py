"""Lines of T values: biases, gammas and betas."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..layout import vector_line, vector_write
from ..spec.widths import LINE_ADDRESS_BITS
from ..streams.round_robin import RoundRobin
from ..streams.stream_queue import StreamQueue
from .sram import Sram

__all__ = ["VectorBuffer"]


class VectorBuffer(wiring.Component):
    """One SRAM of lines, one writer, several readers that take turns; all that ask for the line read get it.

    A reader's requests are answered in order, three cycles after they are taken or later; two of them may wait, and three
    answers. No combinational path between readers.
    Layer-norm units that work on rows of one tensor ask for the same lines at about the same time.

    Parameters
    ----------
    tile, width, scale_bits, lines : format and capacity
    readers : number of readers

    Members
    -------
    write : In(stream(vector_write))
    request : In(stream(LINE_ADDRESS_BITS)).array(readers)
    o : Out(stream(line)).array(readers)
    """

    def __init__(self, *, tile, width, lines, readers, scale_bits=0):
        self._lines, self._readers, self._line = lines, readers, vector_line(tile, width, scale_bits)
        super().__init__({
            "write": In(stream.Signature(vector_write(tile, width, scale_bits))),
            "request": In(stream.Signature(LINE_ADDRESS_BITS)).array(readers),
            "o": Out(stream.Signature(self._line)).array(readers),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Sram(depth=self._lines, width=self._line.size, name="vector_lines_0")
        m.d.comb += [
            self.write.ready.eq(1),
            memory.write_enable.eq(self.write.valid),
            memory.write_address.eq(self.write.payload.address),
            memory.write_data.eq(self.write.payload.line),
        ]

        arriving = Signal(self._readers)
        m.submodules.round_robin = turn = RoundRobin(inputs=self._readers)
        line = Signal(LINE_ADDRESS_BITS)
        m.d.comb += [turn.advance.eq(1), memory.read_enable.eq(turn.asks.any()), memory.read_address.eq(line)]
        for n, port in enumerate(self.request):
            m.submodules[f"requests_{n}"] = requests = StreamQueue(shape=LINE_ADDRESS_BITS, depth=2)
            connect(m, flipped(port), requests.i)
            request = requests.o
            m.submodules[f"answers_{n}"] = answers = StreamQueue(shape=self._line, depth=3)
            m.d.comb += [
                turn.asks[n].eq(request.valid & (answers.level + arriving[n] < 3)),
                request.ready.eq(turn.asks[n] & (request.payload == line)),
                answers.i.valid.eq(arriving[n]),
                answers.i.payload.eq(memory.read_data),
            ]
            m.d.sync += arriving[n].eq(request.ready)
            connect(m, answers.o, flipped(self.o[n]))
            with m.If(turn.grant[n]):
                m.d.comb += line.eq(request.payload)
        return m
