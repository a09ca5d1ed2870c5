"""The run controller: start, end, errors and soft reset of a program."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .layouts import ERROR_REPORT
from .register_file import register_layout

__all__ = ["RunController"]


class RunController(wiring.Component):
    """Sequences a run: thresholds, then the program, then done or error.

    A start while running, resetting or in error does nothing. The first error report of a run counts; of several in
    one cycle, the first in the list. A reset at any time raises `flush` until `memory_idle` has been high for `settle`
    cycles in a row (so that what was just handed over is seen), then `core_reset` for `pulse` cycles. A scrub is a reset after
    which `clean` pulses and `cleaned` is awaited; asked for during a reset, it follows that.

    Parameters
    ----------
    reports : number of error sources
    settle, pulse : cycles

    Members
    -------
    start, reset, scrub : In(1), pulses
    clean : Out(1), pulse: zeroes buffers and curves; cleaned : In(1), they are zero
    calculate : Out(1), pulse to the threshold calculator; calculated : In(1), its answer
    clear : Out(1), pulse: empties semaphores and counters before a run
    launch : Out(1), pulse: start fetching
    finished : In(1), HALT was reached and nothing is left
    reports : In(ERROR_REPORT).array(reports)
    running : Out(1), from the start to the end of the run
    fetching : Out(1), the program is running, thresholds are done
    stop : Out(1), nothing may be fetched or issued
    flush, core_reset : Out(1), registers; memory_idle : In(1)
    status : Out, the STATUS register; error : Out(ERROR_REPORT), the first error, `valid` while in error
    event : Out, sets interrupts; clear_events : Out(1)
    """

    def __init__(self, *, reports, settle=8, pulse=4):
        self._settle, self._pulse = settle, pulse
        super().__init__({
            "start": In(1),
            "reset": In(1),
            "scrub": In(1),
            "clean": Out(1),
            "cleaned": In(1),
            "calculate": Out(1),
            "calculated": In(1),
            "clear": Out(1),
            "launch": Out(1),
            "finished": In(1),
            "reports": In(ERROR_REPORT).array(reports),
            "running": Out(1),
            "fetching": Out(1),
            "stop": Out(1, init=1),
            "flush": Out(1),
            "core_reset": Out(1),
            "memory_idle": In(1),
            "status": Out(register_layout("STATUS")),
            "error": Out(ERROR_REPORT),
            "event": Out(register_layout("IRQ_STATUS")),
            "clear_events": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        done, wait = Signal(), Signal(range(max(self._settle, self._pulse)))
        scrubs, resets = Signal(), Signal()
        m.d.comb += resets.eq(self.reset | self.scrub)
        with m.If(self.scrub):
            m.d.sync += scrubs.eq(1)

        def halt():
            m.d.sync += [self.running.eq(0), self.fetching.eq(0), self.stop.eq(1)]

        def heed_reset():
            with m.If(resets):
                m.d.sync += [self.flush.eq(1), wait.eq(0), done.eq(0), self.event.eq(0), self.launch.eq(0)]
                halt()
                m.next = "FLUSH"

        m.d.sync += [self.calculate.eq(0), self.clear.eq(0), self.launch.eq(0), self.event.eq(0),
                     self.clean.eq(0)]
        with m.FSM() as fsm:
            with m.State("IDLE"):
                with m.If(self.start & ~resets):
                    m.d.sync += [done.eq(0), self.clear.eq(1), self.calculate.eq(1), self.running.eq(1)]
                    m.next = "CALCULATE"
                heed_reset()
            with m.State("CALCULATE"):
                with m.If(self.calculated & ~self.calculate):
                    m.d.sync += [self.launch.eq(1), self.fetching.eq(1), self.stop.eq(0)]
                    m.next = "RUN"
                heed_reset()
            with m.State("RUN"):
                with m.If(self.finished):
                    m.d.sync += [done.eq(1), self.event.done.eq(1)]
                    halt()
                    m.next = "IDLE"
                for report in reversed(list(self.reports)):
                    with m.If(report.valid):
                        m.d.sync += [self.error.eq(report), done.eq(0), self.event.done.eq(0), self.event.error.eq(1)]
                        halt()
                        m.next = "ERROR"
                heed_reset()
            with m.State("ERROR"):
                heed_reset()
            with m.State("FLUSH"):
                m.d.sync += wait.eq(wait + 1)
                with m.If(~self.memory_idle):
                    m.d.sync += wait.eq(0)
                with m.Elif(wait == self._settle - 1):
                    m.d.sync += [wait.eq(0), self.flush.eq(0), self.core_reset.eq(1)]
                    m.next = "RESET"
            with m.State("RESET"):
                m.d.sync += wait.eq(wait + 1)
                with m.If(wait == self._pulse - 1):
                    m.d.sync += [self.core_reset.eq(0), self.error.eq(0)]
                    m.next = "IDLE"
                    with m.If(scrubs | self.scrub):
                        m.d.sync += [self.clean.eq(1), self.clear.eq(1)]
                        m.next = "SCRUB"
            with m.State("SCRUB"):
                with m.If(self.cleaned & ~self.clean):
                    m.d.sync += scrubs.eq(0)
                    m.next = "IDLE"
        m.d.comb += [
            self.status.running.eq(self.running),
            self.status.done.eq(done),
            self.status.error.eq(self.error.valid),
            self.status.idle.eq(fsm.ongoing("IDLE")),
            self.status.resetting.eq(fsm.ongoing("FLUSH") | fsm.ongoing("RESET") | fsm.ongoing("SCRUB")),
            self.clear_events.eq(self.core_reset),
        ]
        return m
