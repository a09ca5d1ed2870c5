"""Engines of several clusters as one: instructions to those that are named, completion and errors in order."""

import random
from dataclasses import dataclass

import pytest
from cocotb.triggers import FallingEdge, ReadOnly

from acceltran.hw.control.clustered_engine import ClusteredEngine
from acceltran.hw.control.layouts import INSTRUCTION_BITS
from acceltran.hw.instruction_layout import header_layout
from acceltran.sim.unit import parameters, simulate_component, simulated
from support.streams import start

IN_FLIGHT = 8
MASK = header_layout()["clusters"].offset


@dataclass(frozen=True)
class Instruction:
    """What it is, for which clusters, and what the cluster does that finds it faulty."""

    word: int
    clusters: tuple
    code: int | None = None
    culprits: tuple = ()


def make(rng, clusters, culprits=()):
    mask = rng.choice([0, (1 << clusters) - 1, rng.getrandbits(clusters), 1 << rng.randrange(clusters)])
    named = tuple(n for n in range(clusters) if mask >> n & 1) or tuple(range(clusters))
    word = rng.getrandbits(INSTRUCTION_BITS) & ~(0xFFFF << MASK) | mask << MASK
    return Instruction(word, named, rng.randrange(1, 16) if culprits else None, tuple(n for n in named if n in culprits))


class Part:
    """The engine of one cluster: takes instructions at random, up to `overlap` at once, and is done with them in their order.

    With a faulty one its error holds once everything before is done. Then the engine stops; or goes on with what comes behind,
    as the matrix engine does behind a product that it refuses: then its error is gone when the next one is done.
    """

    def __init__(self, dut, rng, number, program, *, goes_on):
        self.rng, self.number, self.goes_on = rng, number, goes_on
        self.wanted = [(n, one) for n, one in enumerate(program) if number in one.clusters]
        self.port = {name: getattr(dut, f"part__{number}__{name}") for name in (
            "instruction__valid", "instruction__ready", "instruction__payload", "done", "error", "busy", "stalled")}
        self.held, self.taken, self.completed, self.error = [], 0, {}, None
        self.ready, self.latency, self.overlap = rng.choice((0.2, 0.7, 1)), rng.choice((1, 10, 60)), rng.randint(1, 8)

    def drive(self, cycle):
        """Outputs of this cycle."""
        rng = self.rng
        self.taking = len(self.held) < self.overlap and rng.random() < self.ready
        self.held = [(number, max(0, left - 1)) for number, left in self.held]
        self.finish = bool(self.held) and not self.held[0][1]
        if self.finish:
            number = self.held[0][0]
            instruction = dict(self.wanted)[number]
            if self.number in instruction.culprits:
                self.error, self.finish = instruction.code, False
                if self.goes_on:
                    self.held.pop(0)
            else:
                self.completed[number] = cycle
        self.busy = bool(self.held) or self.error is not None
        self.stalled = self.busy and rng.random() < 0.5
        self.shown = None if self.finish else self.error
        for name, value in (("instruction__ready", self.taking), ("done", self.finish), ("busy", self.busy),
                            ("stalled", self.stalled), ("error", 0 if self.shown is None else 1 | self.shown << 1)):
            self.port[name].value = int(value)
        if self.finish:
            self.held.pop(0)
            self.error = None

    def sample(self):
        """After everything has settled: an instruction may be taken."""
        if self.taking and int(self.port["instruction__valid"].value):
            number, instruction = self.wanted[self.taken]
            assert int(self.port["instruction__payload"].value) == instruction.word, (self.number, number)
            self.taken += 1
            self.held.append((number, self.rng.randint(1, self.latency)))


