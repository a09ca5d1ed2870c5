"""Memory engine: random programs against a reference, fetches, errors, rates, and soft resets at any moment."""

from unittest.mock import ANY

import cocotb
import pytest
from cocotb.triggers import ClockCycles, FallingEdge

from acceltran.hw.memory.memory_engine import MemoryEngine
from acceltran.hw.spec.error_codes import MemoryFault
from acceltran.hw.spec.isa import Buffer, Opcode
from acceltran.sim.unit import parameters, simulate_component, simulated
from support.access import access_word
from support.memory_bench import MemoryBench

CONFIGURATIONS = {
    "nano": {"tile": 8, "width": 20, "lines_per_beat": 1, "bus_width": 64, "burst_beats": 16, "outstanding_reads": 4},
    "mini": {"tile": 16, "width": 20, "lines_per_beat": 4, "bus_width": 128, "burst_beats": 16, "outstanding_reads": 4},
    "byte": {"tile": 16, "width": 8, "lines_per_beat": 2, "bus_width": 256, "burst_beats": 4, "outstanding_reads": 1},
    "odd": {"tile": 8, "width": 9, "lines_per_beat": 4, "bus_width": 256, "burst_beats": 8, "outstanding_reads": 3},
    "wide": {"tile": 8, "width": 8, "lines_per_beat": 4, "bus_width": 512, "burst_beats": 64, "outstanding_reads": 2},
    "skid": {"tile": 8, "width": 20, "lines_per_beat": 1, "bus_width": 64, "burst_beats": 16, "outstanding_reads": 4,
             "skid": True},
    "narrow": {"tile": 16, "width": 16, "b_width": 8, "scale_bits": 4, "lines_per_beat": 4, "bus_width": 256,
               "burst_beats": 16, "outstanding_reads": 8},
    "narrow_odd": {"tile": 8, "width": 13, "b_width": 5, "scale_bits": 4, "lines_per_beat": 4, "bus_width": 128,
                   "burst_beats": 8, "outstanding_reads": 3},
}
CONFIGURATIONS = {name: {"b_width": p["width"], "scale_bits": 0} | p for name, p in CONFIGURATIONS.items()}
CAPACITIES = {"weight_tiles": 24, "activation_tiles": 32, "vector_lines": 20}


async def bench(dut, seed, **options):
    made = MemoryBench(dut, parameters(), seed, **options)
    await made.begin()
    return made


def slots(**values):
    return {"slot": 0, "pitch": 1, "rows": 1, "columns": 1} | values


@simulated()
@cocotb.parametrize((("stall", "latency"), [(0, 0), (0.4, 5), (0.1, 40)]))
async def check_programs(dut, stall, latency):
    b = await bench(dut, f"{stall} {latency}", stall=stall, latency=latency)
    for order in ("any", "address", "data"):
        b.memory.order = order
        await b.run(b.state.random_program(b.rng, 10, 4096 - 3 * b.state.beat))
    assert dut.idle.value
    await ClockCycles(dut.clk, 3)
    assert b.memory.most_flying[0] <= parameters()["outstanding_reads"]
    assert b.memory.beats_read * b.state.beat == b.read_bytes
    assert b.memory.beats_written * b.state.beat == b.written_bytes


@simulated()
@cocotb.parametrize(stall=[0, 0.3])
async def check_with_library_models(dut, stall):
    b = await bench(dut, f"library {stall}", stall=stall, model="cocotbext")
    program = b.state.random_program(b.rng, 12, 4096 - 3 * b.state.beat)
    fetching = cocotb.start_soon(b.fetch([64 * n for n in range(64)]))
    expected = [(int.from_bytes(b.state.memory[64 * n:64 * n + 64], "little"), 0) for n in range(60)]
    await b.run(program)
    assert (await fetching)[:60] == expected


