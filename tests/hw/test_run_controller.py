"""The run controller alone: how long resets take, and which of several reports counts."""

from cocotb.triggers import FallingEdge, ReadOnly

from acceltran.hw.control.layouts import ERROR_REPORT
from acceltran.hw.control.run_controller import RunController
from acceltran.hw.spec.registers import by_name
from acceltran.sim.unit import simulate_component, simulated
from acceltran.sw.golden.tiles import unpack_bits
from support.renamed import Renamed
from support.streams import start

REPORTS, SETTLE, PULSE = 4, 8, 4
INPUTS = ("start", "reset", "scrub", "cleaned", "calculated", "finished")


def fields(register, value):
    return {part.name: value >> part.offset & ((1 << part.bits) - 1) for part in by_name(register).parts}


def status(dut):
    return fields("STATUS", int(dut.status.value))


def report_word(**values):
    values = {"valid": 1, "code": 0, "engine": 0, "number": 0} | values
    return ERROR_REPORT.const(values).as_value().value


def error(dut):
    word, values = int(dut.error.value), {}
    for name, field in ERROR_REPORT:
        values[name] = int(unpack_bits(word >> field.offset, field.width, 1, signed=False)[0])
    return values


async def begin(dut):
    for name in INPUTS:
        getattr(dut, name).value = 0
    for n in range(REPORTS):
        getattr(dut, f"reports__{n}").value = 0
    dut.memory_idle.value = 1
    await start(dut)
    await FallingEdge(dut.clk)


async def pulse(dut, name):
    getattr(dut, name).value = 1
    await FallingEdge(dut.clk)
    getattr(dut, name).value = 0


async def run(dut):
    """Start a run; it is in progress."""
    await pulse(dut, "start")
    await FallingEdge(dut.clk)
    await pulse(dut, "calculated")
    assert status(dut)["running"]


async def lengths(dut):
    """Cycles of `flush` and of `core_reset`, from the cycle in which the former rises on, and whether a scrub begins then."""
    flush = core = 0
    await ReadOnly()
    while dut.flush.value or dut.core_reset.value:
        assert not (dut.flush.value and dut.core_reset.value)
        flush, core = flush + int(dut.flush.value), core + int(dut.core_reset.value)
        await FallingEdge(dut.clk)
        await ReadOnly()
    clean = int(dut.clean.value)
    await FallingEdge(dut.clk)
    return flush, core, clean


@simulated(5_000)
async def check_every_reset_settles(dut):
    """The bus is idle for as long before the first reset as before any later one, and however late it falls idle."""
    await begin(dut)
    for _ in range(3):
        await pulse(dut, "reset")
        assert await lengths(dut) == (SETTLE, PULSE, 0)
        assert status(dut)["idle"] and not status(dut)["resetting"]
    for busy in (1, 3, 6, 7):
        await pulse(dut, "reset")
        for _ in range(busy):
            await FallingEdge(dut.clk)
        dut.memory_idle.value = 0
        for _ in range(4):
            await FallingEdge(dut.clk)
        dut.memory_idle.value = 1
        assert await lengths(dut) == (SETTLE, PULSE, 0), busy


@simulated(5_000)
async def check_reports(dut):
    """Of reports in one cycle the lowest number counts, and it counts before the end of the run; later ones do not."""
    await begin(dut)
    for first in range(REPORTS):
        await run(dut)
        for n in range(first, REPORTS):
            getattr(dut, f"reports__{n}").value = report_word(code=n + 1, engine=n % 4, number=100 + n)
        dut.finished.value = 1
        await FallingEdge(dut.clk)
        dut.finished.value = 0
        assert fields("IRQ_STATUS", int(dut.happens.value)) == {"done": 0, "error": 1}
        for n in range(REPORTS):
            getattr(dut, f"reports__{n}").value = report_word(code=9, number=7)
        await FallingEdge(dut.clk)
        for n in range(REPORTS):
            getattr(dut, f"reports__{n}").value = 0
        assert not int(dut.happens.value)
        assert error(dut) == {"valid": 1, "code": first + 1, "engine": first % 4, "number": 100 + first}
        assert status(dut)["error"] and not status(dut)["done"] and not status(dut)["running"] and dut.stop.value
        await pulse(dut, "start")
        assert status(dut)["error"] and not status(dut)["running"] and not status(dut)["idle"]
        await pulse(dut, "reset")
        await lengths(dut)
        assert not status(dut)["error"]


@simulated(5_000)
async def check_scrub(dut):
    """A scrub follows its reset, and no other one."""
    await begin(dut)
    for name, scrubs in (("scrub", 1), ("reset", 0)):
        await pulse(dut, name)
        assert await lengths(dut) == (SETTLE, PULSE, scrubs)
        assert status(dut)["resetting"] == scrubs and not dut.clean.value
        if scrubs:
            await pulse(dut, "cleaned")
        assert status(dut)["idle"]


@simulated(5_000)
async def check_a_scrub_in_any_cycle_of_a_reset(dut):
    """It follows that reset, also from the last cycle, and none that comes later."""
    await begin(dut)
    for late in range(SETTLE + PULSE):
        await pulse(dut, "reset")
        for cycle in range(SETTLE + PULSE):
            dut.scrub.value = int(cycle == late)
            await FallingEdge(dut.clk)
        dut.scrub.value = 0
        assert dut.clean.value and status(dut)["resetting"], late
        await FallingEdge(dut.clk)
        await pulse(dut, "cleaned")
        assert status(dut)["idle"], late
        await pulse(dut, "reset")
        assert await lengths(dut) == (SETTLE, PULSE, 0), late


def test_run_controller():
    simulate_component(__name__, Renamed(RunController(reports=REPORTS, settle=SETTLE, pulse=PULSE), event="happens"))
