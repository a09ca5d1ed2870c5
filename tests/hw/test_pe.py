"""PE: packed tiles in, packed tiles out, each with the command of its own, whatever waits for what."""

import random
from dataclasses import asdict

import cocotb
import numpy as np
import pytest
from cocotb.triggers import ClockCycles, FallingEdge, ReadOnly
from cocotb.utils import get_sim_time

from acceltran.hw.layout import pe_command, tile_write
from acceltran.hw.pe.mac import Mac
from acceltran.hw.pe.pe import PE
from acceltran.hw.pe.pe_format import PEFormat
from acceltran.hw.spec.widths import TAG_BITS
from acceltran.sim.clock import PERIOD
from acceltran.sim.unit import parameters, simulate_component, simulated
from support.configs import CONFIGS
from support.pe_work import Work, low_tile, mixture
from support.post_commands import PostCommand
from support.streams import collect, send, start
from support.tile_writes import unpack_write, writes_of

PORTS = ("a", "b", "step", "command")
FORMATS = {
    "small": PEFormat(tile=4, width=8, b_width=8, accumulator_width=26, lines_per_beat=2, skip="both", window=2,
                      operand_slots=2, psum_tiles=1),
    "narrow_b": PEFormat(tile=8, width=9, b_width=4, scale_bits=4, accumulator_width=24, lines_per_beat=2, skip="both",
                         window=4, operand_slots=2, psum_tiles=2, functions=("relu", "tanh"), skid=True),
    "ram": PEFormat(tile=4, width=10, b_width=6, scale_bits=4, accumulator_width=26, lines_per_beat=1, skip="activation",
                    window=1, operand_slots=3, psum_tiles=1, b_memory="ram", functions=("gelu",), skid=True),
}
SLOW = {name: PEFormat.of(CONFIGS[name]) for name in ("one_pe", "one_by_two", "window_of_eight")}


class Job:
    """Work with a command for each output tile, and the writes that must come."""

    def __init__(self, p, rng, work):
        self.p, self.work = p, work
        work.align()
        layout = pe_command(p["tile"], p["width"], p["scale_bits"])
        self.commands, self.writes = [], []
        for sums in work.outputs:
            post = PostCommand(rng, p, int(np.abs(sums).max()).bit_length() + 1)
            tag, discard = rng.randrange(1 << TAG_BITS), rng.random() < 0.2
            word = layout.const({"post": post.values, "tag": tag, "discard": int(discard)}).as_value().value
            self.commands.append(word & (1 << layout.size) - 1)
            if not discard:
                self.writes += [(tag, *write) for write in writes_of(post.result(sums), post.slot, p["lines_per_beat"])]

    def words(self):
        """Payloads by port."""
        return {"a": [w for t in self.work.a for w in t], "b": [w for t in self.work.b for w in t], "step": self.work.steps,
                "command": self.commands}


def unpacked(word, p):
    shift = tile_write(p["tile"], p["width"], p["lines_per_beat"]).size
    return word >> shift, *unpack_write(word & (1 << shift) - 1, p["tile"], p["width"], p["lines_per_beat"])


class Counts:
    """What the PE says that it does, cycle by cycle."""

    def __init__(self, dut, p):
        self.dut, self.everything, self.fired, self.busy = dut, p["tile"] ** 2, 0, False
        self.lanes = p["tile"].bit_length()

    async def watch(self):
        while True:
            await ReadOnly()
            word, fired = int(self.dut.lost.value), int(self.dut.fired.value)
            operands, idle = word & (1 << self.lanes) - 1, word >> self.lanes + self.everything.bit_length()
            output = word >> self.lanes & (1 << self.everything.bit_length()) - 1
            lost = (operands + idle) * int(self.everything**0.5) + output
            assert fired + lost <= self.everything
            assert int(self.dut.busy.value) or not fired or self.busy, "it works, and does not say so"
            self.busy = bool(self.dut.busy.value) or self.busy and bool(fired)
            self.fired += fired
            await FallingEdge(self.dut.clk)


async def begin(dut):
    """The reset takes effect, and ends, one cycle later."""
    await start(dut, *PORTS)
    await FallingEdge(dut.clk)


