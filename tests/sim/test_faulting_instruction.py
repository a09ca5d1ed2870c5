"""Every LOAD, GATHER and STORE of a compiled program at fault in turn: the right one is named, however soon the bus answers."""

import json

import numpy as np
import pytest

from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.hw.spec.error_codes import ErrorCode, ErrorSource
from acceltran.hw.spec.isa import INSTRUCTION_BYTES, Buffer, Engine, Opcode, encode
from acceltran.sim.cocotb_run import run_cocotb
from acceltran.sim.design import build_system
from acceltran.sim.hand_program import HandProgram
from acceltran.sim.system import simulate, simulate_programs, write_image
from acceltran.sw.compiler import compile_encoder
from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.sentences import encode_texts
from support.configs import CONFIGS
from support.models import make_checkpoint, random_texts

MEMORY_BITS = 20
END = 1 << MEMORY_BITS
CONFIG = CONFIGS["one_by_two"]
EXACT = max(CONFIG.mask_bits, CONFIG.bus_width) // 8
"""Bytes of an empty tile, in whole beats."""


@pytest.fixture
def program(tmp_path):
    checkpoint = load_checkpoint(make_checkpoint(tmp_path / "model", hidden=16, heads=2, layers=1, ffn=32,
                                                 act=CONFIG.functions[-1]))
    return compile_encoder(checkpoint, CONFIG, *encode_texts(checkpoint, random_texts(2, 9)))


def beyond(fields):
    """Variants of a memory instruction that main memory refuses: all of it, its last beats, its indices."""
    yield {"address": END}
    if "bytes" in fields:
        yield {"address": END - fields["bytes"] + 64}
    if "indices" in fields:
        yield {"indices": END}


@pytest.mark.parametrize("latency", [1, 40])
def test_h1_each_memory_instruction_at_fault(program, latency, tmp_path):
    assert CONFIG.outstanding_reads >= 4
    image, runs, wanted = bytearray(program.image), [], []
    for number, (opcode, fields) in enumerate(program.instructions):
        if opcode not in (Opcode.LOAD, Opcode.GATHER, Opcode.STORE):
            continue
        for change in beyond(fields):
            image += bytes(-len(image) % 64)
            bad = [*program.instructions[:number], (opcode, fields | change), *program.instructions[number + 1:]]
            runs.append({"address": len(image), "length": len(bad), "watchdog": 50_000, "cut": None, "look": False})
            image += b"".join(encode(name, **values) for name, values in bad)
            code = ErrorCode.BUS_WRITE if opcode is Opcode.STORE else ErrorCode.BUS_READ
            wanted.append((code, ErrorSource.MEMORY, number))
    assert len(image) <= END and len(runs) > 30
    write_image(image, CONFIG.bus_width, tmp_path / "image.hex")
    run_cocotb(build_system(CONFIG, memory_bits=MEMORY_BITS), "support.error_runs", tmp_path,
               plusargs=["+image=image.hex", f"+latency={latency}"], parameters={"runs": runs})
    seen = json.loads((tmp_path / "result.json").read_text())
    assert [(r["error_code"], r["error_engine"], r["error_instruction"]) for r in seen] == wanted


@pytest.mark.parametrize("latency", [1, 40])
def test_h3_surplus_bytes_belong_to_their_load(latency, tmp_path):
    """An empty tile and 64 bytes too many: done when they have come, and an error in them is not the next run's."""
    memory = HandProgram(CONFIG)
    empty, _ = memory.place(bytes(4096))
    load = {"buffer": int(Buffer.ACTIVATION), "slot": 0, "pitch": 1, "rows": 1, "columns": 1}

    def program(*loads):
        words = [*(encode(Opcode.LOAD, **load | fields) for fields in loads), encode(Opcode.HALT)]
        return memory.place(b"".join(words))[0], len(words)

    surplus = {"address": empty, "bytes": EXACT + 64}
    runs = [program(surplus), program({"address": empty, "bytes": EXACT}), program(surplus)]
    image = memory.image()
    beyond_end = HandProgram(CONFIG)
    beyond_end.add(Opcode.LOAD, **load | {"address": END - EXACT, "bytes": EXACT + 64})
    beyond_end.add(Opcode.HALT)
    model = build_system(CONFIG, memory_bits=MEMORY_BITS)

    def run(image, address, length):
        return simulate(CONFIG, image, program_address=address, program_length=length, folder=tmp_path, model=model,
                        latency=latency)

    cycles = [run(image, *place).counters for place in runs]
    assert cycles[0]["bytes_read"] == EXACT + 64 + 2 * INSTRUCTION_BYTES, "the run is done before the surplus has come"
    assert cycles[0]["cycles"] == cycles[2]["cycles"]
    assert run(beyond_end.image(), 0, 2).error == "BUS_READ in instruction 0 (memory)"


