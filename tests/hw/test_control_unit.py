"""The control unit as a host, a memory and three engines see it."""

import cocotb
import numpy as np
import pytest
from cocotb.triggers import FallingEdge, ReadOnly
from cocotbext.axi import AxiResp

from acceltran.hw.control.control_unit import ControlUnit
from acceltran.hw.control.layouts import ENGINES, event_layout
from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.hw.spec.error_codes import ErrorCode, ErrorSource
from acceltran.hw.spec.isa import Engine
from acceltran.hw.spec.registers import COUNTERS, CURVE_STRIDE, KNOTS, PAGE_BITS, REGISTERS, by_name, config_values, counters_of
from acceltran.hw.spec.widths import NUMBER_BITS
from acceltran.sim.unit import simulate_component, simulated
from acceltran.sw.golden.threshold import threshold
from support.access import access_word
from support.control_bench import DONE, HALT, IDLE, RESET, RESETTING, RUNNING, SCRUB, START, Bench
from support.engines import Model, make, random_program


@simulated()
async def check_registers(dut):
    bench = await Bench(dut, 1).open()
    host, config, rng = bench.host, bench.config, bench.rng
    for name, value in config_values(config).items():
        assert await host.read(name) == value
        await host.write(name, 0, resp=AxiResp.SLVERR)
    mapped = {r.offset for r in REGISTERS if r.count == 1 and r.built(config)}
    mapped |= {by_name("TAU").offset + 4 * c for c in range(config.prune_curves)}
    mapped |= {by_name("CURVE").offset + 4 * (CURVE_STRIDE * c + n)
               for c in range(config.prune_curves) for n in range(KNOTS)}
    for offset in range(0, 4096, 4):
        if offset not in mapped and rng.random() < 0.3:
            assert await host.read(offset, resp=AxiResp.SLVERR) == 0
            if rng.random() < 0.2:
                await host.write(offset, 1, resp=AxiResp.SLVERR)
    for r in REGISTERS:
        if r.count == 1 and r.access == "ro":
            await host.write(r.name, 0xFFFF_FFFF, resp=AxiResp.SLVERR)
    stored = {}
    for r in (r for r in REGISTERS if r.access == "rw" and r.count == 1 and r.built(config)):
        assert await host.read(r.name) == r.reset
        value = rng.getrandbits(32)
        await host.write(r.name, value)
        stored[r.name] = value & (sum((1 << f.bits) - 1 << f.offset for f in r.parts))
    for name, value in stored.items():
        assert await host.read(name) == value
    assert await host.read("CONTROL") == 0 and await host.read("STATUS") == IDLE
    answer = await host.master.write(by_name("WATCHDOG").offset, b"\x01\x02")
    assert answer.resp == AxiResp.SLVERR and await host.read("WATCHDOG") == stored["WATCHDOG"]
    await bench.soft_reset()
    for name, value in stored.items():
        assert await host.read(name) == value


@simulated()
async def check_runs_and_thresholds(dut):
    bench = await Bench(dut, 2).open()
    host, rng, config = bench.host, bench.rng, bench.config
    top = (1 << config.width - 1) - 1
    knots = [[rng.randint(0, top) for _ in range(KNOTS)] for _ in range(config.prune_curves)]
    for c, curve in enumerate(knots):
        for n, value in enumerate(curve):
            await host.write("CURVE", value, CURVE_STRIDE * c + n)
    for c in range(config.prune_curves):
        n = rng.randrange(KNOTS)
        assert await host.read("CURVE", CURVE_STRIDE * c + n) == knots[c][n]
    for target in (0, 100, 256):
        await host.write("TARGET_SPARSITY", target)
        program = [*random_program(rng, 60, 0.2, bench.legal), HALT]
        await bench.load(program, length=len(program) + rng.choice((0, 1, 7)))
        await bench.run(program, latency=rng.choice((1, 20)))
        assert bench.fetched[:len(program)] == [bench.base + 64 * n for n in range(len(program))]
        expected = threshold(np.array(knots), target).tolist()
        for c in range(config.prune_curves + 1):
            dut.matrix_curve.value = dut.vector_curve.value = c
            await ReadOnly()
            assert int(dut.matrix_tau.value) == int(dut.vector_tau.value) == ([0] + expected)[c]
            await FallingEdge(dut.clk)
            if c:
                assert await host.read("TAU", c - 1) == expected[c - 1]


