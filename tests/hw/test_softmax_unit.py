"""SoftmaxUnit against its golden function: a buffer model answers its requests, everything may stall."""

import random
from types import SimpleNamespace

import cocotb
import numpy as np
import pytest
import torch
from cocotb.triggers import FallingEdge, ReadOnly
from cocotb.utils import get_sim_time

from acceltran.hw.layout import tile_write
from acceltran.hw.spec.softmax import x_shifts
from acceltran.hw.spec.widths import SLOT_BITS
from acceltran.hw.vector.softmax_unit import SoftmaxUnit, softmax_command
from acceltran.sim.clock import PERIOD
from acceltran.sim.unit import parameters, simulate_component, simulated
from acceltran.sw.golden.softmax import softmax
from acceltran.sw.golden.tiles import unpack_bits, unpack_tile
from support.streams import collect, send, start, tile_beats

OUTPUT = 1 << (SLOT_BITS - 1)


class Buffer:
    """Tiles by slot; answers requests in order after a random delay, takes writes."""

    def __init__(self, dut, rng, idle):
        self.dut, self.rng, self.idle = dut, rng, idle
        self.config = SimpleNamespace(**parameters())
        self.tiles, self.requests, self.lines, self.masks = {}, [], {}, {}
        self.received = self.ahead = 0

    def asked(self, slot):
        self.requests.append(slot)
        self.ahead = max(self.ahead, len(self.requests) - self.received)
        assert self.ahead <= 4

    async def answer(self):
        c = self.config
        while True:
            if len(self.requests) == self.received:
                await FallingEdge(self.dut.clk)
                continue
            tile = self.tiles[self.requests[self.received]]
            beats = tile_beats(tile, c.width, c.lines_per_beat, rng=self.rng, held=True)
            await send(self.dut, "x", beats, self.rng, self.idle)
            self.received += 1

    def write(self, word):
        c = self.config
        w = tile_write(c.tile, c.width, c.lines_per_beat).from_bits(word)
        slot = int(w.slot)
        assert slot not in self.masks
        for n in range(c.lines_per_beat):
            if w.line_enable >> n & 1:
                line = w.index * c.lines_per_beat + n
                self.lines[slot, line] = unpack_bits(w.lines[n].as_bits(), c.width, c.tile)
        if w.last:
            self.masks[slot] = int(w.mask)

    def result(self, slot):
        t = self.config.tile
        mask = unpack_bits(self.masks[slot], 1, t * t, signed=False).reshape(t, t)
        lines = [self.lines[slot, n] for n in range(-(-int(mask.sum()) // t))]
        return unpack_tile(mask, np.concatenate([*lines, np.zeros(0, np.int64)]))


def command_of(rng, c, kind, columns, valid, **fixed):
    """A command with its rows of scores and its golden result."""
    low, high = -(1 << (c.width - 1)), (1 << (c.width - 1)) - 1
    n = columns * c.tile
    rows = np.array([[rng.randint(low, high) for _ in range(n)] for _ in range(c.tile)], dtype=np.int64)
    if kind == "equal":
        rows[:] = rows[:, :1]
    elif kind == "zero":
        rows[:] = 0
    elif kind == "extreme":
        rows = np.where(rows & 1, low, high)
    elif kind == "rising":
        rows = np.sort(rows, axis=1)
    elif kind == "falling":
        rows = np.sort(rows, axis=1)[:, ::-1].copy()
    elif kind == "sparse":
        rows[np.array([[rng.random() < 0.7 for _ in range(n)] for _ in range(c.tile)])] = 0
        rows[:, : c.tile] = 0
    elif kind == "close":
        rows >>= c.width - 5
    values = {
        "x_shift": rng.choice(x_shifts(c.width)),
        "o_frac": rng.choice((c.width - 2, c.width - 2, c.width // 2, 0)),
        "tau": rng.choice((0, 0, 1, rng.randrange(1 << (c.width - 4)))),
    } | fixed
    if values["tau"] == "tie":
        plain = golden(rows, c, valid, values | {"tau": 0})
        values["tau"] = int(rng.choice([v for v in plain.reshape(-1).tolist() if v] or [0]))
    return SimpleNamespace(rows=rows, columns=columns, valid=valid, values=values,
                           expected=golden(rows, c, valid, values))


def golden(rows, c, valid, values):
    return softmax(torch.from_numpy(rows), valid_columns=valid, width=c.width, tile=c.tile, **values).numpy()


async def run(dut, commands, seed, idle=0.0, stall=0.0, slow_requests=0.0):
    """Run the commands back to back, check every result; returns the cycles from the first command to the last done."""
    c = SimpleNamespace(**parameters())
    rng = random.Random(seed)
    await start(dut, "command", "x")
    buffer = Buffer(dut, rng, idle)
    layout, words, slot = softmax_command(c.width), [], 0
    for command in commands:
        command.x_slot, command.o_slot = slot, OUTPUT + slot
        for n in range(command.columns):
            buffer.tiles[slot + n] = command.rows[:, n * c.tile: (n + 1) * c.tile]
        slot += command.columns + 1
        words.append(layout.const({"x_slot": command.x_slot, "o_slot": command.o_slot, "columns": command.columns,
                                   "valid_columns": command.valid, **command.values}).as_bits())

    state = SimpleNamespace(started=False, done=0, cycles=0, tiles=0, ended=set())
    ends = np.cumsum([command.columns for command in commands]).tolist()

    def wrote(word):
        buffer.write(word)
        finished = len(buffer.masks) > state.tiles
        state.tiles = len(buffer.masks)
        if finished and state.tiles in ends:
            state.ended.add(get_sim_time("ns"))

    async def watch():
        while True:
            await FallingEdge(dut.clk)
            state.cycles += 1
            await ReadOnly()
            assert bool(dut.done.value) == (get_sim_time("ns") - PERIOD in state.ended)
            state.done += bool(dut.done.value)
            assert state.done == len(commands) or not state.started or dut.busy.value
            state.started |= bool(dut.command__valid.value and dut.command__ready.value)

    tasks = [
        cocotb.start_soon(watch()),
        cocotb.start_soon(buffer.answer()),
        cocotb.start_soon(collect(dut, "x_request", 1 << 30, rng, slow_requests, on_transfer=buffer.asked)),
        cocotb.start_soon(collect(dut, "o", 1 << 30, rng, stall, on_transfer=wrote)),
    ]
    sending = cocotb.start_soon(send(dut, "command", words, rng, idle))
    await FallingEdge(dut.clk)
    await FallingEdge(dut.clk)
    limit = 200 + 60 * (1 + c.tile) * sum(command.columns for command in commands)
    while state.done < len(commands):
        await FallingEdge(dut.clk)
        assert state.cycles < limit, f"{state.done} of {len(commands)} commands after {limit} cycles"
    cycles = state.cycles
    await sending
    for _ in range(20):
        await FallingEdge(dut.clk)
    assert not dut.busy.value
    for task in tasks:
        task.cancel()
    for number, command in enumerate(commands):
        asked = -(-max(1, command.valid) // c.tile)
        expected = [command.x_slot + n for n in (*range(min(asked, command.columns)), *range(command.columns))]
        assert buffer.requests[: len(expected)] == expected
        del buffer.requests[: len(expected)]
        for n in range(command.columns):
            got = buffer.result(command.o_slot + n)
            want = command.expected[:, n * c.tile: (n + 1) * c.tile]
            assert (got == want).all(), (number, n, command.valid, command.values, got, want)
    assert not buffer.requests
    return cycles


@simulated()
async def check_kinds(dut):
    c, rng = SimpleNamespace(**parameters()), random.Random(1)
    kinds = ("random", "equal", "zero", "extreme", "rising", "falling", "sparse", "close")
    commands = [command_of(rng, c, kind, columns, rng.randint(1, columns * c.tile))
                for kind in kinds for columns in ((1, 3) if c.tile == 8 else (2,))]
    await run(dut, commands, 1)


@simulated()
async def check_valid_columns(dut):
    c, rng = SimpleNamespace(**parameters()), random.Random(2)
    t = c.tile
    commands = [command_of(rng, c, "close", 3, valid, tau=0, o_frac=c.width - 2)
                for valid in (1, 2, t - 1, t, t + 1, 2 * t - 1, 2 * t, 2 * t + 3, 3 * t - 1, 3 * t)]
    await run(dut, commands, 2)


@simulated()
async def check_stalls(dut):
    c, rng = SimpleNamespace(**parameters()), random.Random(3)
    for seed, (idle, stall, slow) in enumerate(((0.5, 0.0, 0.0), (0.0, 0.6, 0.0), (0.2, 0.4, 0.7))[: 24 // c.tile]):
        commands = [command_of(rng, c, rng.choice(("random", "close", "sparse")), columns,
                               rng.randint(1, columns * c.tile)) for columns in (1, 1, 3, 1)]
        await run(dut, commands, 30 + seed, idle, stall, slow)


@simulated()
async def check_pruning_ties(dut):
    c, rng = SimpleNamespace(**parameters()), random.Random(4)
    commands = [command_of(rng, c, "close", 2, 2 * c.tile - 3, tau="tie", o_frac=c.width - 2) for _ in range(4)]
    commands.append(command_of(rng, c, "random", 2, 2 * c.tile, tau=(1 << (c.width - 1)) - 1))
    await run(dut, commands, 4)


@simulated()
async def check_shifts(dut):
    c, rng = SimpleNamespace(**parameters()), random.Random(5)
    commands = [command_of(rng, c, kind, 1, c.tile, x_shift=x_shift, o_frac=rng.randint(0, c.width - 2))
                for x_shift in x_shifts(c.width) for kind in ("random", "close", "extreme")[:: c.tile // 8]]
    await run(dut, commands, 5)


@simulated()
async def check_throughput(dut):
    """Back to back: two passes of a row per cycle, plus filling and draining."""
    c, rng = SimpleNamespace(**parameters()), random.Random(6)
    commands = [command_of(rng, c, "close", 4, 4 * c.tile, tau=1 << (c.width - 3), o_frac=c.width - 2)
                for _ in range(3)]
    for command in commands:
        command.rows[:] = np.where(np.random.default_rng(1).random(command.rows.shape) < 0.5, command.rows, 0)
        command.expected = golden(command.rows, c, command.valid, command.values)
    cycles = await run(dut, commands, 6)
    bubbles = SoftmaxUnit(**parameters()).bubbles
    assert cycles <= 3 * (8 * c.tile + bubbles) + 40


@pytest.mark.parametrize(("tile", "width", "lines_per_beat"), [
    pytest.param(16, 20, 1, marks=pytest.mark.slow), (8, 20, 4), (8, 8, 1), (16, 8, 4), (8, 24, 2)])
def test_softmax_unit(tile, width, lines_per_beat):
    values = {"tile": tile, "width": width, "lines_per_beat": lines_per_beat}
    simulate_component(__name__, SoftmaxUnit(**values), **values)
