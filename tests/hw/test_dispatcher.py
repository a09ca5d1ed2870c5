"""Dispatcher against a model of queues and semaphores, with engines in Python that overlap and finish at random."""

import random

import cocotb
import pytest
from cocotb.triggers import FallingEdge, ReadOnly

from acceltran.hw.control.dispatcher import Dispatcher
from acceltran.hw.control.layouts import ENGINES, engine_bits
from acceltran.hw.spec.error_codes import ErrorCode
from acceltran.hw.spec.isa import Engine
from acceltran.hw.spec.widths import NUMBER_BITS
from acceltran.sim.unit import simulate_component, simulated
from support.engines import Model, engine, make, random_program
from support.streams import send, start

IN_FLIGHT = 8
ISSUE_LATENCY = 3


def packed(program, first=0):
    bits = engine_bits()
    for number, item in enumerate(program, first):
        assert item["word"] >> bits == 0
        yield item["word"] | (number | item["sync"] << NUMBER_BITS | item["engine"] << NUMBER_BITS + 1) << bits


async def watch_timeline(dut, seen):
    """Collect the numbers in `timeline`."""
    while True:
        await FallingEdge(dut.clk)
        timeline = int(dut.timeline.value)
        for e in range(3):
            part = timeline >> e * (2 * NUMBER_BITS + 2)
            for kind in ("start", "done"):
                if part & 1:
                    seen[kind, e].append(part >> 1 & (1 << NUMBER_BITS) - 1)
                part >>= NUMBER_BITS + 1


async def prepare(dut):
    dut.stop.value = 0
    for name in ENGINES:
        getattr(dut, f"{name}_done").value = getattr(dut, f"{name}_error").value = 0
        getattr(dut, f"{name}_instruction__ready").value = 0
    await start(dut, "i")


async def reset(dut):
    for name in ENGINES:
        getattr(dut, f"{name}_done").value = 0
    dut.rst.value = 1
    await FallingEdge(dut.clk)
    dut.rst.value = 0


def reports(dut):
    """The error reports that stand now, as (source, code, engine, number)."""
    parts = [int(getattr(dut, f"reports__{n}").value) for n in range(6)]
    return [(n, p >> 1 & 31, p >> 6 & 3, p >> 8) for n, p in enumerate(parts) if p & 1]


@simulated()
async def check_random_programs(dut):
    await prepare(dut)
    behaviours = ((1.0, 1, 8, 0.0, 0.2), (0.5, 12, 3, 0.3, 0.2), (0.2, 3, 1, 0.0, 0.5), (1.0, 40, 8, 0.0, 0.1),
                  (0.9, 2, 2, 0.7, 0.9))
    for seed, (ready, latency, overlap, idle, sync) in enumerate(behaviours):
        rng = random.Random(seed)
        program = random_program(rng, 200, sync)
        model = Model(program)
        seen = {(kind, e): [] for kind in ("start", "done") for e in range(3)}
        tasks = [cocotb.start_soon(engine(dut, name, model, rng, ready=ready, latency=latency, overlap=overlap))
                 for name in ENGINES]
        tasks.append(cocotb.start_soon(watch_timeline(dut, seen)))
        await send(dut, "i", list(packed(program)), rng, idle)
        for _ in range(20000):
            if int(dut.empty.value):
                break
            await FallingEdge(dut.clk)
        for _ in range(3):
            await FallingEdge(dut.clk)
        assert model.complete() and not reports(dut)
        for e in range(3):
            numbers = [n for n, _ in model.order[e]]
            assert seen["start", e] == numbers and seen["done", e] == numbers
        for task in tasks:
            task.cancel()
        await reset(dut)


@simulated()
async def check_issue_latency(dut):
    """The dependent instruction is offered `ISSUE_LATENCY` cycles after the pulse of the one that it waits for."""
    rng = random.Random(9)
    await prepare(dut)
    program = [make(rng, Engine.MEMORY, signal=2), make(rng, Engine.MATRIX, (1, 0, 0)), make(rng, Engine.MATRIX)]
    dut.memory_instruction__ready.value = 1
    await send(dut, "i", list(packed(program)))
    for _ in range(20):
        await FallingEdge(dut.clk)
        assert not int(dut.matrix_instruction__valid.value)
    dut.memory_done.value = 1
    await FallingEdge(dut.clk)
    dut.memory_done.value = 0
    cycles = 1
    while not int(dut.matrix_instruction__valid.value):
        await FallingEdge(dut.clk)
        cycles += 1
    assert cycles == ISSUE_LATENCY
    dut.matrix_instruction__ready.value = 1
    offered = 0
    for _ in range(4):
        await ReadOnly()
        offered += int(dut.matrix_instruction__valid.value)
        await FallingEdge(dut.clk)
    assert offered == 2


