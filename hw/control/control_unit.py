"""The control unit: registers, interrupt, counters, fetch, dispatch, thresholds, errors and reset."""

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..memory.access import access_layout
from ..spec.error_codes import ErrorCode, ErrorSource
from ..spec.isa import LoopOrder
from ..spec.registers import ADDRESS_BITS, PAGE_BITS
from .axi_lite import AxiLiteFrontEnd, axi_lite_signature
from .dispatcher import Dispatcher, engine_ports
from .instruction_decoder import InstructionDecoder
from .instruction_fetch import InstructionFetch
from .layouts import ENGINES, FETCHED, TIMELINE, event_layout
from .performance_counters import PerformanceCounters
from .register_file import RegisterFile
from .run_controller import RunController
from .threshold_calculator import ThresholdCalculator, lookup_ports, lookups
from .watchdog import Watchdog

__all__ = ["ControlUnit"]


class ControlUnit(wiring.Component):
    """Runs programs: the host's registers on one side, the three engines on the other.

    A run computes the thresholds, fetches and dispatches until HALT, and ends when all instructions are complete. Any
    error stops it: nothing more is offered, the first error stays in the registers until a soft reset.

    Parameters
    ----------
    config : AcceleratorConfig
    loop_orders : loop orders that the matrix engine was built for

    Members
    -------
    csr : In(axi_lite_signature()), registers as in `hw.spec.registers`
    irq : Out(1), level, a register
    fetch_request : Out(stream(32)), byte address of a 64-byte instruction, from the base of memory on
    fetch : In(stream(FETCHED)), the answers in order, never held up
    {engine}_instruction : Out(stream(512)), {engine}_done : In(1), {engine}_error : In({valid, code}), see `IssueQueue`
    {engine}_busy, {engine}_stalled : In(1), counted
    flush : Out(1), asks the memory side to give up and fall idle; memory_idle : In(1), nothing is under way on the bus: a run
        is not done before
    core_reset : Out(1), resets engines and buffers' control
    scrub : Out(1), pulse: zeroes the buffers; scrubbed : In(1), pulse
    access : Out(access_layout), what the memory side may reach
    port_base : Out(pages).array(memory_ports - 1), the base of memory for each further port; there if there is one
    matrix_curve, vector_curve : In(6); matrix_tau, vector_tau : Out(W - 1), combinational
    events : In(event_layout(memory_ports))
    timeline : Out(TIMELINE), registers
    """

    def __init__(self, *, config, loop_orders=tuple(LoopOrder)):
        self._config, self._orders = config, tuple(loop_orders)
        super().__init__({
            "csr": In(axi_lite_signature(address_bits=ADDRESS_BITS)),
            "irq": Out(1),
            "fetch_request": Out(stream.Signature(32)),
            "fetch": In(stream.Signature(FETCHED)),
            **engine_ports(),
            **{f"{engine}_{name}": In(1) for engine in ENGINES for name in ("busy", "stalled")},
            "flush": Out(1),
            "core_reset": Out(1),
            "scrub": Out(1),
            "scrubbed": In(1),
            "access": Out(access_layout(config.address_bits)),
            "memory_idle": In(1),
            **lookup_ports(config.width, config.clusters),
            "events": In(event_layout(config.memory_ports)),
            "timeline": Out(TIMELINE),
            **({"port_base": Out(config.address_bits - PAGE_BITS).array(config.memory_ports - 1)}
               if config.memory_ports > 1 else {}),
        })

    def elaborate(self, platform):
        m = Module()
        config = self._config
        m.submodules.front_end = front_end = AxiLiteFrontEnd(address_bits=ADDRESS_BITS)
        m.submodules.registers = registers = RegisterFile(config=config, loop_orders=self._orders)
        m.submodules.run = run = RunController(reports=2 + 2 * len(ENGINES))
        m.submodules.thresholds = thresholds = ThresholdCalculator(
            curves=config.prune_curves, width=config.width, clusters=config.clusters)
        m.submodules.counters = counters = PerformanceCounters(memory_ports=config.memory_ports)
        m.submodules.watchdog = watchdog = Watchdog()

        emptied = ResetInserter(run.core_reset | run.clear)
        fetch = InstructionFetch()
        decoder = InstructionDecoder(
            functions=config.functions, loop_orders=self._orders, curves=config.prune_curves,
            memory_ports=config.memory_ports, clusters=config.clusters)
        dispatcher = Dispatcher(depth=config.instruction_queue)
        m.submodules.fetch = emptied(fetch)
        m.submodules.decoder = emptied(decoder)
        m.submodules.dispatcher = emptied(dispatcher)

        connect(m, flipped(self.csr), front_end.axi)
        connect(m, front_end.bus, registers.bus)
        self._connect_program(m, registers, run, fetch, decoder, dispatcher)
        self._connect_run(m, registers, run, fetch, decoder, dispatcher, watchdog)
        self._connect_scrub(m, run, thresholds)
        self._connect_access(m, registers)
        self._connect_thresholds(m, registers, run, thresholds)
        self._connect_counters(m, registers, run, dispatcher, counters)
        return m

    def _connect_program(self, m, registers, run, fetch, decoder, dispatcher):
        """The path of an instruction: fetch, decoder, dispatcher, engines."""
        connect(m, fetch.request, flipped(self.fetch_request))
        connect(m, flipped(self.fetch), fetch.fetch)
        connect(m, fetch.o, decoder.i)
        connect(m, decoder.o, dispatcher.i)
        m.d.comb += [
            fetch.address.eq(registers.values.program_address.value),
            fetch.length.eq(registers.values.program_length.value),
            fetch.start.eq(run.launch),
            fetch.stop.eq(run.stop | decoder.ended),
            decoder.exhausted.eq(fetch.exhausted),
            decoder.stop.eq(run.stop),
            dispatcher.stop.eq(run.stop),
            self.timeline.eq(dispatcher.timeline),
            self.timeline.running.eq(run.running),
        ]
        for engine in ENGINES:
            connect(m, getattr(dispatcher, f"{engine}_instruction"), flipped(getattr(self, f"{engine}_instruction")))
            m.d.comb += [getattr(dispatcher, f"{engine}_{name}").eq(getattr(self, f"{engine}_{name}"))
                         for name in ("done", "error")]

    def _connect_run(self, m, registers, run, fetch, decoder, dispatcher, watchdog):
        """Start, end, errors, reset and interrupt."""
        expiry = run.reports[1]
        undecoded = Mux(decoder.o.valid, decoder.o.payload.number, fetch.o.payload.number)
        m.d.comb += [
            run.start.eq(registers.start), run.reset.eq(registers.reset), run.scrub.eq(registers.scrub),
            run.finished.eq(decoder.halted & fetch.idle & dispatcher.empty & self.memory_idle),
            run.reports[0].eq(decoder.report),
            *(run.reports[2 + n].eq(report) for n, report in enumerate(dispatcher.reports)),
            watchdog.limit.eq(registers.values.watchdog.value), watchdog.running.eq(run.fetching),
            watchdog.alive.eq(dispatcher.retired.any()),
            expiry.valid.eq(watchdog.expired), expiry.code.eq(ErrorCode.WATCHDOG),
            expiry.engine.eq(ErrorSource.CONTROL),
            expiry.number.eq(Mux(dispatcher.oldest.valid, dispatcher.oldest.number, undecoded)),
            registers.status.eq(run.status),
            registers.error.code.eq(run.error.code), registers.error.engine.eq(run.error.engine),
            registers.error.instruction.eq(run.error.number),
            registers.event.eq(run.event), registers.clear_events.eq(run.clear_events),
            self.irq.eq(registers.irq),
            self.flush.eq(run.flush), self.core_reset.eq(run.core_reset), run.memory_idle.eq(self.memory_idle),
        ]

    def _connect_scrub(self, m, run, thresholds):
        """Buffers and curves are zeroed beside each other; both have to be done."""
        buffers, curves = Signal(name="buffers_left"), Signal(name="curves_left")
        for left, done in ((buffers, self.scrubbed), (curves, thresholds.erased)):
            with m.If(done):
                m.d.sync += left.eq(0)
            with m.If(run.clean):
                m.d.sync += left.eq(1)
        m.d.comb += [self.scrub.eq(run.clean), thresholds.erase.eq(run.clean), run.cleaned.eq(~buffers & ~curves)]

    def _connect_access(self, m, registers):
        values, access = registers.values, self.access

        def pages(name):
            words = [values[word].value for word in (name, f"{name}_hi") if word in values.shape().members]
            return Cat(*words)[PAGE_BITS:]

        m.d.comb += [
            access.memory_base.eq(pages("memory_base")),
            *(self.port_base[port - 1].eq(pages(f"port_base_{port}")) for port in range(1, self._config.memory_ports)),
            *(getattr(window, end).eq(pages(f"{name}_{end}"))
              for name, window in (("read", access.read), ("write", access.write)) for end in ("base", "limit")),
            access.prot.eq(values.bus_attributes.prot),
            access.cache.eq(values.bus_attributes.cache),
        ]

    def _connect_thresholds(self, m, registers, run, thresholds):
        m.d.comb += [
            thresholds.target.eq(registers.values.target_sparsity.value),
            thresholds.start.eq(run.calculate), run.calculated.eq(thresholds.done),
            thresholds.curve.eq(registers.curve), thresholds.knot.eq(registers.knot),
            thresholds.write.eq(registers.curve_write), thresholds.write_data.eq(registers.curve_data),
            registers.curve_read_data.eq(thresholds.read_data),
            *(registers.tau[c].eq(tau) for c, tau in enumerate(thresholds.tau)),
        ]
        clusters = self._config.clusters
        for (asked, answer), (curve, tau) in zip(lookups(self, clusters), lookups(thresholds, clusters), strict=True):
            m.d.comb += [curve.eq(asked), answer.eq(tau)]

    def _connect_counters(self, m, registers, run, dispatcher, counters):
        m.d.comb += [
            counters.clear.eq(run.clear), counters.running.eq(run.running),
            counters.events.eq(self.events), counters.retired.eq(dispatcher.retired),
            *(counters.busy[e].eq(getattr(self, f"{engine}_busy")) for e, engine in enumerate(ENGINES)),
            *(counters.stalled[e].eq(getattr(self, f"{engine}_stalled")) for e, engine in enumerate(ENGINES)),
            counters.index.eq(registers.counter), counters.high.eq(registers.counter_high),
            counters.read.eq(registers.counter_read), registers.counter_data.eq(counters.data),
        ]
