"""Reader: two clients against a memory that mixes ids; bursts, credits, errors, rate and flush."""

import random

import cocotb
from cocotb.triggers import ClockCycles, FallingEdge
from cocotb.utils import get_sim_time

from acceltran.hw.memory.axi_reader import AxiReader
from acceltran.sim.clock import PERIOD
from acceltran.sim.unit import simulate_component, simulated
from support.access import access_word
from support.axi_memory import AxiMemory
from support.streams import collect, send, start

BUS, BURST, DEPTHS, OUTSTANDING = 64, 8, (32, 16), (4, 8)
BYTES = BUS // 8
BEAT_BITS = 29


async def begin(dut, rng, **options):
    await start(dut, "request__0", "request__1")
    dut.flush.value = 0
    dut.access.value = access_word()
    for n in range(2):
        getattr(dut, f"o__{n}__ready").value = 0
    memory = AxiMemory(dut, "axi__", rng, burst_beats=BURST, write=False, **options)
    cocotb.start_soon(memory.run())
    return memory


def requests(rng, count, longest):
    """(beat address, beats), many of them around 4 KiB boundaries; some empty."""
    per_page = 4096 // BYTES
    return [(per_page * rng.randrange(1, 60) + rng.randrange(-20, 20), rng.choice((0, 1, 2, rng.randint(1, longest))))
            for _ in range(count)]


def beats_of(memory, wishes):
    return [int.from_bytes(memory.data[at * BYTES:(at + 1) * BYTES], "little") | memory.is_bad(at * BYTES) << BUS
            for beat, beats in wishes for at in range(beat, beat + beats)]


@simulated(20_000)
async def check_both_clients(dut):
    rng = random.Random(1)
    memory = await begin(dut, rng)
    for stall, latency, take in ((0, 0, 0), (0, 30, 0), (0.5, 3, 0.1), (0.1, 10, 0.7)):
        memory.stall, memory.latency = stall, latency
        memory.bad = [range(page * 4096 + 64, page * 4096 + 128) for page in range(0, 60, 5)]
        wishes = [requests(rng, 40, 60), requests(rng, 60, 20)]
        tasks = [cocotb.start_soon(send(dut, f"request__{n}", [b | c << BEAT_BITS for b, c in wishes[n]], rng, stall))
                 for n in range(2)]
        got = [cocotb.start_soon(collect(dut, f"o__{n}", len(beats_of(memory, wishes[n])), rng, take * (1 - n)))
               for n in range(2)]
        for n in range(2):
            await tasks[n]
            assert await got[n] == beats_of(memory, wishes[n])
        await FallingEdge(dut.clk)
        assert dut.idle.value
        assert max(memory.most_flying[0] - OUTSTANDING[0], memory.most_flying[1] - OUTSTANDING[1]) <= 0
    assert memory.lengths == set(range(1, BURST + 1))


@simulated(20_000)
async def check_a_client_that_does_not_take(dut):
    """Nothing is lost and the other client goes on, whichever is held up."""
    rng = random.Random(2)
    memory = await begin(dut, rng, latency=5)
    for held in range(2):
        wishes = requests(rng, 10, 60)
        other = requests(rng, 20, 20)
        task = cocotb.start_soon(send(dut, f"request__{held}", [b | c << BEAT_BITS for b, c in wishes]))
        cocotb.start_soon(send(dut, f"request__{1 - held}", [b | c << BEAT_BITS for b, c in other]))
        assert await collect(dut, f"o__{1 - held}", len(beats_of(memory, other))) == beats_of(memory, other)
        await ClockCycles(dut.clk, 100)
        await FallingEdge(dut.clk)
        assert memory.flying == [0, 0]
        assert await collect(dut, f"o__{held}", len(beats_of(memory, wishes))) == beats_of(memory, wishes)
        await task


