"""The matrix engine's sequencers against plain nested loops, in all 24 loop orders."""

import random

import cocotb
import pytest
from cocotb.triggers import Combine, FallingEdge, ReadOnly

from acceltran.hw.matrix.command_sequencer import CommandSequencer
from acceltran.hw.matrix.operand_sequencer import OperandSequencer
from acceltran.hw.matrix.step_sequencer import StepSequencer
from acceltran.hw.spec import isa
from acceltran.hw.spec.widths import SLOT_BITS
from acceltran.sim.unit import parameters, simulate_component, simulated
from acceltran.sw.golden.tiles import unpack_bits
from support.streams import collect, send, start

TILES = 4096
LINES = 256
TILE, WIDTH = 4, 8


def random_product(rng, order, **fixed):
    """Fields of a MATMUL with small counts; every address is inside."""
    counts = {name: rng.choice([1, 1, 2, 3, 4]) for name in ("batch", "rows", "inner", "columns")}
    transpose = rng.randrange(2)
    values = {
        **counts, "transpose": transpose, "b_buffer": rng.randrange(2), "order": int(order),
        "a_slot": rng.randrange(100), "a_pitch": rng.randrange(1, 40), "a_batch": rng.choice([0, rng.randrange(1, 300)]),
        "b_slot": rng.randrange(100), "b_pitch": rng.randrange(1, 40), "b_batch": rng.choice([0, rng.randrange(1, 300)]),
        "c_slot": rng.randrange(100), "c_pitch": rng.randrange(1, 40), "c_batch": rng.randrange(300),
        "bias": rng.randrange(2), "bias_line": rng.randrange(LINES - 8), "bias_shift": rng.randrange(64),
        "shift": rng.randrange(-64, 64), "function": rng.randrange(4), "function_shift": rng.randrange(-32, 32),
        "curve": rng.randrange(5),
    }
    return values | fixed


def groups(p, rows, columns):
    """(b, i, j) of the grid's upper left output tile, in loop order."""
    order = isa.LoopOrder(p["order"]).name.lower().replace("k", "")
    ranges = {"b": range(p["batch"]), "i": range(0, p["rows"], rows), "j": range(0, p["columns"], columns)}
    for first in ranges[order[0]]:
        for second in ranges[order[1]]:
            for third in ranges[order[2]]:
                at = dict(zip(order, (first, second, third), strict=True))
                yield at["b"], at["i"], at["j"]


def pairs(p, t):
    """(b, i, j, k, number in its chunk, numbers of its chunk) of every pair of tiles, in loop order."""
    walk = list(groups(p, t["rows"], t["columns"]))
    name = isa.LoopOrder(p["order"]).name.lower()
    third = {"b": 0, "i": 1, "j": 2}[name.replace("k", "")[2]]
    size = 1 if name[-1] == "k" else t["psum_tiles"]
    while walk:
        fixed = [v for n, v in enumerate(walk[0]) if n != third]
        chunk = [at for at in walk[:size] if [v for n, v in enumerate(at) if n != third] == fixed]
        del walk[:len(chunk)]
        for k in range(p["inner"]):
            for n, at in enumerate(chunk):
                yield *at, k, n, len(chunk)


def operand_tile(p, operand, b, i, j, k):
    """What tells one tile of an operand from another."""
    batch = b if p[f"{operand}_batch"] else 0
    return (batch, i, k) if operand == "a" else (batch, k, j)


def operand_requests(p, operand, t):
    """(buffer, slots, active, transpose) of every request."""
    lanes, out, before = t["rows"] if operand == "a" else t["columns"], [], None
    for b, i, j, k, _, _ in pairs(p, t):
        if operand == "a":
            base, moving, limit = p["a_slot"] + b * p["a_batch"] + i * p["a_pitch"] + k, i, p["rows"]
            stride = p["a_pitch"]
        else:
            stride = p["b_pitch"] if p["transpose"] else 1
            inner = 1 if p["transpose"] else p["b_pitch"]
            base, moving, limit = p["b_slot"] + b * p["b_batch"] + j * stride + k * inner, j, p["columns"]
        tile = operand_tile(p, operand, b, i, j, k)
        if tile != before:
            active = [moving + n < limit for n in range(lanes)]
            out.append((p["b_buffer"] if operand == "b" else 1,
                        [base + n * stride if active[n] else None for n in range(lanes)], active,
                        p["transpose"] if operand == "b" else 0))
        before = tile
    return out