@simulated()
async def check_start_while_running(dut):
    bench = await Bench(dut, 3).open()
    host = bench.host
    program = [*random_program(bench.rng, 120, 0.1, bench.legal), HALT]
    await bench.load(program)
    model = Model(program[:-1])
    bench.engines(model, latency=20, overlap=1)
    await host.write("CONTROL", START)
    for _ in range(6):
        assert await host.read("STATUS") == RUNNING
        await host.write("CONTROL", START)
    while await host.read("STATUS") == RUNNING:
        pass
    assert await host.read("STATUS") == IDLE | DONE and model.complete() and not int(dut.irq.value)
    assert await host.counter("instructions") == len(program) - 1
    assert await host.read("IRQ_STATUS") == 1
    await host.write("IRQ_ENABLE", 2)
    assert not int(dut.irq.value)
    await host.write("IRQ_ENABLE", 1)
    assert int(dut.irq.value)


@simulated()
async def check_done_waits_for_the_bus(dut):
    bench = await Bench(dut, 9).open()
    host = bench.host
    await bench.load([HALT])
    bench.bus_busy = True
    await host.write("CONTROL", START)
    await bench.cycles(200)
    assert await host.read("STATUS") == RUNNING
    bench.bus_busy = False
    await bench.cycles(5)
    assert await host.read("STATUS") == IDLE | DONE


@simulated()
async def check_errors(dut):
    bench = await Bench(dut, 4).open()
    host, rng = bench.host, bench.rng
    await host.write("IRQ_ENABLE", 3)

    async def launch(program, **load):
        await bench.load(program, **load)
        bench.engines(Model([i for i in program if "engine" in i]))
        await host.write("CONTROL", START)

    def some(count):
        return [make(rng, rng.randrange(3), legal=bench.legal) for _ in range(count)]

    # Decode: an unknown opcode, a loop order that does not exist, a curve too many.
    order = make(rng, Engine.MATRIX, legal=bench.legal | {"order": [24]})
    curve = make(rng, Engine.MATRIX, legal=bench.legal | {"curve": [bench.config.prune_curves + 1]})
    illegal = {"word": 0}
    for bad, code in zip((illegal, order, curve), (ErrorCode.ILLEGAL_OPCODE, *[ErrorCode.BAD_FIELD] * 2), strict=True):
        count = rng.randrange(10)
        await launch([*some(count), bad, HALT])
        await bench.expect_error(code, ErrorSource.CONTROL, count)
        await bench.soft_reset()

    # Fetch: an error of the bus; an error behind HALT is none.
    await launch([*some(6), HALT], bad={4})
    await bench.expect_error(ErrorCode.FETCH_BUS, ErrorSource.CONTROL, 4)
    await bench.soft_reset()
    program = [*some(6), HALT]
    await bench.load(program, length=12, bad={7, 8})
    await bench.run(program)

    # The end of the program without HALT, and a program of no instructions.
    for length in (5, 0):
        await launch(some(5), length=length)
        await bench.expect_error(ErrorCode.PROGRAM_END, ErrorSource.CONTROL, length)
        await bench.soft_reset()
    await bench.good_run()

    # Each engine's own error, on the oldest instruction in flight; a later one does not count.
    for e, name in enumerate(ENGINES):
        program = [make(rng, (e + 1) % 3, legal=bench.legal) for _ in range(3)]
        program += [make(rng, e, sync=True), *(make(rng, e, legal=bench.legal) for _ in range(2)), HALT]
        await launch(program)
        bench.stop_engines()
        getattr(dut, f"{name}_instruction__ready").value = 1
        await bench.cycles(300)
        getattr(dut, f"{name}_error").value = 1 | 3 << 1
        await FallingEdge(dut.clk)
        getattr(dut, f"{name}_error").value = 0
        getattr(dut, f"{ENGINES[(e + 1) % 3]}_error").value = 1 | 1 << 1
        await FallingEdge(dut.clk)
        getattr(dut, f"{ENGINES[(e + 1) % 3]}_error").value = 0
        await bench.expect_error(ErrorCode.SLOT_RANGE, e, 4)
        getattr(dut, f"{name}_instruction__ready").value = 0
        await bench.soft_reset()
    await bench.good_run()