@simulated()
async def check_fetch_beside_loads(dut):
    """Fetches and loads do not block each other, whoever does not take; a bus error is handed over with its fetch."""
    b = await bench(dut, 5, stall=0.1, latency=12)
    b.memory.bad = [range(64 * 7 + 32, 64 * 8), range(64 * 20, 64 * 20 + 1)]
    addresses = [64 * b.rng.randrange(30) for _ in range(60)]
    program = [b.state.random_load(b.rng, 1 << 14, 3, 4)[:2] for _ in range(4)]
    fetching = cocotb.start_soon(b.fetch(addresses))
    await b.run([program[-1]] * 4)
    for at, (instruction, error) in zip(addresses, await fetching, strict=True):
        assert error == (at in (64 * 7, 64 * 20))
        assert error or instruction == int.from_bytes(b.memory.data[at:at + 64], "little")
    task = cocotb.start_soon(b.issue([program[-1]] * 4))
    dut.fetch__ready.value = 0
    dut.fetch_request__valid.value = 1
    goal = b.dones + 4
    for _ in range(4000):
        await FallingEdge(dut.clk)
    assert b.dones == goal and b.memory.most_flying[1] <= 4 * max(1, 512 // parameters()["bus_width"] // 4)
    await task


@simulated(where=lambda p: p["outstanding_reads"] * p["burst_beats"] >= 32)
async def check_rate(dut):
    """Dense tiles come in, and go out, as fast as the bus or a mask and lines per cycle allow; loads follow back to back."""
    b = await bench(dut, 6, latency=10)
    p = parameters()
    size, mask, tiles = p["tile"], p["tile"] ** 2, 8
    full = ((1 << mask) - 1).to_bytes(mask // 8, "little")
    for opcode, extra, number in ((Opcode.LOAD, {"buffer": Buffer.WEIGHT}, 4), (Opcode.LOAD, {"buffer": Buffer.ACTIVATION}, 1),
                                  (Opcode.STORE, {}, 1)):
        line, most = size * p["b_width" if extra.get("buffer") == Buffer.WEIGHT else "width"], 1
        while opcode is Opcode.LOAD and most * line < p["bus_width"] and most < p["lines_per_beat"]:
            most *= 2
        raw = b"".join(full + b.rng.randbytes(size * line // 8) for _ in range(tiles))
        b.memory.data[4096:4096 + len(raw)] = raw
        beats = -(-8 * len(raw) // p["bus_width"])
        if opcode is Opcode.LOAD:
            extra["bytes"] = beats * b.state.beat
        begun = b.cycles
        await b.run([(opcode, slots(address=4096, rows=2, columns=tiles // 2, pitch=tiles) | extra)] * number)
        pieces = tiles * (size // most + 1)
        assert b.cycles - begun <= number * (max(beats, pieces) + 4) + 2 * p["burst_beats"] + 32


def whole_beats(p):
    """Tiles in a table row of whole beats, its beats, and those that can be asked for ahead."""
    line, bus = p["tile"] * p["width"], p["bus_width"]
    columns = next(n for n in range(2, CAPACITIES["activation_tiles"] + 1) if n * line % bus == 0)
    beats = columns * line // bus
    return columns, beats, p["outstanding_reads"] * min(p["burst_beats"], beats)


@simulated(where=lambda p: whole_beats(p)[2] >= 16)
async def check_gather_rate(dut):
    """Table rows of whole beats follow each other as fast as the bus or a line per cycle allows, also from GATHER to GATHER."""
    p = parameters()
    columns, beats, ahead = whole_beats(p)
    rows, number = min(3, CAPACITIES["activation_tiles"] // columns), 4
    b = await bench(dut, 8, latency=ahead // 2)
    b.memory.data[4096:8192] = b.rng.randbytes(4096)
    b.memory.data[8192:12288] = b"".join((n % 4).to_bytes(4, "little") for n in range(1024))
    begun = b.cycles
    await b.run([(Opcode.GATHER, slots(address=4096, indices=8192, row_bytes=beats * b.state.beat, rows=rows, columns=columns,
                                       pitch=columns))] * number)
    # Indices come in chunks of 64 bytes, between rows.
    count = number * rows * p["tile"]
    chunks = number * -(-4 * rows * p["tile"] // 64)
    assert b.cycles - begun <= count * max(beats, columns) + chunks * (64 // b.state.beat + 8) + 2 * p["burst_beats"] + 32


@simulated()
@cocotb.parametrize(case=range(7))
async def check_errors(dut, case):
    """One report, nothing written outside, nothing done after it; the engine works again after a soft reset."""
    b = await bench(dut, f"errors {case}", stall=0.1 * case)
    good = b.state.random_load(b.rng, 1 << 13, 2, 3)[:2]
    opcode, values, _ = b.state.random_load(b.rng, 1 << 14, 2, 3)
    gather = slots(address=1 << 15, indices=1 << 15, row_bytes=0, slot=31, columns=2, rows=1)
    bad, code = [
        ((opcode, values | {"buffer": 0, "slot": 24 - 5, "pitch": 3}), MemoryFault.SLOT_RANGE),
        ((opcode, values | {"buffer": 1, "slot": 1 << 18}), MemoryFault.SLOT_RANGE),
        ((opcode, values | {"buffer": 2, "slot": 18, "columns": 3, "bytes": 4096}), MemoryFault.SLOT_RANGE),
        ((opcode, values | {"buffer": 3}), MemoryFault.SLOT_RANGE),
        ((Opcode.GATHER, gather), MemoryFault.SLOT_RANGE),
        ((Opcode.STORE, slots(address=1 << 14, slot=30, columns=3)), MemoryFault.SLOT_RANGE),
        ((opcode, values | {"buffer": 0, "slot": 0, "pitch": 3, "bytes": b.state.beat}), MemoryFault.LOAD_SHORT),
    ][case]
    if case == 6:
        b.memory.data[values["address"]:values["address"] + 4096] = b"\xff" * 4096
    task = cocotb.start_soon(b.issue([good, bad, good, good]))
    for _ in range(1200):
        await FallingEdge(dut.clk)
    assert b.errors == [code] and b.dones == 1
    await b.soft_reset([task])
    await b.run(b.state.random_program(b.rng, 4, 1 << 14))


@simulated()
@cocotb.parametrize(stall=[0, 0.4])
async def check_bus_errors(dut, stall):
    """What was written before the error is right, and nothing comes after it."""
    b = await bench(dut, f"bus errors {stall}", stall=stall, latency=3)
    good = b.state.random_load(b.rng, 1 << 13, 2, 3)[:2]
    store = (Opcode.STORE, slots(address=1 << 15, columns=4, rows=3, pitch=4))
    for bad, at, code in ((good, good[1]["address"] + 2 * b.state.beat, MemoryFault.BUS_READ),
                          (store, 1 << 15, MemoryFault.BUS_WRITE)):
        dones, before, expected = b.dones, b.state.copy(), b.state.copy()
        expected.run(*bad)
        b.memory.bad = [range(at, at + 1)]
        task = cocotb.start_soon(b.issue([bad, good]))
        for _ in range(1000):
            await FallingEdge(dut.clk)
        assert b.errors == [code] and b.dones == dones
        for name in ("weight", "activation"):
            for now, *choices in zip(*(getattr(state, name) for state in (b.state, before, expected)), strict=True):
                assert now[0] in [mask for mask, _ in choices]
                assert all(line in pair for line, *pair in zip(now[1], *(lines for _, lines in choices), strict=True))
        b.memory.bad = []
        await b.soft_reset([task])
        await b.run([store, good, *b.state.random_program(b.rng, 3, 1 << 14)])


BAD = 1 << 18
"""Where main memory answers with an error."""


def sound(b, opcode, place):
    """An instruction that works, with its data in the `place`-th 8 KiB, as (opcode, values)."""
    if opcode is Opcode.GATHER:
        values, free = b.state.random_gather(b.rng, place << 13)[1:]
        rows = 8 * 16 // b.state.tile
        place = free + -free % 64
        b.memory.data[place:place + 4 * rows * b.state.tile] = bytes(4 * rows * b.state.tile)
        return opcode, values | slots(rows=rows, indices=place)
    return getattr(b.state, f"random_{opcode.name.lower()}")(b.rng, place << 13)[:2]


def faulty(b, opcode, kind):
    """One that does not, in three ways: main memory refuses it, at once or late, or it leaves its buffer."""
    opcode, values = sound(b, opcode, 2)
    if kind == 2:
        return opcode, values | {"slot": 1 << 18}, MemoryFault.SLOT_RANGE
    if opcode is Opcode.STORE:
        late = {"rows": 4, "columns": 3, "pitch": 3, "slot": 0, "address": BAD - b.state.beat}
        return opcode, values | ({"address": BAD} if kind == 0 else late), MemoryFault.BUS_WRITE
    late = {"indices": BAD} if opcode is Opcode.GATHER else {"address": BAD - values["bytes"] + b.state.beat}
    return opcode, values | ({"address": BAD} if kind == 0 else late), MemoryFault.BUS_READ


@simulated()
@cocotb.parametrize(latency=[0, 30])
async def check_faulting_instruction(dut, latency):
    """Behind every instruction every other one at fault: the first is done, the second never, whatever was read ahead."""
    b = await bench(dut, f"pairs {latency}", latency=latency)
    b.memory.bad = [range(BAD, BAD + (1 << 19))]
    b.memory.data[BAD - 4096:BAD + 4096] = b"\xff" * 8192
    for first in (Opcode.LOAD, Opcode.GATHER, Opcode.STORE):
        for second in (Opcode.LOAD, Opcode.GATHER, Opcode.STORE):
            for kind in range(3):
                b.errors, dones = [], b.dones
                opcode, values, code = faulty(b, second, kind)
                program = [sound(b, first, 1), (opcode, values), sound(b, Opcode.LOAD, 3)]
                task = cocotb.start_soon(b.issue(program))
                for _ in range(6000):
                    if b.errors:
                        break
                    await FallingEdge(dut.clk)
                assert (b.errors, b.dones - dones) == ([code], 1), (first.name, second.name, kind)
                await ClockCycles(dut.clk, 50)
                assert b.dones - dones == 1
                await FallingEdge(dut.clk)
                await b.soft_reset([task])


@simulated()
@cocotb.parametrize(latency=[0, 30])
async def check_windows(dut, latency):
    """An instruction that leaves its window is named, as one that main memory refuses is, and the bus does not see it."""
    b = await bench(dut, f"windows {latency}", latency=latency)
    b.memory.allowed = {"ar": (0, BAD - 1), "aw": (1 << 13, BAD - 1)}
    dut.access.value = access_word(read=b.memory.allowed["ar"], write=b.memory.allowed["aw"])
    b.memory.data[BAD - 4096:BAD + 4096] = b"\xff" * 8192
    codes = {MemoryFault.BUS_READ: MemoryFault.READ_WINDOW, MemoryFault.BUS_WRITE: MemoryFault.WRITE_WINDOW}
    for first in (Opcode.LOAD, Opcode.GATHER, Opcode.STORE):
        for second in (Opcode.LOAD, Opcode.GATHER, Opcode.STORE):
            for kind in range(2):
                b.errors, dones = [], b.dones
                opcode, values, code = faulty(b, second, kind)
                program = [sound(b, first, 1), (opcode, values), sound(b, Opcode.LOAD, 3)]
                task = cocotb.start_soon(b.issue(program))
                for _ in range(6000):
                    if b.errors:
                        break
                    await FallingEdge(dut.clk)
                assert (b.errors, b.dones - dones) == ([codes[code]], 1), (first.name, second.name, kind)
                await ClockCycles(dut.clk, 50)
                assert b.dones - dones == 1
                await FallingEdge(dut.clk)
                await b.soft_reset([task])
    assert await b.fetch([64, BAD, 128]) == [
        (int.from_bytes(b.memory.data[64:128], "little"), 0), (ANY, 3), (int.from_bytes(b.memory.data[128:192], "little"), 0)]
    await b.run([sound(b, opcode, 1 + n) for n, opcode in enumerate((Opcode.LOAD, Opcode.GATHER, Opcode.STORE))])


@simulated()
async def check_scrub(dut):
    """Every word of every buffer is written with zeros, in the cycles that are promised, and the engine works on."""
    b = await bench(dut, "scrub")
    p = parameters()
    for stall in (0, 0.3):
        b.stall = 0
        await b.run(b.state.random_program(b.rng, 4, 1 << 14))
        b.stall, cycles = stall, 0
        dut.scrub.value = 1
        await FallingEdge(dut.clk)
        dut.scrub.value = 0
        while not dut.scrubbed.value:
            await FallingEdge(dut.clk)
            cycles += 1
        most = max(max(p["weight_tiles"], p["activation_tiles"]) * p["tile"] // p["lines_per_beat"], p["vector_lines"])
        assert stall or cycles == most + 1
        assert all(slot == [0, [0] * p["tile"]] for slots in (b.state.weight, b.state.activation) for slot in slots)
        assert b.state.vector == [0] * p["vector_lines"] and not dut.scrub.value
    b.stall = 0
    await b.run(b.state.random_program(b.rng, 4, 1 << 14))


@simulated()
@cocotb.parametrize(latency=[0, 30])
async def check_surplus(dut, latency):
    """A LOAD that fetches more than its tiles take is done when the rest has come; an error in the rest is its own."""
    b = await bench(dut, f"surplus {latency}", latency=latency)
    mask, beat = b.state.mask_bits // 8, b.state.beat
    b.memory.bad = [range(BAD, BAD + 4096)]
    b.memory.data[BAD - 4096:BAD] = bytes(4096)
    for surplus in (0, 1, 64 // beat, 40):
        length = -(-mask // beat) * beat + surplus * beat
        await b.run([(Opcode.LOAD, slots(address=BAD - 4096, bytes=length, buffer=1))])
        assert dut.idle.value
        if surplus:
            dones = b.dones
            task = cocotb.start_soon(b.issue([(Opcode.LOAD, slots(address=BAD - length + beat, bytes=length, buffer=1))]))
            await ClockCycles(dut.clk, 500)
            assert b.errors == [MemoryFault.BUS_READ] and b.dones == dones
            b.errors = []
            await FallingEdge(dut.clk)
            await b.soft_reset([task])


@simulated()
async def check_rows_of_lines(dut):
    """The rows and the pitch of a LOAD to the vector buffer mean nothing: no rows do not make it empty."""
    b = await bench(dut, "rows of lines")
    for rows in (0, 1, 9):
        opcode, values, _ = b.state.random_vector_load(b.rng, 1 << 13)
        before = b.state.vector[values["slot"]]
        await b.run([(opcode, values | {"rows": rows, "pitch": rows})])
        assert b.state.vector[values["slot"]] != before


@simulated()
@cocotb.parametrize(kind=["load", "store", "gather", "mixed"])
async def check_soft_reset(dut, kind):
    """Flush at random moments, also with writes and fetches on their way; then everything works."""
    b = await bench(dut, kind, stall=0.2, latency=8)
    for n in range(12):
        b.stall = b.memory.stall = (0, 0.3)[n % 2]
        if kind == "mixed":
            program = b.state.random_program(b.rng, 6, 1 << 14)
        else:
            make = getattr(b.state, f"random_{kind}")
            program = [make(b.rng, 1 << 14)[:2] for _ in range(3)]
        image = bytearray(b.memory.data)
        tasks = [cocotb.start_soon(b.issue(program)), cocotb.start_soon(b.fetch([0, 64, 128, 192, 256, 320]))]
        await ClockCycles(dut.clk, b.rng.randrange(5, 200))
        await FallingEdge(dut.clk)
        await b.soft_reset(tasks)
        if kind in ("load", "gather"):
            assert image == b.memory.data
        if n % 3 == 0:
            await b.run(b.state.random_program(b.rng, 3, 1 << 14))
            assert await b.fetch([64, 0]) == [(int.from_bytes(image[a:a + 64], "little"), 0) for a in (64, 0)]


FAULTS = "check_faulting_instruction|check_windows"
ROWS = "check_rows_of_lines"
NUMBERED = f"{FAULTS}|check_surplus|{ROWS}"
WITHOUT = {"nano": ROWS, "byte": NUMBERED, "skid": FAULTS, "narrow": FAULTS, "narrow_odd": FAULTS}
"""What not every configuration is asked."""

SLOW = ("byte", "odd", "wide", "skid", "narrow")


def check(name, testcase):
    p = CONFIGURATIONS[name] | CAPACITIES
    simulate_component(__name__, MemoryEngine(**p), testcase=testcase, **p)


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name
                                  for name in CONFIGURATIONS])
def test_memory_engine(name):
    check(name, f"^(?!.*({WITHOUT[name]}))" if name in WITHOUT else None)


def test_h4_lines_are_loaded_without_rows():
    """The other configurations are asked with everything else."""
    check("nano", ROWS)
