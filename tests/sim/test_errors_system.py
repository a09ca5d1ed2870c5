"""Bad programs and soft resets on the whole accelerator: every one stops, says why, and leaves nothing behind."""

import json

import numpy as np
import pytest
import torch

from acceltran.hw.spec.error_codes import ErrorCode, ErrorSource
from acceltran.hw.spec.exponential import ARGUMENT_FRAC
from acceltran.hw.spec.isa import Buffer, Engine, Opcode, encode
from acceltran.hw.spec.registers import PAGE_BITS, by_name, pack
from acceltran.hw.spec.shifts import FUNCTION_SHIFTS, SHIFTS
from acceltran.sim.cocotb_run import run_cocotb
from acceltran.sim.design import build_system
from acceltran.sim.hand_program import HandProgram
from acceltran.sim.system import RunResult, read_memory, write_image
from acceltran.sw.golden.layernorm import layernorm, layernorm_fields
from acceltran.sw.golden.matmul import matmul
from acceltran.sw.golden.post_process import post_process
from acceltran.sw.golden.softmax import softmax
from acceltran.sw.golden.tiles import lines_to_bytes
from support.configs import CONFIGS

MEMORY_BITS = 20
MEMORY_END = 1 << MEMORY_BITS
PAGE = 1 << PAGE_BITS
MEMORY, MATRIX, VECTOR = (1 << int(e) for e in Engine)
WATCHDOG = 5_000
FAR = (1 << 20) - 1
"""The last slot that an instruction can name."""

OPEN = {"READ_BASE": 0, "READ_LIMIT": 0xFFFF_FFFF, "WRITE_BASE": 0, "WRITE_LIMIT": 0xFFFF_FFFF}
"""Windows in which everything lies."""

HALT, SYNC = encode(Opcode.HALT), encode(Opcode.SYNC, engine=int(Engine.VECTOR))
STORE = {"slot": 80, "pitch": 5, "rows": 1, "columns": 2}


