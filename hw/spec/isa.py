"""The instruction set: opcodes, fields, encoding. Hardware, compiler, disassembler and documents all read this file.

An instruction is 64 bytes, little-endian. The header names the semaphore counts it waits for, one count per producing
engine, and the engines it signals when it is complete. A semaphore exists for every ordered pair of engines
(producer, consumer), also of an engine with itself: an engine takes `wait_x` tokens of the pair (x, itself) before it
starts, and adds one token to each pair (itself, y) named in `signal` when it is done.
"""

from dataclasses import dataclass
from enum import IntEnum

from .activations import ACTIVATIONS
from .widths import LINE_ADDRESS_BITS, SLOT_BITS

__all__ = ["Buffer", "Engine", "Field", "Function", "HEADER", "INSTRUCTION_BYTES", "Instruction", "INSTRUCTIONS", "LoopOrder",
           "Opcode", "decode", "encode", "fields_of", "instructions_json", "markdown"]

INSTRUCTION_BYTES = 64


class Opcode(IntEnum):
    """Operation codes; 0 is illegal so that cleared memory stops the machine."""

    HALT = 1
    SYNC = 2
    LOAD = 3
    STORE = 4
    GATHER = 5
    MATMUL = 6
    SOFTMAX = 7
    LAYERNORM = 8


class Engine(IntEnum):
    """The three in-order engines."""

    MEMORY = 0
    MATRIX = 1
    VECTOR = 2


class Buffer(IntEnum):
    """On-chip buffers."""

    WEIGHT = 0
    ACTIVATION = 1
    VECTOR = 2


_CODES = [("NONE", 0), *((entry.name.upper(), entry.code) for entry in ACTIVATIONS)]
Function = IntEnum("Function", _CODES)  # type: ignore[misc]
"""Activation functions of the post-process."""


class LoopOrder(IntEnum):
    """The 24 orders of the tile loops, outermost first."""

    BIJK = 0
    BIKJ = 1
    BJIK = 2
    BJKI = 3
    BKIJ = 4
    BKJI = 5
    IBJK = 6
    IBKJ = 7
    IJBK = 8
    IJKB = 9
    IKBJ = 10
    IKJB = 11
    JBIK = 12
    JBKI = 13
    JIBK = 14
    JIKB = 15
    JKBI = 16
    JKIB = 17
    KBIJ = 18
    KBJI = 19
    KIBJ = 20
    KIJB = 21
    KJBI = 22
    KJIB = 23


@dataclass(frozen=True)
class Field:
    """A field of an instruction."""

    name: str
    bits: int
    doc: str
    signed: bool = False


@dataclass(frozen=True)
class Instruction:
    """An operation with its engine (None: taken by the fetch unit, or named by a field) and its payload fields."""

    opcode: Opcode
    engine: Engine | None
    doc: str
    fields: tuple[Field, ...] = ()


HEADER = (
    Field("opcode", 8, "operation"),
    Field("wait_memory", 8, "tokens to take from the memory engine's semaphore before starting"),
    Field("wait_matrix", 8, "tokens to take from the matrix engine's semaphore"),
    Field("wait_vector", 8, "tokens to take from the vector engine's semaphore"),
    Field("signal", 3, "engines to signal when complete: bit 0 memory, 1 matrix, 2 vector"),
    Field("engine", 2, "SYNC: the engine that waits and signals"),
    Field("clusters", 16, "bit n: cluster n takes part; 0: all do"),
    Field("reserved", 11, "zero"),
)

_SLOT = SLOT_BITS
_COUNT = 12
_PITCH = 12


def _slot(name, doc):
    return Field(name, _SLOT, doc)


def _pitch(name, doc):
    return Field(name, _PITCH, doc + ", in slots from one tile row to the next")


def _count(name, doc):
    return Field(name, _COUNT, doc)


_TABLED = [entry.title for entry in ACTIVATIONS if entry.tail]

_CURVE = Field("curve", 6, "1 + number of the threshold curve that prunes the result; 0 prunes nothing")

