"""Instruction fetch with a memory of random latency and a decoder that stalls."""

import random

import cocotb
from cocotb.triggers import FallingEdge, ReadOnly

from acceltran.hw.control.instruction_fetch import InstructionFetch
from acceltran.hw.control.layouts import INSTRUCTION_BITS, engine_bits
from acceltran.hw.spec.widths import NUMBER_BITS
from acceltran.sim.unit import simulate_component, simulated
from support.streams import collect, start

OUTSTANDING = 4


async def memory(dut, program, base, bad, rng, latency, ready, log):
    """Answers requests in order; the answer is never held up by the component."""
    waiting = []
    while True:
        taking = rng.random() < ready
        dut.request__ready.value = int(taking)
        waiting = [(max(0, left - 1), address) for left, address in waiting]
        answering = bool(waiting) and waiting[0][0] == 0
        dut.fetch__valid.value = int(answering)
        if answering:
            number = (waiting[0][1] - base) // 64
            dut.fetch__payload.value = program[number] | int(number in bad) << INSTRUCTION_BITS
        await ReadOnly()
        requested = taking and int(dut.request__valid.value)
        address = int(dut.request__payload.value)
        assert not answering or int(dut.fetch__ready.value)
        await FallingEdge(dut.clk)
        if answering:
            waiting.pop(0)
        if requested:
            log.append(address)
            waiting.append((rng.randint(1, latency), address))


async def launch(dut, base, length):
    dut.address.value, dut.length.value, dut.start.value = base, length, 1
    await FallingEdge(dut.clk)
    dut.start.value = 0


async def prepare(dut):
    for port in ("start", "stop", "address", "length", "request__ready", "o__ready"):
        getattr(dut, port).value = 0
    await start(dut, "fetch")


@simulated()
async def check_programs(dut):
    await prepare(dut)
    for seed, (length, latency, ready, stall) in enumerate((
        (60, 30, 1.0, 0.0), (60, 1, 1.0, 0.0), (60, 4, 0.4, 0.5), (60, 2, 1.0, 0.9), (1, 3, 1.0, 0.0),
    )):
        rng = random.Random(seed)
        dut.rst.value = 1
        await FallingEdge(dut.clk)
        dut.rst.value = 0
        base = rng.choice((0, 0x4000_0040, 0xFFFF_0000)) + rng.randrange(64)
        program = [rng.getrandbits(INSTRUCTION_BITS) for _ in range(length)]
        bad, log = set(rng.sample(range(length), length // 4)), []
        task = cocotb.start_soon(memory(dut, program, base & ~63, bad, rng, latency, ready, log))
        await launch(dut, base, length)
        taken = []

        def check(word, log=log, taken=taken):
            taken.append(word)
            assert len(log) - len(taken) < OUTSTANDING

        words = await collect(dut, "o", length, rng, stall, check)
        bits = engine_bits()
        for number, word in enumerate(words):
            assert word == (program[number] & (1 << bits) - 1) | (number | (number in bad) << NUMBER_BITS) << bits
        assert log == [(base & ~63) + 64 * n for n in range(length)]
        await FallingEdge(dut.clk)
        assert int(dut.idle.value) and int(dut.exhausted.value)
        task.cancel()


@simulated()
async def check_run_ahead_is_limited(dut):
    rng = random.Random(7)
    await prepare(dut)
    log = []
    task = cocotb.start_soon(memory(dut, [1] * 20, 0, (), rng, 2, 1.0, log))
    await launch(dut, 0, 20)
    for _ in range(100):
        await FallingEdge(dut.clk)
    assert len(log) == OUTSTANDING and not int(dut.idle.value) and not int(dut.exhausted.value)
    task.cancel()


@simulated()
async def check_stop(dut):
    """After `stop` a standing request stays until it is taken, no other follows, and the answers are delivered."""
    rng = random.Random(8)
    await prepare(dut)
    log = []
    await launch(dut, 64, 20)
    for _ in range(3):
        await FallingEdge(dut.clk)
    dut.stop.value = 1
    for _ in range(10):
        await FallingEdge(dut.clk)
        assert int(dut.request__valid.value) and int(dut.request__payload.value) == 64 and not int(dut.idle.value)
    task = cocotb.start_soon(memory(dut, [5] * 20, 64, (), rng, 5, 1.0, log))
    assert len(await collect(dut, "o", 1)) == 1
    for _ in range(30):
        await FallingEdge(dut.clk)
    assert log == [64] and int(dut.idle.value) and not int(dut.exhausted.value)
    task.cancel()


@simulated()
async def check_empty_program(dut):
    await prepare(dut)
    assert not int(dut.exhausted.value)
    await launch(dut, 0, 0)
    for _ in range(10):
        await FallingEdge(dut.clk)
        assert int(dut.exhausted.value) and int(dut.idle.value) and not int(dut.request__valid.value)


def test_instruction_fetch():
    simulate_component(__name__, InstructionFetch(outstanding=OUTSTANDING))
