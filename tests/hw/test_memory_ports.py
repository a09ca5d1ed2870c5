"""A memory engine with several ports: striped LOADs in order, errors on each port, and soft resets with traffic on all."""

import cocotb
import pytest
from cocotb.triggers import ClockCycles, FallingEdge

from acceltran.hw.memory.memory_engine import MemoryEngine
from acceltran.hw.spec.error_codes import MemoryFault
from acceltran.hw.spec.isa import Buffer, Opcode
from acceltran.sim.unit import parameters, simulate_component, simulated
from support.access import access_word
from support.memory_bench import MemoryBench

SHAPE = {"tile": 8, "width": 10, "b_width": 10, "scale_bits": 0, "lines_per_beat": 2, "bus_width": 64, "burst_beats": 16,
         "outstanding_reads": 4, "weight_tiles": 24, "activation_tiles": 32, "vector_lines": 20}


async def bench(dut, seed, **options):
    made = MemoryBench(dut, parameters(), seed, **options)
    await made.begin()
    return made


def striped(b, tiles, place=1):
    """A LOAD of so many tiles to the weight buffer, its shares from the `place`-th 8 KiB on, as (opcode, values)."""
    return b.state.random_striped_load(b.rng, place << 13, tiles)[:2]


async def failed(b, program, limit=4000):
    """Issue a program until an error, and for a while longer; returns the errors and the instructions that were done."""
    dones, b.errors = b.dones, []
    task = cocotb.start_soon(b.issue(program))
    for _ in range(limit):
        if b.errors:
            break
        await FallingEdge(b.dut.clk)
    await ClockCycles(b.dut.clk, 80)
    await FallingEdge(b.dut.clk)
    found = b.errors[:], b.dones - dones
    await b.soft_reset([task])
    return found


@simulated()
@cocotb.parametrize((("stall", "latency"), [(0, 0), (0.4, 5), (0.1, 40)]))
async def check_programs(dut, stall, latency):
    b = await bench(dut, f"{stall} {latency}", stall=stall, latency=latency)
    for number in range(3):
        # Each port has stalls and a latency of its own.
        for port, memory in enumerate(b.memories):
            memory.stall, memory.latency = (stall, 0, 0.6)[(port + number) % 3], latency * (1 + (port + number) % 2)
        await b.run(b.state.random_program(b.rng, 16, 4096 - 3 * b.state.beat))
    assert dut.idle.value
    await ClockCycles(dut.clk, 3)
    for memory, read in zip(b.memories, (b.read_bytes, *b.further_bytes.values()), strict=True):
        assert memory.most_flying[0] <= parameters()["outstanding_reads"]
        assert memory.beats_read * b.state.beat == read


@simulated()
async def check_few_tiles(dut):
    """LOADs with fewer tiles than ports, one behind the other; ports without a share ask for nothing."""
    b = await bench(dut, "few", latency=7)
    ports = parameters()["ports"]
    for tiles in range(1, 2 * ports + 1):
        before = [memory.bursts for memory in b.memories]
        await b.run([striped(b, tiles)] * 3)
        asked = [memory.bursts > bursts for memory, bursts in zip(b.memories, before, strict=True)]
        assert asked == [port < tiles for port in range(ports)]


