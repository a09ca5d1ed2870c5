"""The dispatcher: an issue queue per engine, tied together by the semaphores."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..spec.error_codes import ErrorCode
from ..spec.isa import Engine
from ..spec.widths import NUMBER_BITS
from .issue_queue import IssueQueue
from .layouts import ENGINES, ERROR_REPORT, INSTRUCTION_BITS, TIMELINE, dispatched
from .semaphores import Semaphores

__all__ = ["Dispatcher", "engine_ports"]


def engine_ports():
    """Ports towards the three engines, by name."""
    return {f"{engine}_{name}": port for engine in ENGINES for name, port in (
        ("instruction", Out(stream.Signature(INSTRUCTION_BITS))),
        ("done", In(1)),
        ("error", In(data.StructLayout({"valid": 1, "code": 4}))),
    )}


class Dispatcher(wiring.Component):
    """Hands decoded instructions to their engines, in order per engine, when the semaphores allow.

    A full queue holds up the instructions behind it, also those of other engines.

    Parameters
    ----------
    depth : instructions queued per engine
    in_flight : instructions that an engine may hold

    Members
    -------
    i : In(stream(dispatched()))
    {engine}_instruction : Out(stream(512)); {engine}_done : In(1); {engine}_error : In({valid, code})
    stop : In(1), issues nothing more
    empty : Out(1), nothing is queued or in flight
    retired : Out(3), an instruction of that engine completes
    oldest : Out({valid, number}), two cycles late, the oldest instruction that is not complete
    reports : Out(ERROR_REPORT).array(6), of the engines, then of the semaphores that they give to
    timeline : Out(TIMELINE), without `running`
    """

    def __init__(self, *, depth, in_flight=8):
        self._depth, self._in_flight = depth, in_flight
        super().__init__({
            "i": In(stream.Signature(dispatched())),
            **engine_ports(),
            "stop": In(1),
            "empty": Out(1),
            "retired": Out(len(ENGINES)),
            "oldest": Out(data.StructLayout({"valid": 1, "number": NUMBER_BITS})),
            "reports": Out(ERROR_REPORT).array(2 * len(ENGINES)),
            "timeline": Out(TIMELINE),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.semaphores = semaphores = Semaphores()
        queues = []
        for e, name in enumerate(ENGINES):
            queue = IssueQueue(engine=Engine(e), depth=self._depth, in_flight=self._in_flight)
            m.submodules[f"{name}_queue"] = queue
            queues.append(queue)
            connect(m, queue.o, flipped(getattr(self, f"{name}_instruction")))
            chosen, item = self.i.payload.engine == e, self.i.payload
            m.d.comb += [
                queue.i.payload.instruction.eq(item.instruction), queue.i.payload.number.eq(item.number),
                queue.i.payload.sync.eq(item.sync), queue.i.valid.eq(self.i.valid & chosen),
                queue.done.eq(getattr(self, f"{name}_done")), queue.error.eq(getattr(self, f"{name}_error")),
                queue.stop.eq(self.stop), self.retired[e].eq(queue.retired), self.timeline[name].eq(queue.timeline),
                semaphores.give[e].eq(queue.give), semaphores.take[e].eq(queue.take),
            ]
            with m.If(chosen):
                m.d.comb += self.i.ready.eq(queue.i.ready)
            for x in range(len(ENGINES)):
                m.d.comb += [queue.tokens[x].eq(semaphores.tokens[e][x]), semaphores.wanted[e][x].eq(queue.wanted[x])]
            overflow = self.reports[len(ENGINES) + e]
            m.d.comb += [
                self.reports[e].eq(queue.report),
                overflow.valid.eq(semaphores.overflow[e]), overflow.code.eq(ErrorCode.SEMAPHORE_OVERFLOW),
                overflow.engine.eq(e), overflow.number.eq(queue.retired_number),
            ]
        m.d.comb += self.empty.eq(Cat(q.empty for q in queues).all())
        self._find_oldest(m, *(q.oldest for q in queues))
        return m

    def _find_oldest(self, m, first, second, third):
        """Least number of three, in two registered steps."""
        def older(a, b, name):
            result = Signal(self.oldest.shape(), name=name)
            choose_a = a.valid & (~b.valid | (a.number < b.number))
            m.d.sync += [result.number.eq(Mux(choose_a, a.number, b.number)), result.valid.eq(a.valid | b.valid)]
            return result

        waiting = Signal(self.oldest.shape(), name="third")
        m.d.sync += waiting.eq(third)
        m.d.comb += self.oldest.eq(older(older(first, second, "first_or_second"), waiting, "least"))
