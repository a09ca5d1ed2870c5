"""Instruction fetch: requests the program's instructions in order and lands the answers."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from ..spec.widths import NUMBER_BITS
from .layouts import FETCHED, INSTRUCTION_BITS, engine_bits

__all__ = ["InstructionFetch"]


class InstructionFetch(wiring.Component):
    """Fetches `length` instructions from `address` on.

    Requests are made only for answers that there is room for, so the answer stream is never held up. A request leaves
    every other cycle at most, up to `outstanding` wait for their answer or for the decoder.

    Parameters
    ----------
    outstanding : answers that may be under way or waiting

    Members
    -------
    address : In(32), byte address of the first, low 6 bits ignored; length : In(16); both read at `start`
    start : In(1), pulse, while idle
    stop : In(1), makes no new requests; one that stands stays until it is taken
    request : Out(stream(32)), byte address of an instruction
    fetch : In(stream(FETCHED)), the answers in order
    o : Out(stream({instruction, number, error, refused})), at most `engine_bits()` bits of the instruction are kept
    idle : Out(1), nothing is under way or waiting
    exhausted : Out(1), all instructions have been handed out
    """

    def __init__(self, *, outstanding=4):
        self._outstanding = outstanding
        super().__init__({
            "address": In(32),
            "length": In(NUMBER_BITS),
            "start": In(1),
            "stop": In(1),
            "request": Out(stream.Signature(32)),
            "fetch": In(stream.Signature(FETCHED)),
            "o": Out(stream.Signature(data.StructLayout({
                "instruction": engine_bits(), "number": NUMBER_BITS, "error": 1, "refused": 1}))),
            "idle": Out(1),
            "exhausted": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        block_bits = (INSTRUCTION_BITS // 8 - 1).bit_length()
        block = Signal(32 - block_bits, reset_less=True)
        number = Signal(NUMBER_BITS, reset_less=True)
        remaining, started = Signal(NUMBER_BITS), Signal()
        credits = Signal(range(self._outstanding + 1), init=self._outstanding)

        # Requests.
        raised, handed = Signal(), Signal()
        m.d.comb += [
            self.request.payload[block_bits:].eq(block),
            raised.eq((remaining != 0) & (credits != 0) & ~self.request.valid & ~self.stop),
            handed.eq(self.o.valid & self.o.ready),
        ]
        with m.If(raised):
            m.d.sync += self.request.valid.eq(1)
        with m.If(self.request.valid & self.request.ready):
            m.d.sync += [self.request.valid.eq(0), block.eq(block + 1), remaining.eq(remaining - 1)]
        m.d.sync += credits.eq(credits - raised + handed)
        with m.If(self.start):
            m.d.sync += [block.eq(self.address[block_bits:]), remaining.eq(self.length), started.eq(1), number.eq(0)]

        # Answers.
        bits = engine_bits()
        m.submodules.landing = landing = SyncFIFOBuffered(width=bits + 2, depth=self._outstanding)
        fetched = self.fetch.payload
        m.d.comb += [
            landing.w_data.eq(Cat(fetched.error, fetched.refused, fetched.instruction[:bits])),
            landing.w_en.eq(self.fetch.valid),
            self.fetch.ready.eq(landing.w_rdy),
            self.o.valid.eq(landing.r_rdy),
            landing.r_en.eq(self.o.ready),
            self.o.payload.error.eq(landing.r_data[0]),
            self.o.payload.refused.eq(landing.r_data[1]),
            self.o.payload.instruction.eq(landing.r_data[2:]),
            self.o.payload.number.eq(number),
            self.idle.eq(credits == self._outstanding),
            self.exhausted.eq(started & (remaining == 0) & self.idle),
        ]
        with m.If(handed):
            m.d.sync += number.eq(number + 1)
        return m
