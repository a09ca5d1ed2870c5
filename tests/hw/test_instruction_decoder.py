"""Instruction decoder: legal instructions pass unchanged, each illegal one is named, HALT ends the program."""

import random

import cocotb
import pytest
from cocotb.triggers import FallingEdge, ReadOnly

from acceltran.hw.control.instruction_decoder import InstructionDecoder
from acceltran.hw.control.layouts import engine_bits
from acceltran.hw.spec.error_codes import ErrorCode, ErrorSource
from acceltran.hw.spec.isa import INSTRUCTIONS, Buffer, Function, LoopOrder, Opcode, encode
from acceltran.hw.spec.widths import NUMBER_BITS
from acceltran.sim.unit import parameters, simulate_component, simulated
from support.streams import collect, send, start

BITS = engine_bits()
ENGINE = {i.opcode: i.engine for i in INSTRUCTIONS}


def legal_fields(values):
    return {
        "function": [0, *(int(Function[f.upper()]) for f in values["functions"])],
        "order": values["orders"],
        "curve": range(values["curves"] + 1),
        "buffer": range(3),
    }


def legal_masks(opcode, values, fields):
    """The clusters that an instruction can name: any, or all as 0, if each works with buffers of its own; one alone stores."""
    if opcode is Opcode.STORE:
        return [1 << cluster for cluster in range(values["clusters"])]
    alone = opcode in (Opcode.GATHER, Opcode.SOFTMAX, Opcode.LAYERNORM) or (
        fields["buffer"] == Buffer.ACTIVATION if opcode is Opcode.LOAD else opcode is Opcode.MATMUL and fields["b_buffer"])
    return range(1 << values["clusters"] if alone else 1)


def instruction(rng, opcode, values, **fields):
    """A random legal instruction, with `fields` replaced."""
    legal = legal_fields(values)
    payload = next(i.fields for i in INSTRUCTIONS if i.opcode == opcode)
    given = {f.name: rng.randint(-(1 << f.bits - 1), (1 << f.bits - 1) - 1) if f.signed else rng.getrandbits(f.bits)
             for f in payload}
    given |= {name: rng.choice(list(allowed)) for name, allowed in legal.items() if name in given}
    if opcode is Opcode.LOAD and values["ports"] > 1 and given["buffer"] == Buffer.WEIGHT:
        given["rows"] = rng.randrange(2)
    header = {"engine": rng.randrange(3), "signal": rng.getrandbits(3)}
    if values["clusters"] > 1:
        header["clusters"] = rng.choice(legal_masks(opcode, values, given | fields))
    return int.from_bytes(encode(opcode, **(header | given | fields)), "little")


KINDS = [(opcode, {}) for opcode in Opcode if opcode not in (Opcode.LOAD, Opcode.MATMUL)] + [
    (Opcode.LOAD, {"buffer": int(buffer), "rows": 1}) for buffer in Buffer] + [
    (Opcode.MATMUL, {"b_buffer": n}) for n in range(2)]
"""Instructions that differ in which clusters they can be for."""


def some_masks(rng):
    """None, each one, all, and others."""
    return {0, *(1 << n for n in range(16)), *((1 << n) - 1 for n in range(17)), *(rng.getrandbits(16) for _ in range(8))}


async def prepare(dut):
    dut.stop.value = dut.exhausted.value = 0
    dut.o__ready.value = 0
    await start(dut, "i")


async def again(dut):
    """Reset, with everything that comes out accepted."""
    dut.rst.value = 1
    dut.exhausted.value = dut.stop.value = 0
    dut.o__ready.value = 1
    await FallingEdge(dut.clk)
    dut.rst.value = 0


def word(instruction, number, error=0, refused=0):
    return instruction | (number | (error | refused << 1) << NUMBER_BITS) << BITS


async def outcome(dut, cycles=8):
    """What the component says in the next cycles: (offered engines, halted, report)."""
    offered, report = [], None
    for _ in range(cycles):
        await ReadOnly()
        if int(dut.o__valid.value):
            offered.append(int(dut.o__payload.value))
        found = int(dut.report.value)
        if found & 1:
            assert report is None
            report = (found >> 1 & 31, found >> 6 & 3, found >> 8)
        await FallingEdge(dut.clk)
    return offered, int(dut.halted.value), report


@simulated()
async def check_legal_stream(dut):
    values, rng = parameters(), random.Random(1)
    await prepare(dut)
    opcodes = [rng.choice([o for o in Opcode if o != Opcode.HALT]) for _ in range(300)]
    words = [word(instruction(rng, opcode, values), n) for n, opcode in enumerate(opcodes)]
    words.append(word(instruction(rng, Opcode.HALT, values), 300))
    cocotb.start_soon(send(dut, "i", words, rng, 0.3))
    results = await collect(dut, "o", 300, rng, 0.3)
    for opcode, given, result in zip(opcodes, words, results, strict=False):
        text, rest = given & (1 << BITS) - 1, result >> BITS
        engine = ENGINE[opcode] if ENGINE[opcode] is not None else text >> 35 & 3
        assert result & (1 << BITS) - 1 == text
        assert rest == (given >> BITS) | (opcode == Opcode.SYNC) << NUMBER_BITS | engine << NUMBER_BITS + 1
    for _ in range(10):
        await FallingEdge(dut.clk)
    assert int(dut.halted.value) and int(dut.ended.value) and int(dut.i__ready.value)