@simulated()
async def check_watchdog(dut):
    bench = await Bench(dut, 5).open()
    host, rng = bench.host, bench.rng
    await host.write("IRQ_ENABLE", 3)
    await host.write("WATCHDOG", 400)
    for name in ENGINES:
        getattr(dut, f"{name}_instruction__ready").value = 1

    # An engine that never finishes: the oldest unfinished instruction is named, whatever finishes after it.
    for order in ((0, 1, 2), (2, 0, 1)):
        program = [make(rng, e, legal=bench.legal) for e in order] + [make(rng, order[0], legal=bench.legal), HALT]
        await bench.load(program)
        await host.write("CONTROL", START)
        await bench.cycles(300)
        getattr(dut, f"{ENGINES[order[0]]}_done").value = 1
        await FallingEdge(dut.clk)
        getattr(dut, f"{ENGINES[order[0]]}_done").value = 0
        since = 0
        while not int(dut.irq.value):
            await FallingEdge(dut.clk)
            since += 1
        assert 400 <= since <= 410
        await bench.expect_error(ErrorCode.WATCHDOG, ErrorSource.CONTROL, 1)
        await bench.soft_reset()

    # A semaphore that nobody fills, and a memory that does not answer fetches.
    wait = make(rng, Engine.VECTOR, (0, 1, 0), legal=bench.legal)
    await bench.load([make(rng, Engine.MATRIX, sync=True), wait, HALT])
    await host.write("CONTROL", START)
    await bench.expect_error(ErrorCode.WATCHDOG, ErrorSource.CONTROL, 1)
    await bench.soft_reset()
    await bench.load([make(rng, Engine.MATRIX, sync=True) for _ in range(8)], silent_from=5)
    await host.write("CONTROL", START)
    await bench.expect_error(ErrorCode.WATCHDOG, ErrorSource.CONTROL, 5)
    await bench.soft_reset()

    # Turned off, it waits for ever.
    await host.write("WATCHDOG", 0)
    await bench.load([wait, HALT])
    await host.write("CONTROL", START)
    await bench.cycles(1500)
    assert await host.read("STATUS") == RUNNING
    await bench.soft_reset()
    await bench.good_run()


@simulated()
async def check_soft_reset(dut):
    bench = await Bench(dut, 6).open()
    host, rng = bench.host, bench.rng
    pulses, tail = [], []

    async def observe():
        flushing = resetting = False
        while True:
            await FallingEdge(dut.clk)
            now, core = int(dut.flush.value), int(dut.core_reset.value)
            assert not (now and core)
            if flushing and not now:
                tail.append(int(dut.memory_idle.value) and core)
            if core and not resetting:
                pulses.append(1)
            flushing, resetting = now, core

    cocotb.start_soon(observe())
    await bench.soft_reset()
    for n in range(12):
        program = [*random_program(rng, 200, 0.2, bench.legal), HALT]
        await bench.load(program)
        bench.engines(Model(program[:-1]))
        await host.write("CONTROL", START)
        await bench.cycles(rng.choice((0, 3, 30, 100, rng.randrange(400))))
        await bench.soft_reset()
        assert await host.read("PROGRAM_ADDRESS") == bench.base
        if n % 4 == 0:
            await bench.good_run()
    assert len(pulses) == 13 and tail == [1] * 13


@simulated(200_000)
async def check_scrub(dut):
    """A scrub is a reset, then zeroes what the control unit keeps of a program, and waits for the buffers."""
    bench = await Bench(dut, 8).open()
    host, rng, config = bench.host, bench.rng, bench.config
    await host.write("TARGET_SPARSITY", 100)
    for moment in ("idle", "running", "in reset", "error"):
        words = [CURVE_STRIDE * c + rng.choice((0, 3, 4, KNOTS - 1)) for c in range(config.prune_curves)]
        for word in words:
            await host.write("CURVE", 1 + rng.getrandbits(config.width - 2), word)
        await bench.good_run(10)
        if moment in ("running", "error"):
            program = [{"word": 0}] if moment == "error" else [*random_program(rng, 200, 0.2, bench.legal), HALT]
            await bench.load(program)
            bench.engines(Model([i for i in program if "engine" in i]))
            await host.write("CONTROL", START)
            await bench.cycles(60)
        elif moment == "in reset":
            await host.write("CONTROL", RESET)
        await host.write("CONTROL", SCRUB | (START | RESET if moment == "idle" else 0))
        bench.stop_engines()
        asked = 0
        for wait in (0, 300):
            for _ in range(wait):
                await FallingEdge(dut.clk)
                asked += int(dut.scrub.value)
            assert await host.read("STATUS") & RESETTING
        assert asked <= 1
        await FallingEdge(dut.clk)
        dut.scrubbed.value = 1
        await FallingEdge(dut.clk)
        dut.scrubbed.value = 0
        await bench.until_idle()
        for c, word in enumerate(words):
            assert await host.read("TAU", c) == await host.read("CURVE", word) == 0
        for name, _ in COUNTERS:
            assert await host.counter(name) == 0
    await bench.good_run()