def parse_request(word, lanes):
    slots = unpack_bits(word, SLOT_BITS, lanes, signed=False)
    active = [bool(word >> lanes * SLOT_BITS + n & 1) for n in range(lanes)]
    return [int(s) if a else None for s, a in zip(slots, active, strict=True)], active, word >> lanes * (SLOT_BITS + 1) & 1


def encoded(p):
    return int.from_bytes(isa.encode(isa.Opcode.MATMUL, **p), "little")


def products(seed):
    rng = random.Random(seed)
    return [random_product(rng, order) for order in isa.LoopOrder]


@simulated()
async def check_operands(dut):
    t = parameters()
    rng = random.Random(5)
    lanes = t["rows"] if t["operand"] == "a" else t["columns"]
    await start(dut, "product")
    dut.activation__ready.value = 0
    if t["operand"] == "b":
        dut.drained.value = 1
        dut.weight__ready.value = 0
    work = products(t["stall"])
    expected = [r for p in work for r in operand_requests(p, t["operand"], t)]
    sender = cocotb.start_soon(send(dut, "product", [encoded(p) for p in work], rng, t["stall"] / 10))
    ports = {1: "activation", 0: "weight"}
    takers = {
        buffer: cocotb.start_soon(collect(dut, port, sum(r[0] == buffer for r in expected), rng, t["stall"] / 10))
        for buffer, port in ports.items() if buffer or t["operand"] == "b"
    }
    await Combine(sender, *takers.values())
    for buffer, taker in takers.items():
        assert [parse_request(w, lanes) for w in taker.result()] == [r[1:] for r in expected if r[0] == buffer]
    assert not dut.fault.value


@simulated()
async def check_operand_outside(dut):
    """Beyond the last slot, and so far beyond it that the sum of slot and strides has one bit more."""
    t = parameters()
    far = {"rows": 1, "inner": 1, "columns": 1, "a_slot": 10, "b_slot": 10}
    beyond = [{"rows": 2, "columns": 2, "a_slot": TILES - 1, "b_slot": TILES - 1, "a_pitch": 1, "b_pitch": 1, "order": 0}, *(
        far | {"batch": batch, "order": order, "a_batch": stride, "b_batch": stride}
        for batch, stride in ((2, (1 << SLOT_BITS) - 5), (4, (1 << SLOT_BITS) - 1)) for order in isa.LoopOrder)]
    for n, fields in enumerate(beyond):
        await start(dut, "product")
        if t["operand"] == "b":
            dut.drained.value = 1
            dut.weight__ready.value = 1
        dut.activation__ready.value = 1
        await send(dut, "product", [encoded(random_product(random.Random(n), b_buffer=n % 2, **fields))])
        for _ in range(30):
            await FallingEdge(dut.clk)
        assert dut.fault.value, fields


@simulated(5_000)
async def check_source(dut):
    """The source of B changes only when what was asked of the other is there; without a change nothing waits for that."""
    t = parameters()
    await start(dut, "product")
    dut.drained.value, dut.weight__ready.value, dut.activation__ready.value = 1, 1, 1
    small = {"batch": 1, "rows": 1, "inner": 2, "columns": 1}
    source = 0
    for number, wanted in enumerate((0, 1, 1, 0, 0, 1)):
        dut.drained.value = 0
        product = random_product(random.Random(number), 0, b_buffer=wanted, **small)
        sender = cocotb.start_soon(send(dut, "product", [encoded(product)]))
        ports, asked = ("weight", "activation"), [0, 0]
        for cycle in range(60):
            await ReadOnly()
            for buffer, port in enumerate(ports):
                asked[buffer] += int(getattr(dut, f"{port}__valid").value)
            if cycle < 30 and wanted != source:
                assert asked == [0, 0] and int(dut.source.value) == source, (number, cycle)
            await FallingEdge(dut.clk)
            if cycle == 30:
                dut.drained.value = 1
        await sender
        source = wanted
        requests = operand_requests(product, "b", t)
        assert asked[wanted] == len(requests) and not asked[1 - wanted] and int(dut.source.value) == source


