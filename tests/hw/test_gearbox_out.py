"""Output gearbox: random pieces joined to beats, the end padded, full rate."""

import random

import cocotb
import pytest
from cocotb.utils import get_sim_time

from acceltran.hw.memory.gearbox_out import GearboxOut
from acceltran.sim.clock import PERIOD
from acceltran.sim.unit import parameters, simulate_component, simulated
from support.streams import collect, send, start


def store(rng, bus, sizes, count):
    """Payloads of the pieces of a store, and those of the beats they must give."""
    word, position, pieces = 0, 0, []
    for n in range(count):
        size = rng.randrange(2)
        bits = rng.choice((rng.getrandbits(sizes[size]), (1 << sizes[size]) - 1, 0))
        pieces.append(bits | size << max(sizes) | (n == count - 1) << max(sizes) + 1)
        word |= bits << position
        position += sizes[size]
    beats = -(-position // bus)
    return pieces, [word >> n * bus & (1 << bus) - 1 | (n == beats - 1) << bus for n in range(beats)]


@simulated()
async def check_beats(dut):
    p = parameters()
    bus, sizes = p["bus_width"], p["sizes"]
    await start(dut, "i")
    for idle, stall in ((0, 0), (0.5, 0), (0, 0.6), (0.3, 0.3)):
        rng = random.Random(f"{idle} {stall}")
        stores = [store(rng, bus, sizes, rng.choice((1, 1, 2, 5, 30))) for _ in range(60)]
        sender = cocotb.start_soon(send(dut, "i", [w for pieces, _ in stores for w in pieces], rng, idle))
        expected = [w for _, beats in stores for w in beats]
        assert await collect(dut, "o", len(expected), rng, stall) == expected
        await sender


@simulated()
async def check_rate(dut):
    p = parameters()
    bus, sizes = p["bus_width"], p["sizes"]
    await start(dut, "i")
    for _ in range(2):
        pieces, beats = store(random.Random(3), bus, sizes, 200)
        begin = get_sim_time("ns")
        cocotb.start_soon(send(dut, "i", pieces))
        assert await collect(dut, "o", len(beats)) == beats
        assert (get_sim_time("ns") - begin) / PERIOD <= max(len(pieces), len(beats)) * 1.02 + 8


@pytest.mark.parametrize("bus_width, sizes", [(64, (64, 160)), (128, (256, 320)), (256, (64, 72)), (256, (256, 128))])
def test_gearbox_out(bus_width, sizes):
    simulate_component(__name__, GearboxOut(bus_width=bus_width, sizes=sizes), bus_width=bus_width, sizes=sizes)
