"""The engines of one kind in all clusters, as if they were one."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out, connect, flipped

from ..instruction_layout import header_layout
from ..streams.stream_fork import StreamFork
from .layouts import INSTRUCTION_BITS

__all__ = ["ClusteredEngine", "engine_signature"]


def engine_signature():
    """What an engine is to the control unit: it takes instructions, and says in their order that they are done.

    ``error`` is held, once every instruction before the faulty one is done; ``stalled`` is never high without ``busy``.
    """
    return wiring.Signature({
        "instruction": In(stream.Signature(INSTRUCTION_BITS)),
        "done": Out(1),
        "error": Out(data.StructLayout({"valid": 1, "code": 4})),
        "busy": Out(1),
        "stalled": Out(1),
    })


class ClusteredEngine(wiring.Component):
    """Hands each instruction to the clusters that it names, and reports it done when it is done in all of them.

    Every cluster takes it at its own time, the next one is offered when all have taken it. `done` comes a cycle after the last
    cluster's; an error, when everything before it is done in every cluster. Of a cluster the first error is kept, and no `done`
    with it or after it counts: an engine may go on behind an instruction that it refuses.

    Parameters
    ----------
    clusters : how many
    in_flight : instructions that may be taken and not yet done

    Members
    -------
    whole : Out(engine_signature), towards the control unit
    part : In(engine_signature).array(clusters), the engine of each cluster
    """

    def __init__(self, *, clusters, in_flight=8):
        self._clusters, self._in_flight = clusters, in_flight
        super().__init__({"whole": Out(engine_signature()), "part": In(engine_signature()).array(clusters)})

    def elaborate(self, platform):
        m = Module()
        count, whole = self._clusters, self.whole
        instruction = whole.instruction
        named = data.View(header_layout(), instruction.payload[: header_layout().size]).clusters[:count]
        m.submodules.fork = fork = StreamFork(shape=INSTRUCTION_BITS, branches=count, choice=True)
        m.submodules.order = order = SyncFIFO(width=count, depth=self._in_flight)
        m.d.comb += [
            fork.chosen.eq(Mux(named.any(), named, -1)),
            fork.i.payload.eq(instruction.payload),
            fork.i.valid.eq(instruction.valid & order.w_rdy),
            instruction.ready.eq(fork.i.ready & order.w_rdy),
            order.w_data.eq(fork.chosen),
            order.w_en.eq(fork.i.valid & fork.i.ready),
        ]
        for branch, part in zip(fork.o, self.part, strict=True):
            connect(m, branch, flipped(part.instruction))

        # The oldest instruction is done when each of its clusters has one more done than were counted before.
        finished = [Signal(range(self._in_flight + 2), name=f"finished_{n}") for n in range(count)]
        waited = Cat(order.r_data[n] & (done == 0) for n, done in enumerate(finished)).any()
        m.d.comb += [whole.done.eq(order.r_rdy & ~waited), order.r_en.eq(whole.done)]
        for n, (part, done) in enumerate(zip(self.part, finished, strict=True)):
            kept = Signal(part.error.shape(), name=f"error_{n}")
            with m.If(~kept.valid):
                m.d.sync += kept.eq(part.error)
            counts = part.done & ~part.error.valid & ~kept.valid
            m.d.sync += done.eq(done + counts - (whole.done & order.r_data[n]))
            with m.If(kept.valid & order.r_rdy & order.r_data[n] & (done == 0)):
                m.d.comb += whole.error.eq(kept)
        m.d.comb += [
            whole.busy.eq(order.r_rdy | Cat(part.busy for part in self.part).any()),
            whole.stalled.eq(whole.busy & ~Cat(part.busy & ~part.stalled for part in self.part).any()),
        ]
        return m