GRIDS = [(1, 1, 1), (2, 3, 2), (2, 1, 4)]


@pytest.mark.parametrize("stall", [0, 4])
@pytest.mark.parametrize("operand", ["a", "b"])
@pytest.mark.parametrize(("rows", "columns", "psum_tiles"), GRIDS)
def test_operand_sequencer(operand, rows, columns, psum_tiles, stall):
    grid = {"rows": rows, "columns": columns, "psum_tiles": psum_tiles}
    simulate_component(__name__, OperandSequencer(operand=operand, **grid, activation_tiles=TILES, weight_tiles=TILES),
                       operand=operand, **grid, stall=stall, testcase="check_operand")


def test_the_source_of_b_changes_when_the_other_is_drained():
    grid = {"rows": 2, "columns": 3, "psum_tiles": 2}
    simulate_component(__name__, OperandSequencer(operand="b", **grid, activation_tiles=TILES, weight_tiles=TILES),
                       **grid, testcase="check_source")


def expected_steps(work, t):
    """Every step of all products: partial sums count on from one to the next."""
    bits, output, steps = (t["psum_tiles"] - 1).bit_length(), 0, []
    for p in work:
        walk = list(pairs(p, t))
        for at, following in zip(walk, [*walk[1:], None], strict=True):
            *tile, n, size = at
            last = tile[3] == p["inner"] - 1
            release = [following is None or operand_tile(p, x, *tile) != operand_tile(p, x, *following[:4]) for x in "ab"]
            steps.append((output + n) % t["psum_tiles"] | (last | release[0] << 1 | release[1] << 2) << bits)
            output += size if last and n == size - 1 else 0
    return steps


@simulated()
async def check_steps(dut):
    t = parameters()
    rng = random.Random(6)
    await start(dut, "product")
    work = products(9)
    expected = expected_steps(work, t)
    sender = cocotb.start_soon(send(dut, "product", [encoded(p) for p in work], rng, 0.2))
    assert await collect(dut, "o", len(expected), rng, 0.3) == expected
    await sender


@pytest.mark.parametrize(("rows", "columns", "psum_tiles"), GRIDS)
def test_step_sequencer(rows, columns, psum_tiles):
    grid = {"rows": rows, "columns": columns, "psum_tiles": psum_tiles}
    simulate_component(__name__, StepSequencer(**grid), **grid, testcase="check_steps")


def bias_line(address):
    return sum(((address * 7 + n) & 0xFF) << 8 * n for n in range(TILE))


def signed_bits(value, bits):
    return value & ((1 << bits) - 1)