@simulated(20_000)
async def check_rate(dut):
    memory = await begin(dut, random.Random(3), latency=6)
    begun = get_sim_time("ns")
    cocotb.start_soon(send(dut, "request__0", [64 | 400 << BEAT_BITS]))
    assert await collect(dut, "o__0", 400) == beats_of(memory, [(64, 400)])
    assert (get_sim_time("ns") - begun) / PERIOD <= 400 + 16


@simulated(40_000)
async def check_window(dut):
    """Beats outside come as refused, in their place among the others; what lies inside is read from the base on."""
    rng = random.Random(5)
    memory = await begin(dut, rng)
    for stall, latency, take in ((0, 0, 0), (0.4, 20, 0.5)):
        memory.stall, memory.latency = stall, latency
        for base, first, last in ((1 << 12, 3, 40), (0xFFFF_0000, 0xF_FFF4, 0xF_FFFF), (0, 60, 59)):
            memory.allowed = {"ar": (first << 12, (last << 12) + 4095)}
            memory.attributes = (rng.randrange(8), rng.randrange(16))
            dut.access.value = access_word(base=base, read=memory.allowed["ar"], prot=memory.attributes[0],
                                           cache=memory.attributes[1])
            wishes = [requests(rng, 20, 60), requests(rng, 20, 20)]
            wanted = [[], []]
            for n in range(2):
                for beat, beats in wishes[n]:
                    for at in range(beat, beat + beats):
                        address = base + at * BYTES
                        inside = first << 12 <= address < last + 1 << 12
                        word = int.from_bytes(memory.data[address % len(memory.data):][:BYTES], "little")
                        wanted[n].append((inside, word))
            tasks = [cocotb.start_soon(send(dut, f"request__{n}", [b | c << BEAT_BITS for b, c in wishes[n]], rng, stall))
                     for n in range(2)]
            got = [cocotb.start_soon(collect(dut, f"o__{n}", len(wanted[n]), rng, take)) for n in range(2)]
            for n in range(2):
                await tasks[n]
                for answer, (inside, word) in zip(await got[n], wanted[n], strict=True):
                    assert answer >> BUS == (0 if inside else 3)
                    assert not inside or answer == word
            assert {inside for part in wanted for inside, _ in part} == ({True, False} if first <= last else {False})
            await ClockCycles(dut.clk, 3)
            await FallingEdge(dut.clk)
            assert dut.idle.value


@simulated(20_000)
async def check_flush(dut):
    rng = random.Random(4)
    memory = await begin(dut, rng, latency=4, stall=0.4)
    for _ in range(15):
        tasks = [cocotb.start_soon(send(dut, f"request__{n}", [b | c << BEAT_BITS for b, c in requests(rng, 10, 40)]))
                 for n in range(2)]
        await ClockCycles(dut.clk, rng.randrange(5, 60))
        await FallingEdge(dut.clk)
        dut.flush.value = 1
        await FallingEdge(dut.clk)
        bursts = memory.bursts
        for task in tasks:
            task.cancel()
        cycles = 0
        while not dut.idle.value:
            await FallingEdge(dut.clk)
            cycles += 1
            assert cycles < 1000
        assert memory.idle and memory.bursts == bursts
        await ClockCycles(dut.clk, 10)
        await FallingEdge(dut.clk)
        assert memory.bursts == bursts
        dut.rst.value = 1
        for n in range(2):
            getattr(dut, f"request__{n}__valid").value = 0
        await FallingEdge(dut.clk)
        dut.rst.value = dut.flush.value = 0
        wishes = requests(rng, 4, 30)
        cocotb.start_soon(send(dut, "request__0", [b | c << BEAT_BITS for b, c in wishes]))
        assert await collect(dut, "o__0", len(beats_of(memory, wishes)), rng, 0.2) == beats_of(memory, wishes)


def test_axi_reader():
    simulate_component(__name__, AxiReader(bus_width=BUS, burst_beats=BURST, depths=DEPTHS, outstanding=OUTSTANDING))