INSTRUCTIONS = (
    Instruction(Opcode.HALT, None, "Wait until every engine is idle, then end the program and raise the interrupt."),
    Instruction(Opcode.SYNC, None, "Wait and signal only, in the engine named in the header."),
    Instruction(Opcode.LOAD, Engine.MEMORY, "Main memory to a buffer: packed tiles, or raw lines for the vector buffer.", (
        Field("address", 32, "byte address from MEMORY_BASE on, a multiple of the bus width"),
        Field("bytes", 32, "bytes to fetch, a multiple of the bus width"),
        Field("buffer", 2, "destination: 0 weight, 1 activation, 2 vector"),
        _slot("slot", "first slot (tiles) or line (vector buffer)"),
        _pitch("pitch", "destination pitch"),
        _count("rows", "tile rows (vector buffer: 1; weight buffer, if several memory ports share its tiles: at most 1)"),
        Field("columns", 16, "tiles in a row (vector buffer: lines)"),
    )),
    Instruction(Opcode.STORE, Engine.MEMORY, "Tiles of the activation buffer to main memory, packed back to back.", (
        Field("address", 32, "byte address from MEMORY_BASE on, a multiple of the bus width"),
        _slot("slot", "first slot"),
        _pitch("pitch", "source pitch"),
        _count("rows", "tile rows"),
        Field("columns", 16, "tiles in a row"),
    )),
    Instruction(Opcode.GATHER, Engine.MEMORY, "Rows of a table in main memory, by index, to activation tiles (dense masks).", (
        Field("address", 32, "byte address of the table from MEMORY_BASE on, a multiple of the bus width"),
        Field("indices", 32, "byte address of the 32-bit indices from MEMORY_BASE on, a multiple of the bus width"),
        Field("row_bytes", 16, "bytes from one table row to the next, a multiple of the bus width"),
        _slot("slot", "first slot"),
        _pitch("pitch", "destination pitch"),
        _count("rows", "tile rows: T indices each"),
        Field("columns", 16, "tiles in a row"),
    )),
    Instruction(Opcode.MATMUL, Engine.MATRIX, "C[b,i,j] = f(sum_k A[b,i,k] B[b,k,j] + bias[j]) over tiles.", (
        _slot("a_slot", "first A tile, activation buffer"),
        _pitch("a_pitch", "pitch of A"),
        _slot("a_batch", "slots from one A to the next in the batch"),
        Field("b_buffer", 1, "where B is: 0 weight, 1 activation buffer"),
        Field("transpose", 1, "B tile (k, j) is the transpose of the stored tile (j, k)"),
        _slot("b_slot", "first B tile"),
        _pitch("b_pitch", "pitch of B as stored"),
        _slot("b_batch", "slots from one B to the next"),
        _slot("c_slot", "first C tile, activation buffer"),
        _pitch("c_pitch", "pitch of C"),
        _slot("c_batch", "slots from one C to the next"),
        _count("batch", "products"),
        _count("rows", "tile rows of A and C"),
        _count("inner", "tile columns of A"),
        _count("columns", "tile columns of C"),
        Field("order", 5, "loop order, see LoopOrder; where k is not innermost, psum_tiles output tiles share a pass of k"),
        Field("bias", 1, "add a bias row"),
        Field("bias_line", LINE_ADDRESS_BITS, "line of the bias of tile column 0"),
        Field("bias_shift", 6, "left shift of the bias to the accumulator's binary point"),
        Field("shift", 7, "right shift (rounding; negative: left) of the accumulator to the result, or to min(16, W + 2) "
              f"fraction bits where {' or '.join(_TABLED)} follows", True),
        Field("function", 3, ", ".join(("0 none", *(f"{entry.code} {entry.title}" for entry in ACTIVATIONS)))),
        Field("function_shift", 6, "right shift (negative: left) from min(16, W + 2) fraction bits to the result, "
              f"{' and '.join(_TABLED)}", True),
        _CURVE,
    )),
    Instruction(Opcode.SOFTMAX, Engine.VECTOR, "Row softmax over the first valid_columns columns; others become zero.", (
        _slot("x_slot", "first tile of the scores"),
        _pitch("x_pitch", "pitch of the scores"),
        _slot("o_slot", "first tile of the probabilities"),
        _pitch("o_pitch", "pitch of the probabilities"),
        _count("rows", "tile rows"),
        _count("columns", "tiles in a row"),
        Field("valid_columns", 16, "columns (elements) that take part"),
        Field("x_shift", 5, "left shift of the scores, which are base-2 logarithms, to 16 fraction bits"),
        Field("o_frac", 5, "binary point of the probabilities"),
        _CURVE,
    )),
    Instruction(Opcode.LAYERNORM, Engine.VECTOR, "Layer-norm over a row of x, or of x plus a residual, with gamma and beta.", (
        _slot("x_slot", "first tile of x"),
        _pitch("x_pitch", "pitch of x"),
        Field("residual", 1, "add the second operand"),
        _slot("r_slot", "first tile of the residual"),
        _pitch("r_pitch", "pitch of the residual"),
        _slot("o_slot", "first tile of the result"),
        _pitch("o_pitch", "pitch of the result"),
        _count("rows", "tile rows"),
        _count("columns", "tiles in a row"),
        Field("x_shift", 6, "right shift (rounding; negative: left) of x to the common binary point", True),
        Field("r_shift", 6, "the same for the residual", True),
        Field("reciprocal", 24, "mantissa of 1/N for a row of N elements, its top bit set"),
        Field("reciprocal_shift", 6, "right shift of the sum times the mantissa to the mean (with its guard bits)"),
        Field("epsilon", 56, "added to N times the variance, in its units"),
        Field("gamma_line", LINE_ADDRESS_BITS, "line of gamma of tile column 0"),
        Field("beta_line", LINE_ADDRESS_BITS, "line of beta of tile column 0"),
        Field("beta_shift", 6, "left shift of beta to the binary point of the product with gamma"),
        Field("shift", 6, "right shift (rounding) of that to the result"),
        _CURVE,
    )),
)

