"""Input gearbox: segments cut into random pieces, surplus dropped, ends noticed, full rate."""

import random

import cocotb
import pytest
from cocotb.triggers import FallingEdge, ReadOnly

from acceltran.hw.memory.gearbox_in import GearboxIn
from acceltran.sim.unit import parameters, simulate_component, simulated
from support.streams import send, start


async def serve(dut, sizes, segments, rng, stall):
    for beats, pieces, short in segments:
        await send(dut, "segment", [beats])
        dut.o__ready.value = 0
        for size, bits in pieces:
            dut.size.value = size
            taken = False
            while not taken:
                go = int(rng.random() >= stall)
                dut.o__ready.value = go
                await ReadOnly()
                assert not dut.short.value
                taken = go and bool(dut.o__valid.value)
                if taken:
                    assert int(dut.o__payload.value) & (1 << sizes[size]) - 1 == bits
                await FallingEdge(dut.clk)
        dut.o__ready.value = 0
        if short is not None:
            dut.size.value = short
            await ReadOnly()
            while not dut.short.value:
                assert not dut.o__valid.value
                await FallingEdge(dut.clk)
                await ReadOnly()
            await FallingEdge(dut.clk)
        dut.close.value = 1
        await FallingEdge(dut.clk)
        dut.close.value = 0


def segment(rng, bus, sizes):
    """(beats, pieces, size that does not fit any more or None, the bits of the beats)."""
    beats = rng.choice((1, 2, 3, 10, 40))
    word = rng.getrandbits(beats * bus)
    position, pieces, kinds = 0, [], rng.choice(((0,), (1,), (0, 1), (0, 1, 1, 1)))
    short = rng.random() < 0.3
    wanted = 1000 if short else rng.randrange(2 * beats)
    for _ in range(wanted):
        size = rng.choice(kinds)
        if position + sizes[size] > beats * bus:
            return beats, pieces, size if short else None, word
        pieces.append((size, word >> position & (1 << sizes[size]) - 1))
        position += sizes[size]
    return beats, pieces, None, word


@simulated()
async def check_pieces(dut):
    p = parameters()
    bus, sizes = p["bus_width"], p["sizes"]
    await start(dut, "i", "segment")
    dut.close.value = dut.append.value = 0
    for idle, stall in ((0, 0), (0.5, 0), (0, 0.6), (0.3, 0.3)):
        rng = random.Random(f"{idle} {stall}")
        segments = [segment(rng, bus, sizes) for _ in range(60)]
        beats = [word >> n * bus & (1 << bus) - 1 for count, _, _, word in segments for n in range(count)]
        sender = cocotb.start_soon(send(dut, "i", beats, rng, idle))
        await serve(dut, sizes, [s[:3] for s in segments], rng, stall)
        await sender


@simulated()
async def check_rate(dut):
    """Whichever is the limit, beats or pieces, there is no bubble."""
    p = parameters()
    bus, sizes = p["bus_width"], p["sizes"]
    await start(dut, "i", "segment")
    dut.close.value = dut.append.value = 0
    for size in (0, 1):
        count = 200
        beats = -(-count * sizes[size] // bus)
        cocotb.start_soon(send(dut, "i", [0] * beats))
        await send(dut, "segment", [beats])
        dut.size.value = size
        dut.o__ready.value = 1
        cycles = taken = 0
        while taken < count:
            await ReadOnly()
            taken += int(dut.o__valid.value)
            cycles += 1
            await FallingEdge(dut.clk)
        dut.o__ready.value = 0
        dut.close.value = 1
        await FallingEdge(dut.clk)
        dut.close.value = 0
        assert cycles <= max(beats, count) + 2


@simulated()
async def check_append(dut):
    """A segment that goes on, in parts of random length, gives the pieces of one long segment, at full rate."""
    p = parameters()
    bus, sizes = p["bus_width"], p["sizes"]
    await start(dut, "i", "segment")
    dut.close.value = dut.append.value = 0
    for idle in (0, 0.4):
        rng = random.Random(idle)
        parts = [rng.choice((1, 2, 3, 10)) for _ in range(60)]
        word, total = rng.getrandbits(sum(parts) * bus), sum(parts)
        cocotb.start_soon(send(dut, "i", [word >> n * bus & (1 << bus) - 1 for n in range(total)], rng, idle))
        await send(dut, "segment", parts[:1])
        dut.append.value = 1
        cocotb.start_soon(send(dut, "segment", parts[1:]))
        dut.size.value, dut.o__ready.value = 1, 1
        count, cycles, pieces = total * bus // sizes[1], 0, []
        while len(pieces) < count:
            await ReadOnly()
            if dut.o__valid.value:
                pieces.append(int(dut.o__payload.value) & (1 << sizes[1]) - 1)
            cycles += 1
            await FallingEdge(dut.clk)
        assert pieces == [word >> n * sizes[1] & (1 << sizes[1]) - 1 for n in range(count)]
        assert idle or cycles <= max(total, count) + 2
        dut.append.value, dut.close.value, dut.o__ready.value = 0, 1, 0
        await FallingEdge(dut.clk)
        dut.close.value = 0


@pytest.mark.parametrize("bus_width, sizes", [(64, (64, 160)), (128, (256, 320)), (256, (64, 72)), (256, (256, 128))])
def test_gearbox_in(bus_width, sizes):
    simulate_component(__name__, GearboxIn(bus_width=bus_width, sizes=sizes), bus_width=bus_width, sizes=sizes)