def test_h3_a_run_after_surplus_is_not_slower(tmp_path):
    memory = HandProgram(CONFIG)
    empty, _ = memory.place(bytes(8192))
    load = {"buffer": int(Buffer.ACTIVATION), "slot": 0, "pitch": 1, "rows": 1, "columns": 1, "address": empty}

    def program(length):
        words = [encode(Opcode.LOAD, **load, bytes=length), encode(Opcode.HALT)]
        return memory.place(b"".join(words))[0], len(words)

    exact, long = program(EXACT), program(4096)
    model = build_system(CONFIG, memory_bits=MEMORY_BITS)
    runs = simulate_programs(CONFIG, memory.image(), [exact, long, exact], folder=tmp_path, model=model)
    assert [r.error for r in runs] == [None] * 3
    assert runs[2].counters["cycles"] == runs[0].counters["cycles"]
    assert runs[1].counters["bytes_read"] == 4096 + 2 * INSTRUCTION_BYTES


ONE_BANK = AcceleratorConfig(
    name="one_bank", tile=8, grid_rows=1, grid_columns=1, lines_per_beat=2, activation_banks=1, weight_banks=1, window=2,
    activation_tiles=1024, weight_tiles=64, vector_lines=64, bus_width=64,
)


@pytest.mark.slow
def test_h2_softmax_beside_a_dense_product(tmp_path):
    """One row of softmax while a product reads both operands from the only bank: it ends within four times its cycles alone."""
    rng = np.random.default_rng(2)
    c, tiles = ONE_BANK, 16
    limit = 1 << (c.width - 2)
    softmax = {"x_slot": 900, "x_pitch": 4, "o_slot": 910, "o_pitch": 4, "rows": 1, "columns": 4, "valid_columns": 32,
               "x_shift": 2, "o_frac": 16, "curve": 0}
    product = {"a_slot": 0, "a_pitch": tiles, "a_batch": 0, "b_buffer": 1, "transpose": 0, "b_slot": 256, "b_pitch": tiles,
               "b_batch": 0, "c_slot": 512, "c_pitch": tiles, "c_batch": 0, "batch": 1, "rows": tiles, "inner": tiles,
               "columns": tiles, "order": 0, "bias": 0, "bias_line": 0, "bias_shift": 0, "shift": 20, "function": 0,
               "function_shift": 0, "curve": 0}

    def run(beside):
        program = HandProgram(c)
        vector = 1 << int(Engine.VECTOR)
        for slot in (0, 256):
            program.load(Buffer.ACTIVATION, slot, rng.integers(1, limit, (8 * tiles, 8 * tiles)), signal=0)
        program.load(Buffer.ACTIVATION, 900, rng.integers(-limit, limit, (8, 32)), signal=vector | 1 << int(Engine.MATRIX))
        if beside:
            program.add(Opcode.MATMUL, **product, wait_memory=1)
        else:
            program.add(Opcode.SYNC, engine=int(Engine.MATRIX), wait_memory=1)
        for number in range(4):  # The later ones are in the middle of the product.
            program.add(Opcode.SOFTMAX, **softmax, wait_memory=int(number == 0))
        program.add(Opcode.HALT)
        result = simulate(c, program.image(), program_address=0, program_length=len(program.instructions), folder=tmp_path,
                          model=build_system(c, memory_bits=MEMORY_BITS))
        assert result.error is None
        spans = {(i.engine, i.number): i.end - i.start for i in result.intervals}
        ends = [i.end for i in result.intervals if i.engine == "vector"]
        return spans["vector", 4], ends[-1] - ends[0], next((i for i in result.intervals if i.engine == "matrix"), None)

    alone, alone_others, _ = run(False)
    beside, others, matrix = run(True)
    print(f"alone {alone}, beside the product {beside}; three more {alone_others}, {others}")
    assert beside <= 4 * alone and others <= 4 * alone_others
    assert matrix.end - matrix.start > 10 * beside, "the product runs all the time"


def test_one_simulator_has_any_latency(tmp_path):
    """The first data, of a fetch here, come so many cycles after their address."""
    program = HandProgram(CONFIG)
    program.add(Opcode.HALT)
    model = build_system(CONFIG, memory_bits=MEMORY_BITS)
    cycles = [simulate(CONFIG, program.image(), program_address=0, program_length=1, folder=tmp_path, model=model,
                       latency=latency).counters["cycles"] for latency in (1, 11, 40)]
    assert [late - cycles[0] for late in cycles] == [0, 10, 39]


@pytest.mark.slow
def test_a_number_of_more_than_sixteen_bits_is_told(tmp_path):
    """The last instruction of a long program is at fault."""
    length = (1 << 16) + 300
    image = encode(Opcode.SYNC, engine=Engine.VECTOR) * (length - 1) + bytes(INSTRUCTION_BYTES)
    run = simulate(CONFIGS["one_by_two"], image, program_address=0, program_length=length, folder=tmp_path)
    assert run.error == f"ILLEGAL_OPCODE in instruction {length - 1} (control)"
