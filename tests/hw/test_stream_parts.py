"""Queue, skid buffer, fork and arbiter: nothing lost, nothing twice, order kept, full rate."""

import random

import cocotb
import pytest
from cocotb.triggers import Combine, FallingEdge, ReadOnly, RisingEdge, Timer
from cocotb.utils import get_sim_time

from acceltran.hw.streams.skid_buffer import SkidBuffer
from acceltran.hw.streams.stream_arbiter import StreamArbiter
from acceltran.hw.streams.stream_fork import StreamFork
from acceltran.hw.streams.stream_queue import StreamQueue
from acceltran.sim.clock import PERIOD
from acceltran.sim.unit import parameters, simulate_component, simulated
from support.streams import collect, send, start

COUNT = 200


@simulated(where=lambda p: "choice" not in p)
async def check_parts(dut):
    p = parameters()
    rng = random.Random(7)
    inputs = ["i"] if p["inputs"] == 0 else [f"i__{n}" for n in range(p["inputs"])]
    outputs = ["o"] if p["outputs"] == 0 else [f"o__{n}" for n in range(p["outputs"])]
    await start(dut, *inputs)
    for stall in (0, 0.5):
        words = {port: [(n << 12) | rng.getrandbits(12) for _ in range(COUNT)] for n, port in enumerate(inputs)}
        begun = get_sim_time("ns")
        senders = [cocotb.start_soon(send(dut, port, words[port], rng, stall)) for port in inputs]
        takers = [cocotb.start_soon(collect(dut, port, COUNT * len(inputs), rng, stall)) for port in outputs]
        await Combine(*senders, *takers)
        cycles = (get_sim_time("ns") - begun) / PERIOD
        for taker in takers:
            got = taker.result()
            for n, port in enumerate(inputs):
                assert [w for w in got if w >> 12 == n] == words[port]
        if not stall:
            assert cycles <= COUNT * len(inputs) + 8


@simulated(where=lambda p: "skid" in p)
async def check_ready(dut):
    """`i.ready` is what it was at the clock edge, whatever `o.ready` does; `o` follows `i` in the same cycle."""
    await start(dut, "i")
    rng = random.Random(8)
    for _ in range(COUNT):
        await RisingEdge(dut.clk)
        dut.i__valid.value, dut.i__payload.value = rng.getrandbits(1), rng.getrandbits(16)
        seen = set()
        for ready in (1, 0, rng.getrandbits(1)):
            dut.o__ready.value = ready
            await Timer(1, "ns")
            await ReadOnly()
            seen.add(int(dut.i__ready.value))
            if dut.i__valid.value and dut.i__ready.value:
                assert dut.o__valid.value and dut.o__payload.value == dut.i__payload.value
            await Timer(1, "ns")
        assert len(seen) == 1


@simulated(where=lambda p: "choice" in p)
async def check_choice(dut):
    """Each payload to those that are chosen while it is offered, to each once; the others see nothing of it."""
    p = parameters()
    rng, branches = random.Random(9), range(p["outputs"])
    await start(dut, "i")
    for stall in (0, 0.5):
        items = [(rng.getrandbits(16), rng.randrange(1, 1 << len(branches))) for _ in range(COUNT)]
        wanted = [[word for word, chosen in items if chosen >> n & 1] for n in branches]
        takers = [cocotb.start_soon(collect(dut, f"o__{n}", len(wanted[n]), rng, stall)) for n in branches]
        begun = get_sim_time("ns")
        for word, chosen in items:
            while rng.random() < stall:
                dut.i__valid.value, dut.chosen.value = 0, rng.getrandbits(len(branches))
                await FallingEdge(dut.clk)
            dut.i__valid.value, dut.i__payload.value, dut.chosen.value = 1, word, chosen
            await ReadOnly()
            offered = sum(int(getattr(dut, f"o__{n}__valid").value) << n for n in branches)
            assert offered == chosen, "all that are chosen are offered it at once"
            while not dut.i__ready.value:
                await FallingEdge(dut.clk)
                await ReadOnly()
                assert not sum(int(getattr(dut, f"o__{n}__valid").value) << n for n in branches) & ~offered
            await FallingEdge(dut.clk)
        dut.i__valid.value = 0
        await Combine(*takers)
        assert [taker.result() for taker in takers] == wanted
        assert stall or (get_sim_time("ns") - begun) / PERIOD <= COUNT + 1


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_queue(depth):
    simulate_component(__name__, StreamQueue(shape=16, depth=depth), inputs=0, outputs=0)


def test_skid_buffer():
    simulate_component(__name__, SkidBuffer(shape=16), inputs=0, outputs=0, skid=1)


@pytest.mark.parametrize("branches", [2, 3])
def test_fork(branches):
    simulate_component(__name__, StreamFork(shape=16, branches=branches), inputs=0, outputs=branches)


@pytest.mark.parametrize("branches", [2, 5])
def test_fork_to_some(branches):
    simulate_component(__name__, StreamFork(shape=16, branches=branches, choice=True), inputs=0, outputs=branches, choice=1)


@pytest.mark.parametrize("inputs", [2, 3])
def test_arbiter(inputs):
    simulate_component(__name__, StreamArbiter(shape=16, inputs=inputs), inputs=inputs, outputs=0)