class Suite:
    """One main memory with many programs in it, and the list of runs."""

    def __init__(self, config):
        self.config, self.memory = config, HandProgram(config)
        self.tiles, self.weights, self.lines = config.activation_tiles, config.weight_tiles, config.vector_lines
        self.rng = np.random.default_rng(5)
        self.runs, self.wanted, self.stored = [], [], []
        self._choose_fields()
        self._prepare()
        self.add_good()

    def _choose_fields(self):
        t, w = self.config.tile, self.config.width
        self.fields = {
            Opcode.LOAD: {"address": 0x10000, "bytes": 640, "buffer": int(Buffer.WEIGHT), "slot": 0, "pitch": 1,
                          "rows": 1, "columns": 1},
            Opcode.MATMUL: {
                "a_slot": 0, "a_pitch": 5, "a_batch": 0, "b_buffer": 0, "transpose": 0, "b_slot": 0, "b_pitch": 2,
                "b_batch": 0, "c_slot": 40, "c_pitch": 5, "c_batch": 0, "batch": 1, "rows": 1, "inner": 2, "columns": 2,
                "order": 0, "bias": 1, "bias_line": 0, "bias_shift": self.config.b_width - 4,
                "shift": self.config.b_width - 2, "function": 0, "function_shift": 0, "curve": 0,
            },
            Opcode.SOFTMAX: {"x_slot": 40, "x_pitch": 5, "o_slot": 60, "o_pitch": 5, "rows": 1, "columns": 2,
                             "valid_columns": 13, "x_shift": ARGUMENT_FRAC - (w - 6), "o_frac": w - 4, "curve": 0},
            Opcode.LAYERNORM: {
                "x_slot": 60, "x_pitch": 5, "residual": 1, "r_slot": 0, "r_pitch": 5, "o_slot": 80, "o_pitch": 5, "rows": 1,
                "columns": 2, "gamma_line": 2, "beta_line": 4, "curve": 0,
            } | layernorm_fields(n=2 * t, x_frac=w - 4, r_frac=w - 4, x_max=1, r_max=8, gamma_frac=w - 4, beta_frac=w - 4,
                                 o_frac=w - 6, eps=1e-12, width=w),
        }

    def _some(self, opcode, *names):
        return {name: self.fields[opcode][name] for name in names}

    def make(self, opcode, **fields):
        """An instruction of the good program, with other fields."""
        return encode(opcode, **{**self.fields[opcode], **fields})

    def load(self, **fields):
        return self.make(Opcode.LOAD, **fields)

    def product(self, **fields):
        return self.make(Opcode.MATMUL, **fields)

    def _prepare(self):
        """The data of the good program, and what it must give: table rows times B, softmax, layer-norm with the rows."""
        rng, t, w = self.rng, self.config.tile, self.config.width
        limit = 1 << (w - 3)
        table = rng.integers(-limit, limit, (12, 2 * t))
        indices = rng.permutation(12)[:t]
        b = rng.integers(-1 << self.config.b_width - 3, 1 << self.config.b_width - 3, (2 * t, 2 * t)) * (
            rng.random((2 * t, 2 * t)) < 0.6)
        bias, gamma, beta = (rng.integers(-limit, limit, 2 * t) for _ in range(3))
        rows = np.zeros((12, -(-2 * t * w // self.config.bus_width) * self.config.bus_width // 8), dtype=np.uint8)
        rows[:, : 2 * t * w // 8] = np.frombuffer(lines_to_bytes(table, w), np.uint8).reshape(12, -1)
        self.fields[Opcode.GATHER] = {
            "address": self.memory.place(rows.tobytes())[0], "row_bytes": rows.shape[1], "slot": 0, "pitch": 5, "rows": 1,
            "columns": 2, "indices": self.memory.place(indices.astype("<u4").tobytes())[0],
        }
        self.memory.add(Opcode.GATHER, signal=MATRIX, **self.fields[Opcode.GATHER])
        self.memory.load(Buffer.WEIGHT, 0, b)
        self.memory.load_vector(0, bias, signal=MATRIX)
        self.memory.load_vector(2, gamma)
        self.memory.load_vector(4, beta, signal=VECTOR)
        self.good = [*self.memory.instructions, self.product(wait_memory=2, signal=VECTOR),
                     self.make(Opcode.SOFTMAX, wait_matrix=1, signal=VECTOR),
                     self.make(Opcode.LAYERNORM, wait_memory=1, wait_vector=1, signal=MEMORY)]

        a = torch.from_numpy(table[indices])
        c = post_process(matmul(a, torch.from_numpy(b)), torch.from_numpy(bias), width=w, tau=0,
                         **self._some(Opcode.MATMUL, "bias_shift", "shift", "function", "function_shift"))
        p = softmax(c, tau=0, width=w, tile=t,
                    **self._some(Opcode.SOFTMAX, "valid_columns", "x_shift", "o_frac"))
        self.result = layernorm(
            p, torch.from_numpy(gamma), torch.from_numpy(beta), residual=a, tau=0, width=w,
            **self._some(Opcode.LAYERNORM, "x_shift", "r_shift", "reciprocal", "reciprocal_shift", "epsilon", "beta_shift",
                         "shift"),
        ).numpy()

    def program(self, instructions):
        """Put a program into memory; its address and length."""
        return {"address": self.memory.place(b"".join(instructions))[0], "length": len(instructions)}

    def run(self, program, wanted, watchdog=WATCHDOG, cut=None, look=False, registers=None):
        self.runs.append({**program, "watchdog": watchdog, "cut": cut, "look": look, "registers": OPEN | (registers or {})})
        self.wanted.append(wanted)

    def add_good(self):
        """Run the good program, with a place of its own for the result."""
        self.memory.instructions = list(self.good)
        read = self.memory.store(wait_vector=1, **STORE)
        self.run(self.program([*self.memory.instructions, HALT]), None)
        self.stored.append(read)

    def add_bad(self, instructions, code, source, number, *, length=None, address=None, **options):
        """Run a program that must stop with this error, then the good one."""
        program = self.program(instructions)
        program["length"] = program["length"] if length is None else length
        program["address"] = program["address"] if address is None else address
        self.run(program, (ErrorCode[code], ErrorSource[source], number), **options)
        self.add_good()

    def add_cut(self, instructions, cycles, look=False):
        """Cut a program off after so many cycles, then let the good one run to its end."""
        self.run(self.program([*instructions, HALT]), "cut", cut=cycles, look=look)
        self.add_good()

    def simulate(self, folder):
        """All runs in one simulation: what the registers showed, and main memory afterwards."""
        folder.mkdir(parents=True, exist_ok=True)
        image = self.memory.image()
        assert len(image) <= MEMORY_END - 4096
        image += bytes(MEMORY_END - 64 - len(image)) + SYNC
        write_image(image, self.config.bus_width, folder / "image.hex")
        run_cocotb(build_system(self.config, memory_bits=MEMORY_BITS), "support.error_runs", folder,
                   plusargs=["+image=image.hex"], parameters={"runs": self.runs})
        seen = json.loads((folder / "result.json").read_text())
        assert len(seen) == len(self.runs), "a soft reset did not end"
        return seen, RunResult(folder=folder, status=0, error=None, counters={}, intervals=(), started=0, build_seconds=0,
                               simulation_seconds=0, memory=read_memory(folder / "memory.log"))

    def check(self, folder):
        """Errors as wanted, clean registers after every reset, all good results."""
        seen, memory = self.simulate(folder)
        idle = {"status": pack(by_name("STATUS"), idle=1), "irq_status": 0, "error_code": 0, "error_engine": 0,
                "error_instruction": 0, "irq": 0}
        wrong = []
        for number, (run, wanted) in enumerate(zip(seen, self.wanted, strict=True)):
            code, source, instruction = (0, 0, 0) if wanted in (None, "cut") else wanted
            event = "error" if code else "done"
            end = {"status": pack(by_name("STATUS"), **{event: 1}, idle=int(not code)),
                   "irq_status": pack(by_name("IRQ_STATUS"), **{event: 1}), "error_code": code, "error_engine": source,
                   "error_instruction": instruction, "irq": 1}
            must = {"after": idle, "reset": True}
            if wanted != "cut":
                must |= {"ended": True, **end}
            if code:
                must |= {"restarted": end, "acknowledged": end | {"irq_status": 0, "irq": 0}}
            if different := {name: (run[name], value) for name, value in must.items() if run[name] != value}:
                wrong.append(f"run {number}, {wanted}: (seen, wanted) {different}")
        assert not wrong, "\n".join(wrong)
        for number, read in enumerate(self.stored):
            assert (read(memory) == self.result).all(), f"good program {number}"
        return seen


@pytest.fixture(params=["one_pe", pytest.param("four_pes", marks=pytest.mark.slow)])
def suite(request):
    return Suite(CONFIGS[request.param])


def test_control_errors(suite, tmp_path):
    unknown = bytes([0x55]) + bytes(63)
    suite.add_bad([suite.load(), unknown, HALT], "ILLEGAL_OPCODE", "CONTROL", 1)
    suite.add_bad([bytes(64)], "ILLEGAL_OPCODE", "CONTROL", 0)
    suite.add_bad([SYNC, suite.load(buffer=3), HALT], "BAD_FIELD", "CONTROL", 1)
    suite.add_bad([SYNC, SYNC, suite.product(order=24), HALT], "BAD_FIELD", "CONTROL", 2)
    suite.add_bad([suite.product(function=7), HALT], "BAD_FIELD", "CONTROL", 0)
    suite.add_bad([suite.make(Opcode.SOFTMAX, curve=suite.config.prune_curves + 1), HALT], "BAD_FIELD", "CONTROL", 0)
    suite.add_bad([encode(Opcode.SYNC, engine=3), HALT], "BAD_FIELD", "CONTROL", 0)
    # No HALT, with work under way and without; no instruction at all.
    suite.add_bad([*suite.good, SYNC], "PROGRAM_END", "CONTROL", len(suite.good) + 1)
    suite.add_bad([SYNC, HALT], "PROGRAM_END", "CONTROL", 1, length=1)
    suite.add_bad([HALT], "PROGRAM_END", "CONTROL", 0, length=0)
    # The program lies beyond memory, or runs out of it.
    suite.add_bad([], "FETCH_BUS", "CONTROL", 0, address=MEMORY_END, length=3)
    suite.add_bad([], "FETCH_BUS", "CONTROL", 1, address=MEMORY_END - 64, length=8)
    # Tokens that never come: in each engine, in a circle, behind work of others, and with full queues.
    suite.add_bad([suite.load(wait_vector=1), HALT], "WATCHDOG", "CONTROL", 0, watchdog=500)
    suite.add_bad([SYNC, suite.product(wait_memory=1), HALT], "WATCHDOG", "CONTROL", 1, watchdog=500)
    suite.add_bad([suite.load(signal=VECTOR), suite.make(Opcode.SOFTMAX, wait_memory=2), suite.load(), HALT],
                  "WATCHDOG", "CONTROL", 1, watchdog=4000)
    suite.add_bad([suite.load(wait_matrix=1, signal=MATRIX), suite.product(wait_memory=1, signal=MEMORY), HALT],
                  "WATCHDOG", "CONTROL", 0, watchdog=500)
    suite.add_bad([*[suite.load(wait_matrix=1)] * 12, HALT], "WATCHDOG", "CONTROL", 0, watchdog=500)
    suite.add_bad([encode(Opcode.SYNC, engine=0, signal=MATRIX)] * 4096 + [HALT], "SEMAPHORE_OVERFLOW", "MEMORY", 4095)
    suite.check(tmp_path)


def test_memory_errors(suite, tmp_path):
    # A stray index: its row lies beyond memory.
    far = suite.memory.place(np.array([1, 2, 3, 1 << 20, 4, 5, 6, 7], dtype="<u4").tobytes())[0]
    dense = suite.memory.place(b"\xff" * 512)[0]
    empty = suite.memory.place(bytes(8 * suite.tiles))[0]
    line = {"buffer": int(Buffer.VECTOR), "address": dense, "rows": 1, "pitch": 0}

    # Outside the buffers: at once, in the middle, and as far as the fields go.
    for buffer, tiles in ((Buffer.WEIGHT, suite.weights), (Buffer.ACTIVATION, suite.tiles)):
        for slot, columns in ((tiles, 1), (tiles - 3, 4), (FAR, 1)):
            outside = suite.load(buffer=int(buffer), address=empty, bytes=64, slot=slot, columns=columns)
            suite.add_bad([SYNC, outside, suite.load(), HALT], "SLOT_RANGE", "MEMORY", 1)
    suite.add_bad([suite.load(slot=suite.lines - 1, columns=2, bytes=64, **line), HALT], "SLOT_RANGE", "MEMORY", 0)
    suite.add_bad([suite.make(Opcode.GATHER, slot=suite.tiles - 1), HALT], "SLOT_RANGE", "MEMORY", 0)
    room = suite.memory.place(bytes(4096))[0]
    for slot, rows in ((suite.tiles - 1, 1), (suite.tiles, 1), (suite.tiles - 6, 3)):
        suite.add_bad([suite.load(), encode(Opcode.STORE, address=room, slot=slot, pitch=3, rows=rows, columns=2), HALT],
                      "SLOT_RANGE", "MEMORY", 1)
    # Too few bytes: none, not the mask, not all lines, not all tiles.
    config = suite.config
    mask, tile = config.mask_bits // 8, (config.mask_bits + config.tile * config.weight_line_bits) // 8
    for count in (0, mask, tile - 16, tile + mask, 2 * tile - 16):
        count -= count % 16
        short = suite.load(address=dense, bytes=count, columns=2)
        suite.add_bad([suite.load(), short, suite.load(), HALT], "LOAD_SHORT", "MEMORY", 1)
    suite.add_bad([suite.load(bytes=16, columns=3, slot=0, **line), HALT], "LOAD_SHORT", "MEMORY", 0)
    # Beyond main memory: the whole of it, and its second burst.
    suite.add_bad([suite.load(), suite.load(address=MEMORY_END), suite.load(), HALT], "BUS_READ", "MEMORY", 1)
    suite.add_bad([suite.load(address=MEMORY_END - 64, bytes=256, columns=16), HALT], "BUS_READ", "MEMORY", 0)
    suite.add_bad([suite.make(Opcode.GATHER, indices=MEMORY_END), suite.load(), HALT], "BUS_READ", "MEMORY", 0)
    suite.add_bad([suite.make(Opcode.GATHER, indices=far), HALT], "BUS_READ", "MEMORY", 0)
    suite.add_bad([suite.make(Opcode.GATHER, address=1 << 31), HALT], "BUS_READ", "MEMORY", 0)
    store = encode(Opcode.STORE, address=MEMORY_END + room, **{**STORE, "slot": 0})
    fill = suite.load(address=dense, bytes=512, buffer=int(Buffer.ACTIVATION), columns=2)
    suite.add_bad([fill, store, suite.load(), HALT], "BUS_WRITE", "MEMORY", 1)
    # No tiles at all are no error.
    program = suite.program([suite.load(rows=0), suite.load(columns=0, bytes=0), suite.make(Opcode.GATHER, rows=0),
                             encode(Opcode.STORE, address=room, **{**STORE, "rows": 0}), HALT])
    suite.run(program, None)
    suite.add_good()
    suite.check(tmp_path)


def test_matrix_errors(suite, tmp_path):
    prepare = suite.good[:5]
    start = [*prepare, suite.product(wait_memory=2)]
    for fields in (
        {"a_slot": suite.tiles - 1}, {"a_slot": suite.tiles}, {"a_slot": FAR, "inner": 1},
        {"rows": 4, "a_pitch": suite.tiles // 3 + 1 | 1, "c_pitch": 2}, {"b_slot": suite.weights - 3},
        {"b_pitch": suite.weights},
        {"b_slot": suite.tiles - 1, "b_buffer": 1, "transpose": 1, "b_pitch": 1}, {"b_buffer": 1, "b_slot": suite.tiles - 2},
        {"c_slot": suite.tiles - 1}, {"c_slot": suite.tiles}, {"batch": 2, "c_batch": suite.tiles},
        {"batch": 2, "a_batch": suite.tiles - 1},
    ):
        suite.add_bad([*prepare, suite.product(wait_memory=2, **fields), HALT], "SLOT_RANGE", "MATRIX", 5)
        suite.add_bad([*start, suite.product(**fields), suite.product(), HALT], "SLOT_RANGE", "MATRIX", 6)
    for fields in ({"bias_line": suite.lines - 1}, {"bias_line": suite.lines}):
        suite.add_bad([*start, suite.product(**fields), HALT], "LINE_RANGE", "MATRIX", 6)
    for fields in ({"rows": 0}, {"inner": 0}, {"columns": 0}, {"batch": 0}, {"shift": -64}):
        suite.add_bad([suite.product(**fields), HALT], "ENGINE_FIELD", "MATRIX", 0)
        suite.add_bad([*start, suite.product(**fields), suite.product(), HALT], "ENGINE_FIELD", "MATRIX", 6)
    suite.check(tmp_path)


def test_h5_shifts_and_pitches_that_the_matrix_engine_refuses(suite, tmp_path):
    """One step inside a limit runs to the end, one step outside is an error of the instruction."""
    config = suite.config
    start = [*suite.good[:5], suite.product(wait_memory=2)]
    aligned = config.accumulator_width - config.width
    transposed = {"transpose": 1, "b_pitch": 3, "bias": 0}
    limits = [({}, "bias_shift", aligned, aligned + 1), ({}, "shift", SHIFTS.start, SHIFTS.start - 1),
              ({}, "function_shift", FUNCTION_SHIFTS.start, FUNCTION_SHIFTS.start - 1),
              ({}, "function_shift", FUNCTION_SHIFTS.stop - 1, FUNCTION_SHIFTS.stop)]
    if config.grid_rows > 1:
        limits.append(({"rows": 2}, "a_pitch", 5, 4))
    if config.grid_columns > 1:
        limits += [(transposed, "b_pitch", 3, 2), (transposed | {"b_buffer": 1}, "b_pitch", 3, 2)]
    for fields, name, inside, outside in limits:
        suite.run(suite.program([*start, suite.product(**fields | {name: inside}), HALT]), None)
        suite.add_bad([*start, suite.product(**fields | {name: outside}), suite.product(), HALT], "ENGINE_FIELD", "MATRIX", 6)
    # Tiles that are read one after the other may lie in the same bank.
    alone = [{"rows": 1, "a_pitch": 4}, {"columns": 1, "transpose": 1, "b_pitch": 2}, {"b_pitch": 2}]
    suite.run(suite.program([*start, *(suite.product(**fields) for fields in alone), HALT]), None)
    suite.add_good()
    suite.check(tmp_path)


def test_vector_errors(suite, tmp_path):
    start = [*suite.good[:-2], encode(Opcode.SYNC, engine=int(Engine.VECTOR), wait_matrix=1)]
    number = len(start)
    for opcode, names in ((Opcode.SOFTMAX, "xo"), (Opcode.LAYERNORM, "xro")):
        for name in names:
            for fields in ({f"{name}_slot": suite.tiles - 1}, {f"{name}_slot": FAR},
                           {f"{name}_pitch": suite.tiles - 22, "rows": 3}):
                suite.add_bad([*start, suite.make(opcode, **fields), HALT], "SLOT_RANGE", "VECTOR", number)
        for fields in ({"rows": 0}, {"columns": 0}):
            suite.add_bad([*start, suite.make(opcode), suite.make(opcode, **fields), HALT],
                          "ENGINE_FIELD", "VECTOR", number + 1)
    for count in (0, 2 * suite.config.tile + 1):
        suite.add_bad([*start, suite.make(Opcode.SOFTMAX, valid_columns=count), HALT], "ENGINE_FIELD", "VECTOR", number)
    for name in ("gamma", "beta"):
        suite.add_bad([*start, suite.make(Opcode.LAYERNORM, **{f"{name}_line": suite.lines - 1}), HALT],
                      "LINE_RANGE", "VECTOR", number)
    suite.check(tmp_path)


def test_each_cause(suite, tmp_path):
    """What the other tests leave out: each engine that waits, each buffer, each field, each window."""
    prepare, ready = suite.good[:5], len(suite.good[:5])
    for opcode in (Opcode.GATHER, Opcode.LAYERNORM):
        suite.add_bad([suite.make(opcode, wait_matrix=1), HALT], "WATCHDOG", "CONTROL", 0, watchdog=500)
    store = encode(Opcode.STORE, address=suite.memory.place(bytes(4096))[0], **STORE, wait_vector=1)
    waits = [encode(Opcode.SYNC, engine=int(engine), wait_matrix=1) for engine in (Engine.MEMORY, Engine.VECTOR)]
    for instruction in (store, *waits):
        suite.add_bad([instruction, HALT], "WATCHDOG", "CONTROL", 0, watchdog=500)
    for opcode in (Opcode.MATMUL, Opcode.LAYERNORM):
        suite.add_bad([suite.make(opcode, curve=suite.config.prune_curves + 1), HALT], "BAD_FIELD", "CONTROL", 0)
    short = {"buffer": int(Buffer.ACTIVATION), "address": suite.memory.place(b"\xff" * 512)[0], "bytes": 64}
    suite.add_bad([suite.load(**short), HALT], "LOAD_SHORT", "MEMORY", 0)
    for buffer in (Buffer.ACTIVATION, Buffer.VECTOR):
        suite.add_bad([suite.load(buffer=int(buffer), address=MEMORY_END), HALT], "BUS_READ", "MEMORY", 0)
    for fields in ({"b_slot": suite.weights}, {"b_buffer": 1, "b_slot": suite.tiles}):
        suite.add_bad([*prepare, suite.product(wait_memory=2, **fields), HALT], "SLOT_RANGE", "MATRIX", ready)

    # Windows that end before the data, or before the program.
    last = MEMORY_END - PAGE
    closed = {"registers": {"READ_LIMIT": last - 1}}
    loads = [suite.load(buffer=int(buffer), address=last) for buffer in Buffer]
    for instruction in (*loads, suite.make(Opcode.GATHER, indices=last)):
        suite.add_bad([suite.load(), instruction, HALT], "READ_WINDOW", "MEMORY", 1, **closed)
    outside = encode(Opcode.STORE, address=last, **STORE)
    suite.add_bad([suite.load(), outside, HALT], "WRITE_WINDOW", "MEMORY", 1, registers={"WRITE_LIMIT": last - 1})
    suite.add_bad([], "FETCH_WINDOW", "CONTROL", 0, address=last, length=2, **closed)
    suite.memory.place(bytes(-len(suite.memory.memory) % PAGE + PAGE - 64))
    start, _ = suite.memory.place(SYNC)
    suite.memory.place(SYNC)
    suite.add_bad([], "FETCH_WINDOW", "CONTROL", 1, address=start, length=3, registers={"READ_LIMIT": start + 63})

    # Bursts of one beat, first and last in a page: empty tiles.
    beat, page = suite.config.bus_width // 8, start + 64 + PAGE
    suite.memory.place(bytes(2 * PAGE))
    empty = {"buffer": int(Buffer.ACTIVATION), "slot": 90, "pitch": 1, "rows": 1, "columns": 1, "bytes": beat}
    program = [suite.make(Opcode.LOAD, **empty, address=page + place) for place in (0, PAGE - beat)]
    program += [encode(Opcode.STORE, slot=90, pitch=1, rows=1, columns=1, address=page + place) for place in (0, PAGE - beat)]
    suite.run(suite.program([*program, HALT]), None)
    suite.add_good()
    suite.check(tmp_path)


@pytest.mark.slow
def test_semaphores_of_each_pair(suite, tmp_path):
    """Tokens given, taken one and several at a time, awaited, and given until the counters of a producer are full."""
    def sync(engine, **fields):
        return encode(Opcode.SYNC, engine=int(engine), **fields)

    for producer in Engine:
        name = f"wait_{producer.name.lower()}"
        program = []
        for consumer in Engine:
            gives = [sync(producer, signal=1 << int(consumer))] * 4
            program += [*gives, sync(consumer, **{name: 2}), sync(consumer, **{name: 1}), sync(consumer, **{name: 1})]
            if consumer != producer:
                program += [sync(consumer, **{name: 3}), *gives[:3]]
        suite.run(suite.program([*program, HALT]), None)
        suite.add_good()
    for producer in Engine:
        suite.add_bad([sync(producer, signal=7)] * 4096 + [HALT], "SEMAPHORE_OVERFLOW", producer.name, 4095)
    for engine in Engine:
        waits = sync(engine, **{f"wait_{engine.name.lower()}": 1})
        suite.add_bad([waits, HALT], "WATCHDOG", "CONTROL", 0, watchdog=500)
    suite.check(tmp_path)


def test_reset_at_any_moment(suite, tmp_path):
    """Thresholds, fetch, loads, product, softmax, layer-norm: a soft reset breaks into all of them."""
    for cycles in (0, 1, *np.geomspace(20, 1500, 35)):
        cycles = round(cycles * suite.rng.uniform(0.9, 1.1))
        suite.add_cut(suite.good, cycles, look=cycles > 60)
    # While memory falls idle the engines go on; only long work is still under way when the reset comes.
    products = [*suite.good[:5], suite.product(wait_memory=2, batch=100)]
    again = {"x_pitch": 0, "r_pitch": 0, "o_pitch": 0, "rows": 400}  # One tile row, over and over.
    rows = [*suite.good[:6], suite.make(Opcode.SOFTMAX, wait_matrix=1, rows=80), suite.make(Opcode.LAYERNORM, **again)]
    for instructions in (products, rows):
        for _ in range(8):
            suite.add_cut(instructions, int(suite.rng.integers(1800, 3000)), look=True)
    seen = suite.check(tmp_path)
    looks = [run["before"] for run in seen if run.get("before") is not None]
    assert looks.count(pack(by_name("STATUS"), running=1)) >= 22, looks