class Whole:
    """The control unit's side, as an `IssueQueue`: counts what is done until it sees an error."""

    def __init__(self, dut, rng, program, limit):
        self.dut, self.rng, self.program, self.limit = dut, rng, program, limit
        self.sent, self.done, self.moments, self.error, self.offering = 0, 0, [], None, False
        self.pause = rng.choice((0, 0.5))

    def drive(self):
        if not self.offering:
            self.offering = (self.sent < len(self.program) and self.sent - self.done < self.limit and self.error is None
                             and self.rng.random() >= self.pause)
        self.dut.whole__instruction__valid.value = int(self.offering)
        if self.offering:
            self.dut.whole__instruction__payload.value = self.program[self.sent].word

    def sample(self, cycle):
        """Counts; returns how many instructions were in work when the cycle began."""
        in_work = self.sent - self.done
        error, done = int(self.dut.whole__error.value), int(self.dut.whole__done.value)
        if error & 1 and self.error is None:
            self.error = error >> 1, self.done
        elif done and self.error is None:
            self.moments.append(cycle)
            self.done += 1
        if self.offering and int(self.dut.whole__instruction__ready.value):
            self.sent, self.offering = self.sent + 1, False
        return in_work


async def play(dut, rng, clusters, program, *, goes_on=False, limit=IN_FLIGHT):
    """A program from reset on until all is done, or an error is seen; returns both sides."""
    dut.rst.value = 1
    await FallingEdge(dut.clk)
    dut.rst.value = 0
    parts = [Part(dut, rng, n, program, goes_on=goes_on) for n in range(clusters)]
    whole = Whole(dut, rng, program, limit)
    for cycle in range(100 * len(program)):
        whole.drive()
        for part in parts:
            part.drive(cycle)
        await ReadOnly()
        in_work = whole.sample(cycle)
        for part in parts:
            part.sample()
        if whole.error is None:
            busy = bool(in_work) or any(part.busy for part in parts)
            assert int(dut.whole__busy.value) == busy
            assert int(dut.whole__stalled.value) == (busy and not any(part.busy and not part.stalled for part in parts))
        await FallingEdge(dut.clk)
        if whole.done == len(program) or whole.error is not None:
            break
    return whole, parts


@simulated(2_000_000)
async def check_order(dut):
    """Each cluster gets what names it; `done` comes in order, one cycle after the last cluster's."""
    clusters, rng = parameters()["clusters"], random.Random(1)
    await start(dut, "whole__instruction")
    for limit in (1, 3, IN_FLIGHT, 40, 40):
        program = [make(rng, clusters) for number in range(60)]
        whole, parts = await play(dut, rng, clusters, program, limit=limit)
        assert whole.error is None and whole.done == len(program)
        assert all(part.taken == len(part.wanted) for part in parts)
        earlier = -1
        for number, (instruction, moment) in enumerate(zip(program, whole.moments, strict=True)):
            last = max(parts[n].completed[number] for n in instruction.clusters)
            assert moment == max(last, earlier) + 1, number
            earlier = moment


@simulated(2_000_000)
async def check_errors(dut):
    """Of the first instruction that is faulty in any cluster, when all before it are done; whatever follows in the others."""
    clusters, rng = parameters()["clusters"], random.Random(2)
    await start(dut, "whole__instruction")
    for number in range(60):
        faulty = {rng.randrange(20): rng.sample(range(clusters), rng.randint(1, clusters)) for _ in range(rng.randint(1, 3))}
        program = [make(rng, clusters, faulty.get(n, ())) for n in range(24)]
        first = next((n for n, one in enumerate(program) if one.culprits), None)
        whole, parts = await play(dut, rng, clusters, program, goes_on=bool(number % 2))
        if first is None:
            assert whole.error is None and whole.done == len(program)
            continue
        assert whole.error == (program[first].code, first), number
        assert all(before in parts[n].completed for before in range(first) for n in program[before].clusters)


@pytest.mark.parametrize("clusters", [2, 3, 16])
def test_clustered_engine(clusters):
    simulate_component(__name__, ClusteredEngine(clusters=clusters, in_flight=IN_FLIGHT), clusters=clusters)