_BY_OPCODE = {i.opcode: i for i in INSTRUCTIONS}


def fields_of(opcode):
    """All fields of an instruction, from bit 0 on: those of the header, and its own."""
    return (*HEADER, *_BY_OPCODE[opcode].fields)


def encode(opcode, **values):
    """Pack named field values into 64 bytes; every payload field must be given, header fields default to zero.

    Raises
    ------
    ValueError : for an unknown, missing or out-of-range field, naming it
    """
    opcode = Opcode(opcode)
    fields = fields_of(opcode)
    values = {f.name: 0 for f in HEADER} | {"opcode": int(opcode)} | values
    if unknown := values.keys() - {f.name for f in fields}:
        raise ValueError(f"{opcode.name} has no field {', '.join(sorted(unknown))}")
    word, position = 0, 0
    for f in fields:
        if f.name not in values:
            raise ValueError(f"{opcode.name}: field {f.name} is missing")
        value = int(values[f.name])
        low, high = (-(1 << (f.bits - 1)), (1 << (f.bits - 1)) - 1) if f.signed else (0, (1 << f.bits) - 1)
        if not low <= value <= high:
            raise ValueError(f"{opcode.name}: {f.name} = {value} is outside {low}..{high}")
        word |= (value & ((1 << f.bits) - 1)) << position
        position += f.bits
    return word.to_bytes(INSTRUCTION_BYTES, "little")


def decode(raw):
    """Unpack 64 bytes into (Opcode, {field: value}).

    Raises
    ------
    ValueError : for an unknown opcode or a wrong length
    """
    if len(raw) != INSTRUCTION_BYTES:
        raise ValueError(f"an instruction has {INSTRUCTION_BYTES} bytes, not {len(raw)}")
    if raw[0] not in _BY_OPCODE:
        raise ValueError(f"unknown opcode {raw[0]}")
    opcode, word, values = Opcode(raw[0]), int.from_bytes(raw, "little"), {}
    for f in fields_of(opcode):
        value = word & ((1 << f.bits) - 1)
        word >>= f.bits
        values[f.name] = value - (1 << f.bits) if f.signed and value >> (f.bits - 1) else value
    return opcode, values


def instructions_json():
    """The instruction set as plain values: opcodes, engines, fields with their bit positions."""
    def fields(entries, start):
        out = []
        for f in entries:
            out.append({"name": f.name, "low": start, "bits": f.bits, "signed": f.signed, "doc": f.doc})
            start += f.bits
        return out

    header = sum(f.bits for f in HEADER)
    return {
        "bytes": INSTRUCTION_BYTES,
        "header": fields(HEADER, 0),
        "operations": [
            {"name": i.opcode.name, "opcode": int(i.opcode), "doc": i.doc, "fields": fields(i.fields, header),
             "engine": None if i.engine is None else i.engine.name.lower()} for i in INSTRUCTIONS
        ],
    }


def markdown():
    """The instruction set as a Markdown document."""
    text = ["# Instructions", "", __doc__.split("\n\n", 1)[1].strip(), ""]
    for title, doc, fields, start in (
        ("Header", "Bits 0 to 63 of every instruction.", HEADER, 0),
        *((f"{i.opcode.name} ({int(i.opcode)})", i.doc, i.fields, 64) for i in INSTRUCTIONS),
    ):
        text += [f"## {title}", "", doc, ""]
        if fields:
            text += ["| bits | field | meaning |", "|---|---|---|"]
        for f in fields:
            text.append(f"| {start + f.bits - 1}:{start} | `{f.name}`{' (signed)' if f.signed else ''} | {f.doc} |")
            start += f.bits
        text.append("")
    return "\n".join(text)
