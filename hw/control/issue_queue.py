"""One engine's side of the dispatcher: its queue, the wait for tokens, its instructions in flight."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO, SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from ..instruction_layout import header_layout
from ..spec.error_codes import ENGINE_CODE
from ..spec.isa import Engine
from ..spec.widths import NUMBER_BITS
from .layouts import ENGINES, ERROR_REPORT, INSTRUCTION_BITS, SEMAPHORE_BITS, TIMELINE, WAIT_BITS, engine_bits, numbered

__all__ = ["IssueQueue"]

_IN_FLIGHT = data.StructLayout({"number": NUMBER_BITS, "signal": len(ENGINES), "sync": 1})


class IssueQueue(wiring.Component):
    """Issues the instructions of one engine in order.

    The head of the queue waits for its tokens; the comparison is registered, so it is offered two cycles after the
    tokens are there, and at most every other cycle. A SYNC passes through the FIFO of instructions in flight only. The
    oldest in flight leaves when the engine pulses `done` (a SYNC by itself) and gives its tokens in the same cycle; a
    pulse that finds a SYNC there is remembered. An engine error is reported once everything completed before it has
    left; `done` pulses with it and after it are ignored.

    Parameters
    ----------
    engine : isa.Engine
    depth : instructions queued
    in_flight : instructions that the engine may hold, SYNC included

    Members
    -------
    i : In(stream(numbered(engine_bits(engine))))
    o : Out(stream(512)), to the engine, zeros as padding
    done : In(1), error : In({valid, code}), from the engine
    tokens : In(12).array(3); wanted : Out(8).array(3), take : Out(1); give : Out(3): see `Semaphores`
    stop : In(1), issues nothing more; what is offered stays
    empty : Out(1), neither queued nor in flight
    oldest : Out({valid, number}), the oldest instruction that is not complete
    retired : Out(1), an instruction completes in this cycle; retired_number : Out(16), the last one before
    report : Out(ERROR_REPORT)
    timeline : Out, one engine's part of TIMELINE
    """

    def __init__(self, *, engine, depth, in_flight=8):
        self._engine, self._depth, self._in_flight = Engine(engine), depth, in_flight
        self._bits = engine_bits(self._engine)
        waits = len(ENGINES)
        super().__init__({
            "i": In(stream.Signature(numbered(self._bits))),
            "o": Out(stream.Signature(INSTRUCTION_BITS)),
            "done": In(1),
            "error": In(data.StructLayout({"valid": 1, "code": 4})),
            "tokens": In(SEMAPHORE_BITS).array(waits),
            "wanted": Out(WAIT_BITS).array(waits),
            "take": Out(1),
            "give": Out(waits),
            "stop": In(1),
            "empty": Out(1),
            "oldest": Out(data.StructLayout({"valid": 1, "number": NUMBER_BITS})),
            "retired": Out(1),
            "retired_number": Out(NUMBER_BITS),
            "report": Out(ERROR_REPORT),
            "timeline": Out(TIMELINE[ENGINES[self._engine]].shape),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = SyncFIFOBuffered(width=self.i.payload.shape().size, depth=self._depth)
        m.submodules.flight = flight = SyncFIFO(width=_IN_FLIGHT.size, depth=self._in_flight)
        m.d.comb += [
            queue.w_data.eq(self.i.payload), queue.w_en.eq(self.i.valid), self.i.ready.eq(queue.w_rdy),
            self.empty.eq((queue.level == 0) & (flight.level == 0)),
        ]
        head = data.View(self.i.payload.shape(), queue.r_data)
        oldest = data.View(_IN_FLIGHT, flight.r_data)
        self._issue(m, queue, flight, head)
        self._retire(m, flight, oldest)
        m.d.comb += [
            self.oldest.valid.eq(~self.empty),
            self.oldest.number.eq(Mux(flight.r_rdy, oldest.number, head.number)),
        ]
        return m

    def _issue(self, m, queue, flight, head):
        """Head of the queue to the engine, once its tokens are there."""
        header = data.View(header_layout(), head.instruction[:header_layout().size])
        enough, number = Signal(), Signal(NUMBER_BITS, reset_less=True)
        kept = Signal(self._bits, reset_less=True)
        waits = (header.wait_memory, header.wait_matrix, header.wait_vector)
        m.d.comb += [wanted.eq(wait) for wanted, wait in zip(self.wanted, waits, strict=True)]
        satisfied = Cat(tokens >= wait for tokens, wait in zip(self.tokens, waits, strict=True)).all()
        m.d.sync += enough.eq(queue.r_rdy & satisfied & ~self.take)
        m.d.comb += [
            self.take.eq(enough & ~self.o.valid & flight.w_rdy & ~self.stop),
            queue.r_en.eq(self.take),
            flight.w_en.eq(self.take),
            flight.w_data.eq(Cat(head.number, header.signal, head.sync)),
            self.o.payload.eq(kept),
        ]
        accepted = self.o.valid & self.o.ready
        with m.If(accepted):
            m.d.sync += self.o.valid.eq(0)
        with m.If(self.take):
            m.d.sync += [self.o.valid.eq(~head.sync), kept.eq(head.instruction), number.eq(head.number)]
        starts = accepted | (self.take & head.sync)
        m.d.sync += self.timeline.start.eq(starts)
        with m.If(starts):
            m.d.sync += self.timeline.start_number.eq(Mux(accepted, number, head.number))

    def _retire(self, m, flight, oldest):
        """Completion of the oldest in flight, or the engine's error."""
        pulses, faulted, reported = Signal(range(self._in_flight + 1)), Signal(), Signal()
        code = Signal(4, reset_less=True)
        done, used = Signal(), Signal()
        m.d.comb += [
            done.eq(self.done & ~self.error.valid & ~faulted),
            self.retired.eq(flight.r_rdy & (oldest.sync | done | (pulses != 0))),
            used.eq(self.retired & ~oldest.sync),
            flight.r_en.eq(self.retired),
            self.give.eq(Mux(self.retired, oldest.signal, 0)),
        ]
        m.d.sync += [pulses.eq(pulses + done - used), self.timeline.done.eq(self.retired)]
        m.d.comb += self.timeline.done_number.eq(self.retired_number)
        with m.If(self.retired):
            m.d.sync += self.retired_number.eq(oldest.number)
        with m.If(self.error.valid & ~faulted):
            m.d.sync += [faulted.eq(1), code.eq(self.error.code)]
        m.d.sync += self.report.valid.eq(0)
        with m.If(faulted & ~reported & (pulses == 0) & ~(flight.r_rdy & oldest.sync)):
            m.d.sync += [
                reported.eq(1), self.report.valid.eq(1),
                self.report.code.eq(Cat(code, Const(ENGINE_CODE >> 4, 1))), self.report.engine.eq(self._engine),
                self.report.number.eq(Mux(flight.r_rdy, oldest.number, self.retired_number)),
            ]