@simulated()
async def check_masks(dut):
    """Every mask that an instruction can have passes; with one cluster nobody looks at it."""
    values, rng = parameters(), random.Random(4)
    masks = [(opcode, fields, mask) for opcode, fields in KINDS if opcode is not Opcode.HALT for mask in some_masks(rng)
             if values["clusters"] == 1 or mask in legal_masks(opcode, values, fields)]
    words = [word(instruction(rng, opcode, values, clusters=mask, **fields), number)
             for number, (opcode, fields, mask) in enumerate(masks)]
    await prepare(dut)
    cocotb.start_soon(send(dut, "i", words))
    results = await collect(dut, "o", len(words))
    assert [result & (1 << BITS) - 1 for result in results] == [given & (1 << BITS) - 1 for given in words]


@simulated()
async def check_illegal(dut):
    values, rng = parameters(), random.Random(2)
    legal, cases = legal_fields(values), []
    for i in INSTRUCTIONS:
        for name, allowed in legal.items():
            field = next((f for f in i.fields if f.name == name), None)
            if field is not None:
                cases += [(instruction(rng, i.opcode, values, **{name: v}), ErrorCode.BAD_FIELD)
                          for v in range(1 << field.bits) if v not in allowed]
        if i.engine is None:
            cases.append((instruction(rng, i.opcode, values, engine=3), ErrorCode.BAD_FIELD))
    # Tiles that several ports share lie in one row.
    cases += [(instruction(rng, Opcode.LOAD, values, buffer=int(Buffer.WEIGHT), rows=rows), ErrorCode.BAD_FIELD)
              for rows in (2, 3, 1 << 11, (1 << 12) - 1) if values["ports"] > 1]
    cases += [(instruction(rng, opcode, values, clusters=mask, **fields), ErrorCode.BAD_FIELD)
              for opcode, fields in KINDS for mask in some_masks(rng)
              if values["clusters"] > 1 and mask not in legal_masks(opcode, values, fields)]
    unknown = [o for o in range(256) if o not in list(Opcode)]
    cases += [(rng.getrandbits(BITS) & ~255 | o, ErrorCode.ILLEGAL_OPCODE) for o in (0, 255, *rng.sample(unknown, 20))]
    await prepare(dut)
    for text, code in cases:
        number = rng.getrandbits(16)
        await again(dut)
        await send(dut, "i", [word(text, number)])
        assert await outcome(dut) == ([], 0, (code, ErrorSource.CONTROL, number)), hex(text)
        await send(dut, "i", [word(instruction(rng, Opcode.LOAD, values), number + 1 & (1 << NUMBER_BITS) - 1)])
        assert await outcome(dut) == ([], 0, None)


@simulated()
async def check_ends(dut):
    values, rng = parameters(), random.Random(3)
    await prepare(dut)

    # A fetch error, whatever came with it.
    await again(dut)
    await send(dut, "i", [word(rng.getrandbits(BITS), 7, error=1)])
    assert await outcome(dut) == ([], 0, (ErrorCode.FETCH_BUS, ErrorSource.CONTROL, 7))

    # One that was refused is an error of its own.
    await again(dut)
    await send(dut, "i", [word(rng.getrandbits(BITS), 8, error=1, refused=1)])
    assert await outcome(dut) == ([], 0, (ErrorCode.FETCH_WINDOW, ErrorSource.CONTROL, 8))

    # The end of the program without HALT, but not before the last instruction has been handed over.
    await again(dut)
    dut.o__ready.value = 0
    await send(dut, "i", [word(instruction(rng, Opcode.STORE, values), 4)])
    dut.i__payload.value = word(0, 5)
    dut.exhausted.value = 1
    offered, halted, report = await outcome(dut)
    assert len(offered) == 8 and not halted and report is None
    dut.o__ready.value = 1
    _, halted, report = await outcome(dut)
    assert not halted and report == (ErrorCode.PROGRAM_END, ErrorSource.CONTROL, 5)

    # HALT, also as the last instruction: no error, and what follows is swallowed.
    await again(dut)
    await send(dut, "i", [word(instruction(rng, Opcode.HALT, values), 9), word(0, 10), word(0, 11)])
    dut.exhausted.value = 1
    assert await outcome(dut) == ([], 1, None)

    # While stopped nothing passes and nothing is held up.
    await again(dut)
    dut.stop.value = 1
    await send(dut, "i", [word(instruction(rng, Opcode.LOAD, values), n) for n in range(4)] + [word(0, 4)])
    assert await outcome(dut) == ([], 0, None)


@pytest.mark.parametrize(("functions", "orders", "curves", "ports", "clusters"), [
    (("relu", "gelu", "tanh"), range(24), 16, 1, 1), (("gelu",), (LoopOrder.BIJK, LoopOrder.JKIB), 32, 2, 2),
    ((), (0,), 4, 1, 16),
])
def test_instruction_decoder(functions, orders, curves, ports, clusters):
    decoder = InstructionDecoder(functions=functions, loop_orders=tuple(orders), curves=curves, memory_ports=ports,
                                 clusters=clusters)
    simulate_component(__name__, decoder, functions=functions, orders=[int(o) for o in orders], curves=curves, ports=ports,
                       clusters=clusters)