@simulated()
async def check_commands(dut):
    t = parameters()
    rng = random.Random(8)
    rows, columns = t["rows"], t["columns"]
    await start(dut, "product", "line")
    dut.free.value, dut.tag.value = 1, 2
    work = products(4)
    asked = []

    async def vector_buffer():
        while True:
            await ReadOnly()
            wanted = dut.line_request__valid.value and dut.line_request__ready.value
            address = int(dut.line_request__payload.value)
            await FallingEdge(dut.clk)
            dut.line_request__ready.value = int(rng.random() < 0.7)
            dut.line__valid.value = int(bool(wanted))
            if wanted:
                asked.append(address)
                dut.line__payload.value = bias_line(address)

    async def thresholds():
        while True:
            await dut.curve.value_change
            dut.tau.value = 3 * int(dut.curve.value)

    dut.line_request__ready.value = 0
    dut.tau.value = 0
    cocotb.start_soon(vector_buffer())
    cocotb.start_soon(thresholds())

    expected = [[] for _ in range(rows * columns)]
    for p in work:
        for b, i, j in groups(p, rows, columns):
            for n in range(rows * columns):
                r, c = divmod(n, columns)
                active = i + r < p["rows"] and j + c < p["columns"]
                slot = p["c_slot"] + b * p["c_batch"] + (i + r) * p["c_pitch"] + j + c
                bias = bias_line(p["bias_line"] + j + c) if p["bias"] else 0
                word = slot | bias << SLOT_BITS
                at = SLOT_BITS + TILE * WIDTH
                for value, bits in ((p["bias_shift"], 6), (signed_bits(p["shift"], 7), 7), (p["function"], 3),
                                    (signed_bits(p["function_shift"], 6), 6), (3 * p["curve"], WIDTH - 1), (2, 2),
                                    (not active, 1)):
                    word |= int(value) << at
                    at += bits
                expected[n].append((active, word))
    sender = cocotb.start_soon(send(dut, "product", [encoded(p) for p in work], rng, 0.2))
    takers = [cocotb.start_soon(collect(dut, f"o__{n}", len(e), rng, 0.3)) for n, e in enumerate(expected)]
    await Combine(sender, *takers)
    discard = 1 << SLOT_BITS + TILE * WIDTH + 6 + 7 + 3 + 6 + WIDTH - 1 + 2
    for taker, words in zip(takers, expected, strict=True):
        for got, (active, word) in zip(taker.result(), words, strict=True):
            if active:
                assert got == word
            else:
                assert got & discard
    assert not dut.slot_fault.value and not dut.line_fault.value


@simulated(5_000)
async def check_addresses(dut):
    """The last line and the last slot can be used; what lies behind is a fault, and is neither read nor offered."""
    t = parameters()
    rows, columns = t["rows"], t["columns"]
    small = {"batch": 1, "rows": rows, "inner": 1, "columns": columns, "c_pitch": columns, "c_batch": 0}
    far = {"batch": 2, "c_batch": (1 << SLOT_BITS) - 5}
    for line, slot, more in ((LINES - columns, TILES - rows * columns, {}), (LINES - columns + 1, 0, {}), (LINES, 0, {}),
                             (0, TILES - 1, {}), (0, 10, far)):
        await start(dut, "product", "line")
        dut.free.value, dut.tag.value, dut.tau.value, dut.line_request__ready.value = 1, 0, 0, 1
        for n in range(rows * columns):
            getattr(dut, f"o__{n}__ready").value = 1
        await send(dut, "product", [encoded(random_product(random.Random(1), 0, bias=1, bias_line=line, c_slot=slot,
                                                              **small | more))])
        asked, offered = [], 0
        for _ in range(40):
            await ReadOnly()
            wanted = bool(dut.line_request__valid.value)
            if wanted:
                asked.append(int(dut.line_request__payload.value))
            offered += int(dut.o__0__valid.value)
            await FallingEdge(dut.clk)
            dut.line__valid.value = int(wanted)
        lines_outside, slots_outside = line + columns > LINES, slot + rows * columns > TILES or more
        assert asked == list(range(line, min(line + columns, LINES)))
        assert bool(dut.line_fault.value) == lines_outside and bool(dut.slot_fault.value) == bool(slots_outside)
        assert offered == int(bool(more) or not lines_outside and not slots_outside)


@pytest.mark.parametrize(("rows", "columns"), [(1, 2), (2, 3)])
def test_addresses_of_commands(rows, columns):
    simulate_component(__name__,
        CommandSequencer(tile=TILE, width=WIDTH, rows=rows, columns=columns, activation_tiles=TILES, vector_lines=LINES),
        rows=rows, columns=columns, testcase="check_addresses",
    )


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 3)])
def test_command_sequencer(rows, columns):
    simulate_component(__name__,
        CommandSequencer(tile=TILE, width=WIDTH, rows=rows, columns=columns, activation_tiles=TILES, vector_lines=LINES),
        rows=rows, columns=columns, testcase="check_commands",
    )