@simulated()
async def check_access(dut):
    """What the memory side may reach is what the registers say: everything after a reset."""
    bench = await Bench(dut, 10).open()
    host, rng, bits = bench.host, bench.rng, bench.config.address_bits
    assert int(dut.access.value) == access_word(bits)
    for _ in range(5):
        words = {r.name: rng.getrandbits(32) for r in REGISTERS if r.built(bench.config) and r.name.startswith(
            ("MEMORY_BASE", "READ_", "WRITE_", "BUS_", "PORT_BASE"))}
        for name, value in words.items():
            await host.write(name, value)
        at = {name: value | words.get(f"{name}_HI", 0) << 32 for name, value in words.items()}
        attributes = words["BUS_ATTRIBUTES"]
        assert int(dut.access.value) == access_word(
            bits, base=at["MEMORY_BASE"], read=(at["READ_BASE"], at["READ_LIMIT"]),
            write=(at["WRITE_BASE"], at["WRITE_LIMIT"]), prot=attributes & 7, cache=attributes >> 4 & 15)
        for port in range(1, bench.config.memory_ports):
            assert int(getattr(dut, f"port_base__{port - 1}").value) == at[f"PORT_BASE_{port}"] >> PAGE_BITS


@simulated()
async def check_counters(dut):
    bench = await Bench(dut, 7).open()
    host, rng = bench.host, bench.rng
    ports = bench.config.memory_ports
    totals = dict.fromkeys((name for name, _ in counters_of(ports)), 0)
    fixed = {"on": False}

    async def drive():
        while True:
            word, step = 0, {}
            for name, field in event_layout(ports):
                size = field.shape if isinstance(field.shape, int) else len(field.shape)
                value = rng.choice((0, (1 << size) - 1, rng.getrandbits(size)))
                if fixed["on"]:
                    value = {"dense": 0xC000_0001, "fired": 1}.get(name, 0)
                step[name], word = value, word | value << field.offset
            dut.events.value = word
            for name in ENGINES:
                for kind in ("busy", "stalled"):
                    step[f"{name}_{kind}"] = rng.getrandbits(1)
                    getattr(dut, f"{name}_{kind}").value = step[f"{name}_{kind}"]
            await ReadOnly()
            running = int(dut.timeline.value) >> len(ENGINES) * (2 * NUMBER_BITS + 2)
            await FallingEdge(dut.clk)
            if running:
                step = step | {"cycles": 1, "multiplications": step["fired"], "dense_multiplications": step["dense"],
                               "skipped_multiplications": step["dense"] - step["fired"]}
                for name in totals.keys() & step.keys():
                    totals[name] += step[name]

    cocotb.start_soon(drive())
    for length in (60, 10):
        totals |= dict.fromkeys(totals, 0)
        await bench.good_run(length)
        totals["instructions"] = length
        for name, total in totals.items():
            assert await host.counter(name) == total % (1 << 64), name
    # Halves that belong together, while the low one overflows nearly every cycle.
    fixed["on"] = True
    await bench.load([make(rng, Engine.MATRIX, legal=bench.legal), HALT])
    bench.stop_engines()
    await host.write("CONTROL", START)
    await bench.cycles(100)
    before = 0
    for _ in range(40):
        value = await host.counter("dense_multiplications")
        assert value % 0xC000_0001 == 0 and value > before
        skipped = await host.counter("skipped_multiplications")
        assert skipped % 0xC000_0000 == 0
        before = value
    await bench.soft_reset()


PRESETS = {
    "small": {"tile": 8, "integer_bits": 4, "fraction_bits": 4, "lines_per_beat": 1, "prune_curves": 4,
              "instruction_queue": 2},
    "default": {},
}


@pytest.mark.parametrize("name", PRESETS)
def test_control_unit(name):
    config = AcceleratorConfig.from_dict(PRESETS[name])
    simulate_component(__name__, ControlUnit(config=config), config=config.to_dict())


def test_further_memory_ports_have_bases_and_counters():
    config = AcceleratorConfig.from_dict(PRESETS["small"] | {"memory_ports": 4, "weight_banks": 4})
    simulate_component(__name__, ControlUnit(config=config), config=config.to_dict(),
                       testcase="check_access|check_counters")


def test_h3_a_run_is_done_when_the_bus_is_idle():
    config = AcceleratorConfig.from_dict(next(iter(PRESETS.values())))
    simulate_component(__name__, ControlUnit(config=config), config=config.to_dict(), testcase="check_done_waits_for_the_bus")
