"""PostProcess against `post_process` and `pack_tile`: tile after tile, each with a command of its own."""

import random

import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, Timer

from acceltran.hw.layout import post_command
from acceltran.hw.post_process.post_process import PostProcess
from acceltran.sim.clock import PERIOD
from acceltran.sim.unit import parameters, simulate_component, simulated
from acceltran.sw.golden.tiles import pack_bits
from support.post_commands import PostCommand
from support.tile_writes import unpack_write, writes_of


def random_sums(rng, size, bits):
    density = rng.choice((0, 0.3, 0.7, 1, 1))
    low, top = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    return [[rng.choice((low, top, *[rng.randint(low, top) >> rng.choice((0, 0, 2, 6))] * 12))
             if rng.random() < density else 0 for _ in range(size)] for _ in range(size)]


def case(rng, p, tiles):
    """(commands, rows, writes) as payloads."""
    size, width, wide = p["tile"], p["width"], p["accumulator_width"]
    layout = post_command(size, width, p["scale_bits"])
    commands, rows, writes = [], [], []
    for _ in range(tiles):
        bits = rng.choice((width, 2 * width, wide - 3))
        command, sums = PostCommand(rng, p, bits), random_sums(rng, size, bits)
        writes += writes_of(command.result(sums), command.slot, p["lines_per_beat"])
        rows += [pack_bits(row, wide) | (r == size - 1) << (size * wide) for r, row in enumerate(sums)]
        commands.append(layout.const(command.values).as_value().value & (1 << layout.size) - 1)
    return commands, rows, writes


async def transfer(dut, commands, rows, expected, rng, idle, stall, command_idle):
    """Drive both inputs and collect `expected` writes; returns (writes, cycles)."""
    pending = {"command": list(commands), "i": list(rows)}
    chance = {"command": command_idle, "i": idle}
    offered, writes, waiting, cycles = {"command": False, "i": False}, [], None, 0
    while len(writes) < expected:
        for port, words in pending.items():
            offered[port] = offered[port] or (bool(words) and rng.random() >= chance[port])
            getattr(dut, f"{port}__valid").value = int(offered[port])
            payload = getattr(dut, f"{port}__payload")
            payload.value = words[0] if offered[port] else rng.getrandbits(len(payload))
        ready = rng.random() >= stall
        dut.o__ready.value = int(ready)
        await Timer(1, "ns")
        taken = [port for port in pending if offered[port] and getattr(dut, f"{port}__ready").value == 1]
        word = int(dut.o__payload.value) if dut.o__valid.value == 1 else None
        assert waiting in (None, word), "a waiting write changed"
        waiting = None if ready else word
        if ready and word is not None:
            writes.append(word)
        await FallingEdge(dut.clk)
        cycles += 1
        assert cycles < 100_000, f"{len(writes)} of {expected} writes"
        for port in taken:
            pending[port].pop(0)
            offered[port] = False
    assert not any(pending.values())
    return writes, cycles


@simulated()
async def check_tiles(dut):
    p = parameters()
    rng = random.Random(8)
    Clock(dut.clk, PERIOD, "ns").start()
    for port in ("i__valid", "command__valid", "o__ready"):
        getattr(dut, port).value = 0
    dut.rst.value = 1
    await FallingEdge(dut.clk)
    await FallingEdge(dut.clk)
    dut.rst.value = 0
    for idle, stall, command_idle in ((0, 0, 0), (0.3, 0.3, 0.5), (0, 0.6, 0), (0.6, 0, 0.95)):
        tiles = 40
        commands, rows, expected = case(rng, p, tiles)
        writes, cycles = await transfer(dut, commands, rows, len(expected), rng, idle, stall, command_idle)
        for word, wanted in zip(writes, expected, strict=True):
            assert unpack_write(word, p["tile"], p["width"], p["lines_per_beat"]) == wanted
        if idle == stall == command_idle == 0:
            assert cycles <= len(rows) + tiles + p["latency"] + 4


@pytest.mark.parametrize("tile, width, lines_per_beat, functions, skid, scale_bits", [
    (8, 20, 2, ("relu", "gelu", "tanh"), False, 0),
    (8, 8, 1, ("gelu",), True, 0),
    (8, 16, 4, ("relu",), False, 4),
    (4, 12, 4, ("relu", "tanh"), True, 4),
])
def test_post_process(tile, width, lines_per_beat, functions, skid, scale_bits):
    values = {"tile": tile, "width": width, "accumulator_width": 2 * width + 12, "lines_per_beat": lines_per_beat,
              "functions": functions, "skid": skid, "scale_bits": scale_bits}
    component = PostProcess(**values)
    simulate_component(__name__, component, **values, latency=component.latency)


@pytest.mark.slow
def test_post_process_default():
    test_post_process(16, 20, 2, ("relu", "gelu", "tanh"), False, 0)