@simulated()
async def check_in_flight_limit(dut):
    rng = random.Random(10)
    await prepare(dut)
    dut.vector_instruction__ready.value = 1
    cocotb.start_soon(send(dut, "i", list(packed([make(rng, Engine.VECTOR) for _ in range(12)]))))
    accepted = 0
    for cycle in range(200):
        dut.vector_done.value = int(cycle >= 100 and cycle % 7 == 0)
        await ReadOnly()
        accepted += int(dut.vector_instruction__valid.value)
        assert accepted <= IN_FLIGHT + (0 if cycle < 100 else 1 + (cycle - 100) // 7 + 1)
        await FallingEdge(dut.clk)
        if cycle == 99:
            assert accepted == IN_FLIGHT
    assert accepted == 12 and int(dut.empty.value)


@simulated()
async def check_stop(dut):
    rng = random.Random(11)
    await prepare(dut)
    cocotb.start_soon(send(dut, "i", list(packed([make(rng, Engine.MATRIX) for _ in range(6)]))))
    for _ in range(8):
        await FallingEdge(dut.clk)
    assert int(dut.matrix_instruction__valid.value)
    dut.stop.value = 1
    for _ in range(5):
        await FallingEdge(dut.clk)
        assert int(dut.matrix_instruction__valid.value)
    dut.matrix_instruction__ready.value = 1
    await FallingEdge(dut.clk)
    for _ in range(20):
        assert not int(dut.matrix_instruction__valid.value)
        await FallingEdge(dut.clk)
    assert int(dut.oldest.value) == 1


@simulated()
async def check_engine_error(dut):
    """The error belongs to the first instruction not completed, whatever SYNCs stand before it."""
    await prepare(dut)
    for seed, (completed, with_done) in enumerate(((0, False), (2, False), (3, True))):
        rng = random.Random(20 + seed)
        await reset(dut)
        program = [make(rng, Engine.MATRIX, sync=n % 2 == 1) for n in range(9)]
        dut.matrix_instruction__ready.value = 1
        cocotb.start_soon(send(dut, "i", list(packed(program, first=100))))
        for _ in range(40):
            await FallingEdge(dut.clk)
        for _ in range(completed):
            dut.matrix_done.value = 1
            await FallingEdge(dut.clk)
        dut.matrix_done.value = int(with_done)
        dut.matrix_error.value = 1 | 3 << 1
        await FallingEdge(dut.clk)
        dut.matrix_error.value = 0
        found = []
        for cycle in range(12):
            dut.matrix_done.value = int(with_done and cycle < 3)
            found += reports(dut)
            await FallingEdge(dut.clk)
        assert found == [(1, ErrorCode.SLOT_RANGE, Engine.MATRIX, 100 + 2 * completed)]


@simulated()
async def check_counts(dut):
    """255 tokens can be taken at once, 4095 kept; one more is an error of the giver."""
    rng = random.Random(30)
    await prepare(dut)
    give, take = make(rng, Engine.VECTOR, signal=1, sync=True), make(rng, Engine.MEMORY, (0, 0, 255), sync=True)
    last = make(rng, Engine.MEMORY, (0, 0, 1))
    await send(dut, "i", list(packed([give] * 254 + [take])))
    for _ in range(30):
        await FallingEdge(dut.clk)
    assert not int(dut.empty.value)
    await send(dut, "i", list(packed([give])))
    for _ in range(30):
        await FallingEdge(dut.clk)
    assert int(dut.empty.value)
    await send(dut, "i", list(packed([last])))
    for _ in range(30):
        await FallingEdge(dut.clk)
    assert not int(dut.memory_instruction__valid.value)
    await send(dut, "i", list(packed([give])))
    for _ in range(30):
        await FallingEdge(dut.clk)
    assert int(dut.memory_instruction__valid.value)
    await send(dut, "i", list(packed([give] * 4095)))
    for _ in range(30):
        await FallingEdge(dut.clk)
        assert not reports(dut)
    cocotb.start_soon(send(dut, "i", list(packed([give], first=777))))
    found = []
    for _ in range(30):
        await FallingEdge(dut.clk)
        found += reports(dut)
    assert found == [(3 + Engine.VECTOR, ErrorCode.SEMAPHORE_OVERFLOW, Engine.VECTOR, 777)]


@pytest.mark.parametrize("depth", [2, 8])
def test_dispatcher(depth):
    simulate_component(__name__, Dispatcher(depth=depth), depth=depth)
