"""Writer: streams of every length at every alignment, awkward orders of the channels, errors, rate and flush."""

import random

import cocotb
from cocotb.triggers import ClockCycles, FallingEdge, ReadOnly
from cocotb.utils import get_sim_time

from acceltran.hw.memory.axi_writer import AxiWriter
from acceltran.sim.clock import PERIOD
from acceltran.sim.unit import simulate_component, simulated
from support.access import access_word
from support.axi_memory import AxiMemory
from support.streams import send, start

BUS, BURST, OUTSTANDING = 64, 8, 3
BYTES = BUS // 8


async def begin(dut, rng, **options):
    await start(dut, "i")
    dut.flush.value = dut.address.value = 0
    dut.access.value = access_word()
    memory = AxiMemory(dut, "axi__", rng, burst_beats=BURST, read=False, **options)
    cocotb.start_soon(memory.run())
    return memory


async def store(dut, rng, beat, words, idle=0.0):
    """Start a store; returns the task that sends it."""
    dut.address.value = beat
    await FallingEdge(dut.clk)
    payloads = [w | (n == len(words) - 1) << BUS for n, w in enumerate(words)]
    return cocotb.start_soon(send(dut, "i", payloads, rng, idle))


async def done(dut, limit=4000):
    for _ in range(limit):
        await ReadOnly()
        pulse = bool(dut.done.value)
        await FallingEdge(dut.clk)
        if pulse:
            return True
    return False


def put(image, beat, words):
    for n, word in enumerate(words):
        image[(beat + n) * BYTES:(beat + n + 1) * BYTES] = word.to_bytes(BYTES, "little")


@simulated()
async def check_stores(dut):
    rng = random.Random(1)
    memory = await begin(dut, rng)
    image = bytearray(memory.data)
    for order in ("any", "address", "data"):
        for stall, idle in ((0, 0), (0.5, 0), (0, 0.5), (0.3, 0.3)):
            memory.order, memory.stall = order, stall
            for _ in range(12):
                beat = 512 * rng.randrange(1, 60) + rng.randrange(-20, 20)
                words = [rng.getrandbits(BUS) for _ in range(rng.choice((1, 2, 7, 8, 9, rng.randint(1, 70))))]
                put(image, beat, words)
                await store(dut, rng, beat, words, idle)
                assert await done(dut)
                assert memory.data == image and memory.idle and dut.idle.value
    assert memory.lengths == set(range(1, BURST + 1))


@simulated()
async def check_rate(dut):
    rng = random.Random(2)
    memory = await begin(dut, rng)
    begun = get_sim_time("ns")
    await store(dut, rng, 64, [rng.getrandbits(BUS) for _ in range(320)])
    assert await done(dut)
    assert memory.beats_written == 320
    assert (get_sim_time("ns") - begun) / PERIOD <= 320 + 2 * BURST + 8


@simulated()
async def check_error(dut):
    """An answer of either kind of error, in the middle or at the end."""
    rng = random.Random(3)
    memory = await begin(dut, rng)
    for beat in (40, 41, 89):
        memory.bad = [range(beat * BYTES, (beat + 1) * BYTES)]
        await store(dut, rng, 10, [5] * 20)
        assert await done(dut) and not dut.error.value
        await store(dut, rng, 10, [5] * 80)
        assert not await done(dut, 400) and dut.error.value and memory.idle
        dut.rst.value = 1
        await FallingEdge(dut.clk)
        dut.rst.value = 0


@simulated(10_000)
async def check_outstanding(dut):
    """No more bursts than may be are without an answer, however long it takes; the next one begins with the first."""
    rng = random.Random(6)
    memory = await begin(dut, rng)
    memory.silent = True
    await store(dut, rng, 0, list(range(8 * BURST)))
    await ClockCycles(dut.clk, 200)
    await FallingEdge(dut.clk)
    assert memory.unanswered == memory.most_unanswered == OUTSTANDING
    memory.silent = False
    assert await done(dut)
    assert memory.most_unanswered == OUTSTANDING and memory.unanswered == 0


@simulated()
async def check_window(dut):
    """Addresses count from the base; a burst outside is not begun, nor one behind it, and what was begun before it is whole."""
    rng = random.Random(5)
    memory = await begin(dut, rng)
    for base, beat, first, last, stays in ((5 << 12, 10, 5, 6, None), (1 << 12, 500, 1, 1, 12), (1 << 12, 500, 2, 9, 0),
                                           (0xFFFF_F000, 500, 0, 0xF_FFFF, 12), (0xFFFF_F000, 514, 0, 0, 0),
                                           (7 << 12, 0, 8, 7, 0)):
        memory.stall = rng.choice((0, 0.5))
        memory.allowed = {"aw": (first << 12, (last << 12) + 4095)}
        memory.attributes = (rng.randrange(8), rng.randrange(16))
        dut.access.value = access_word(base=base, write=memory.allowed["aw"], prot=memory.attributes[0],
                                       cache=memory.attributes[1])
        image = bytearray(memory.data)
        words = [rng.getrandbits(BUS) for _ in range(40)]
        put(image, (base // BYTES + beat) % (len(image) // BYTES), words[:stays])
        task = await store(dut, rng, beat, words)
        assert await done(dut, 400) == (stays is None)
        assert memory.data == image and memory.idle and bool(dut.refused.value) == (stays is not None)
        task.cancel()
        dut.rst.value, dut.i__valid.value = 1, 0
        await FallingEdge(dut.clk)
        dut.rst.value = 0


@simulated()
async def check_flush(dut):
    """A flush closes the open burst without writing and begins no other; what was written is a prefix."""
    rng = random.Random(4)
    memory = await begin(dut, rng)
    dropped = 0
    for _ in range(40):
        memory.stall, memory.order = rng.choice((0, 0.5)), rng.choice(("any", "address", "data"))
        before = bytearray(memory.data)
        words = [rng.getrandbits(BUS) for _ in range(60)]
        beat = rng.randrange(1000)
        task = await store(dut, rng, beat, words)
        await ClockCycles(dut.clk, rng.randrange(4, 80))
        await FallingEdge(dut.clk)
        dut.flush.value = 1
        await FallingEdge(dut.clk)
        bursts = memory.bursts
        cycles = 0
        while not dut.idle.value:
            await FallingEdge(dut.clk)
            cycles += 1
            assert cycles < 500
        task.cancel()
        await ClockCycles(dut.clk, 5)
        await FallingEdge(dut.clk)
        assert memory.idle and memory.bursts == bursts
        written = [before[at:at + BYTES] != memory.data[at:at + BYTES] for at in range(0, len(before), BYTES)]
        count = sum(written)
        assert written[beat:beat + count] == [True] * count
        put(before, beat, words[:count])
        assert memory.data == before
        dropped += (beat + count) % BURST != 0
        dut.rst.value, dut.i__valid.value = 1, 0
        await FallingEdge(dut.clk)
        dut.rst.value = dut.flush.value = 0
        await store(dut, rng, beat, words)
        assert await done(dut)
        put(before, beat, words)
        assert memory.data == before
    assert dropped > 5


def test_axi_writer():
    simulate_component(__name__, AxiWriter(bus_width=BUS, burst_beats=BURST, outstanding=OUTSTANDING))