async def run(dut, job, rng=None, idle=0.0, stall=0.0):
    """Give it all work at once, each port at its own pace; returns the cycle of each write."""
    p, times = job.p, []
    counts = Counts(dut, p)
    watch = cocotb.start_soon(counts.watch())
    tasks = [cocotb.start_soon(send(dut, port, words, rng, idle)) for port, words in job.words().items()]
    words = await collect(dut, "o", len(job.writes), rng, stall, lambda _: times.append(get_sim_time("ns") // PERIOD))
    for task in tasks:
        await task
    dut.o__ready.value = 1
    for _ in range(6 * p["tile"]):
        await FallingEdge(dut.clk)
        assert not dut.o__valid.value, "a write too many"
    watch.cancel()
    assert [unpacked(word, p) for word in words] == job.writes
    assert counts.fired == job.work.fired and not dut.busy.value
    return times


def corners(p):
    """Nothing, the extremes, and single values, next to each other; the longest sum that a product of this size has."""
    size, work = p["tile"], Work(p)
    single = np.zeros((size, size), dtype=np.int64)
    single[size - 1, 0] = -1
    tiles = [[np.zeros_like(single), low_tile(size, width), ~low_tile(size, width), single]
             for width in (p["width"], p["b_width"])]
    for a in tiles[0]:
        for b in tiles[1]:
            work.step(a, b, last=True, transpose=(a is b))
    for n in range(8):
        work.step(tiles[0][1], tiles[1][1], last=n == 7)
    return work


@simulated()
async def check_corners(dut):
    p = parameters()
    await begin(dut)
    rng = random.Random(1)
    for _ in range(3):
        await run(dut, Job(p, rng, corners(p)))


@simulated()
async def check_mixtures_under_stalls(dut):
    """Any port may be the one that all others wait for."""
    p = parameters()
    await begin(dut)
    for idle, stall in ((0, 0), (0.5, 0), (0, 0.5), (0.3, 0.3), (0, 0.95)):
        rng = random.Random(f"{idle} {stall}")
        await run(dut, Job(p, rng, mixture(p, rng, 16)), rng, idle, stall)


@simulated()
async def check_late_ports(dut):
    """One port comes only when the others have given all that fits: nothing is lost, and nothing comes without it."""
    p, rng = parameters(), random.Random(3)
    await begin(dut)
    for late in PORTS:
        job = Job(p, rng, mixture(p, rng, 6))
        words = job.words()
        tasks = [cocotb.start_soon(send(dut, port, words[port])) for port in PORTS if port != late]
        dut.o__ready.value = 1
        for _ in range(30 * p["tile"]):
            await FallingEdge(dut.clk)
            assert not dut.o__valid.value, late
        dut.o__ready.value = 0
        tasks.append(cocotb.start_soon(send(dut, late, words[late])))
        got = await collect(dut, "o", len(job.writes), rng, 0.1)
        assert [unpacked(word, p) for word in got] == job.writes
        for task in tasks:
            await task
        await ClockCycles(dut.clk, 8 * p["tile"])
        await FallingEdge(dut.clk)


@simulated()
async def check_rate(dut):
    """Dense tiles: T cycles per step, from output tile to output tile; two tiles of each operand, and more, may wait."""
    p, rng = parameters(), random.Random(4)
    size, work = p["tile"], Work(p)
    await begin(dut)
    for _ in range(6):
        work.product(rng, 3, 1.0, 1.0, p["psum_tiles"])
    job = Job(p, rng, work)
    beats = size // p["lines_per_beat"]
    await send(dut, "a", job.words()["a"][:2 * beats])
    await send(dut, "b", job.words()["b"][:2 * beats])
    job.work.a, job.work.b = job.work.a[2:], job.work.b[2:]
    times = await run(dut, job)
    assert times[-1] - times[0] <= size * (len(work.steps) - 1) + 2 * size, (times[0], times[-1])


@simulated()
async def check_reset(dut):
    """In the middle of work: as long as the pipeline of a multiplier, which has none, and a cycle for it to take effect."""
    p, rng = parameters(), random.Random(5)
    await begin(dut)
    for number in range(6):
        job = Job(p, rng, mixture(p, rng, 6))
        tasks = [cocotb.start_soon(send(dut, port, words)) for port, words in job.words().items()]
        dut.o__ready.value = number % 2
        await ClockCycles(dut.clk, rng.randrange(1, 12 * p["tile"]))
        await FallingEdge(dut.clk)
        for task in tasks:
            task.cancel()
        for port in PORTS:
            getattr(dut, f"{port}__valid").value = 0
        dut.rst.value, dut.o__ready.value = 1, 0
        for _ in range(Mac.latency):
            await FallingEdge(dut.clk)
        dut.rst.value = 0
        await FallingEdge(dut.clk)
        job = Job(p, rng, mixture(p, rng, 3))
        await run(dut, job, rng, 0.2, 0.2)


@pytest.mark.parametrize("name", [*FORMATS, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_pe(name):
    form = (FORMATS | SLOW)[name]
    simulate_component(__name__, PE(form=form), **asdict(form))