@simulated()
async def check_rate(dut):
    """Dense tiles come through all ports at once, and LOADs follow each other without a gap."""
    b = await bench(dut, "rate", latency=10)
    p = parameters()
    size, ports, number, tiles = p["tile"], p["ports"], 4, 8 * p["ports"]
    raw = (b"\xff" * (size**2 // 8) + b.rng.randbytes(size * size * p["b_width"] // 8)) * 8
    for memory in b.memories:
        memory.data[4096:4096 + len(raw)] = raw
    fields = {"address": 4096, "bytes": len(raw), "buffer": Buffer.WEIGHT, "pitch": 0, "rows": 1, "slot": 0, "columns": tiles}
    begun = b.cycles
    await b.run([(Opcode.LOAD, fields | {"columns": min(tiles, p["weight_tiles"])})] * number)
    assert b.cycles - begun <= number * (len(raw) // b.state.beat + 6) + 64
    assert all(count == number * len(raw) for count in b.further_bytes.values()) and len(b.further_bytes) == ports - 1


@simulated()
async def check_run_ahead(dut):
    """A port goes on with the next LOAD while another is still at the last one; done comes in order."""
    b = await bench(dut, "ahead")
    b.memories[0].stall = 0.9
    first, second = ((opcode, values | {"slot": 12 * n}) for n, (opcode, values) in enumerate(
        striped(b, 12, place) for place in (1, 2)))
    task = cocotb.start_soon(b.issue([first, second]))
    while b.further_bytes[1] <= first[1]["bytes"]:
        await FallingEdge(dut.clk)
        assert b.cycles < 3000
    assert b.dones == 0
    while b.dones < 2:
        await FallingEdge(dut.clk)
        assert b.cycles < 20000 and not b.errors
    await task
    await b.run([second, first])


@simulated()
@cocotb.parametrize(latency=[0, 30])
async def check_errors(dut, latency):
    """On each port: refused by memory at once and late, by the window, by the buffer, too few bytes."""
    b = await bench(dut, f"errors {latency}", latency=latency)
    p = parameters()
    ports, capacity = p["ports"], p["weight_tiles"]
    for port, memory in enumerate(b.memories):
        for kind in range(5):
            opcode, values = striped(b, 3 * ports, 2)
            good, code = striped(b, 3 * ports, 1), MemoryFault.BUS_READ
            if kind == 0:
                memory.bad = [range(values["address"], values["address"] + 1)]
            elif kind == 1:
                memory.bad = [range(values["address"] + values["bytes"] - 1, values["address"] + values["bytes"])]
            elif kind == 2 and port:
                code = MemoryFault.READ_WINDOW
                dut.access.value = access_word(read=(0, (1 << 19) - 1))
                getattr(dut, f"port_base__{port - 1}").value = 1 << 19 >> 12
                good = b.state.random_load(b.rng, 1 << 13, 2, 3, Buffer.ACTIVATION)[:2]
            elif kind == 3:
                # Of the tiles that the buffer has no room for, the first is one of this port.
                code, values = MemoryFault.SLOT_RANGE, values | {"slot": capacity - port, "columns": port + 1}
            elif kind == 4:
                code, values = MemoryFault.LOAD_SHORT, values | {"bytes": b.state.beat}
                for other in b.memories:
                    other.data[values["address"]:values["address"] + 4096] = bytes(4096)
                memory.data[values["address"]:values["address"] + 4096] = b"\xff" * 4096
            if kind != 2 or port:
                assert await failed(b, [good, (opcode, values), good]) == ([code], 1), (port, kind)
            memory.bad = []
            dut.access.value = access_word()
            for number in range(ports - 1):
                getattr(dut, f"port_base__{number}").value = 0
    await b.run([striped(b, 5), *b.state.random_program(b.rng, 4, 1 << 14)])


@simulated()
async def check_order_of_errors(dut):
    """What a port meets early counts when everything before it is done, and not at all if that fails."""
    b = await bench(dut, "order")
    b.memories[0].stall = 0.8
    opcode, early = striped(b, 7, 2)
    b.memories[1].bad = [range(early["address"], early["address"] + 1)]
    slow = b.state.random_load(b.rng, 1 << 13, 2, 3, Buffer.ACTIVATION)[:2]
    for before in (slow, striped(b, 9, 3)):
        assert await failed(b, [before, (opcode, early)]) == ([MemoryFault.BUS_READ], 1)
    bad = (Opcode.LOAD, slow[1] | {"slot": 1 << 18})
    assert await failed(b, [bad, (opcode, early)]) == ([MemoryFault.SLOT_RANGE], 0)
    b.memories[1].bad, b.memories[0].stall = [], 0
    await b.run([(opcode, early), slow])


@simulated()
async def check_bases(dut):
    """Each port counts addresses from a base of its own."""
    b = await bench(dut, "bases")
    expected = striped(b, 9)
    for port, memory in enumerate(b.memories[1:], 1):
        raw = bytes(memory.data[:1 << 14])
        memory.data[:1 << 14] = bytes(1 << 14)
        memory.data[port << 16:(port << 16) + len(raw)] = raw
        memory.allowed = {"ar": (port << 16, (port << 16) + len(raw) - 1)}
        getattr(dut, f"port_base__{port - 1}").value = port << 16 >> 12
        b.state.others[port - 1] = bytearray(raw)
    await b.run([expected])


@simulated()
async def check_soft_reset(dut):
    """Flush at random moments, with traffic on every port and several LOADs under way; then everything works."""
    b = await bench(dut, "reset", stall=0.2, latency=8)
    for n in range(16):
        for port, memory in enumerate(b.memories):
            memory.stall = (0, 0.3, 0.8)[(n + port) % 3]
        program = [striped(b, b.rng.randint(1, 14), 1 + k) for k in range(3)] if n % 2 else (
            b.state.random_program(b.rng, 6, 1 << 14))
        tasks = [cocotb.start_soon(b.issue(program)), cocotb.start_soon(b.fetch([0, 64, 128, 192]))]
        await ClockCycles(dut.clk, b.rng.randrange(5, 200))
        await FallingEdge(dut.clk)
        await b.soft_reset(tasks)
        if n % 3 == 0:
            await b.run([striped(b, 9), *b.state.random_program(b.rng, 3, 1 << 14)])


@pytest.mark.parametrize("ports", [2, pytest.param(4, marks=pytest.mark.slow), pytest.param(8, marks=pytest.mark.slow)])
def test_memory_ports(ports):
    p = SHAPE | {"ports": ports}
    simulate_component(__name__, MemoryEngine(**p), **p)
