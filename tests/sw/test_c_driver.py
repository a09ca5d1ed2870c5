"""The C driver: compiled for this machine, with an accelerator in Python behind its port; and for a small RISC-V."""

import ctypes
import shutil
import subprocess
import zlib
from ctypes import byref, c_int32, c_size_t, c_uint32, c_uint64
from dataclasses import replace

import numpy as np
import pytest

from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.hw.spec.error_codes import ErrorCode, ErrorSource
from acceltran.hw.spec.isa import INSTRUCTION_BYTES, decode
from acceltran.hw.spec.registers import COUNTERS, CURVE_STRIDE, by_name, config_values, pack
from acceltran.sw.compiler import compile_buckets, compile_graph, compile_quantised, descriptor, quantise_encoder
from acceltran.sw.golden.tiles import to_stream
from acceltran.sw.host import driver
from acceltran.sw.host.c_headers import C_DRIVER, SOURCES, headers
from acceltran.sw.ir.execute import execute
from acceltran.sw.models.sentences import encode_texts
from acceltran.sw.models.tiny_encoder import random_texts, tiny_encoder
from acceltran.sw.models.tokens import Tokens
from support.c_driver import ERRORS, FLAGS, Bucket, CDriver, Fault, Output, Stripe, build_library
from support.machine import Machine
from support.register_model import ModelBus

NANO = replace(AcceleratorConfig.load("nano"), weight_tiles=512, vector_lines=512)
RISCV = "riscv64-unknown-elf-gcc"
_LARGEST = 9 << 10
"""Bytes of the driver for a small RISC-V, all functions and texts."""

needs_riscv = pytest.mark.skipif(not shutil.which(RISCV), reason=f"{RISCV} is not installed")


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return build_library(tmp_path_factory.mktemp("driver"))


@pytest.fixture(scope="module")
def encoders():
    checkpoint, _ = tiny_encoder(NANO, heads=2, words=(4,))
    texts = random_texts(3, 8, 32)
    return {bits: (checkpoint, quantise_encoder(checkpoint, replace(NANO, address_bits=bits), target_sparsity=0.25,
                                                calibration_texts=texts)) for bits in (32, 64)}


SENTENCES = {8: [2, 9, 10, 11, 3], 16: [2, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 3]}


@pytest.fixture(scope="module", params=[(32, False, 1), (64, True, 1), (64, False, 4)], ids=["", "wide-resident", "ports"])
def programs(request, encoders):
    bits, resident, ports = request.param
    config = replace(NANO, address_bits=bits, memory_ports=ports, weight_banks=ports)
    return compile_buckets(encoders[bits][1], config, SENTENCES, resident=resident)


class Board(CDriver):
    """Main memory with an image, and an accelerator in Python that runs what lies there."""

    def __init__(self, library, programs, *, base=0x8000_0000, room=None, interrupt=True):
        self.programs, self.base = programs, base
        super().__init__(library, ModelBus(programs[0].config), interrupt=interrupt)
        self.memory = (ctypes.c_uint32 * ((room or len(programs[0].image)) // 4))()
        self.machine = Machine(programs[0])
        self.bus.on_start = self._run
        assert self.probe() == "OK"

    def _run(self, bus):
        assert bus.base == self.base
        self.machine.bases = [bus.address(name) - self.base for name in (
            "MEMORY_BASE", *(f"PORT_BASE_{port}" for port in range(1, self.programs[0].config.memory_ports)))]
        self.machine.memory = bytearray(self.memory)
        self.machine.run_from(bus.get("PROGRAM_ADDRESS"), [])
        ctypes.memmove(self.memory, bytes(self.machine.memory), len(self.machine.memory))

    def attach(self, image=None):
        image = self.programs[0].image if image is None else image
        ctypes.memmove(self.memory, image, min(len(image), ctypes.sizeof(self.memory)))
        return self.call("attach", self.memory, c_size_t(ctypes.sizeof(self.memory)), c_uint64(self.base))


def wanted(encoder, program, ids):
    """What the golden model says to a sentence in a program's bucket: {output: its integers without padding}."""
    graph = encoder.build_graph([len(ids)], program.bucket.tokens, full=True)
    values, integers = execute(graph, [ids]), {}
    for name, output in program.outputs.items():
        tensor = values[output["tensor"]][: output["rows"] * graph.tile]
        rows = output["shape"][1] if len(output["shape"]) == 3 else 1
        groups = tensor.view(output["shape"][0], -1, tensor.shape[1])
        integers[name] = groups[:, :rows, : output["shape"][-1]].flatten().tolist()
    return integers


def test_any_sentence_runs_in_the_shortest_bucket_that_takes_it(library, programs, encoders):
    """In any order; the results are those of the golden model, and of a program for exactly that length."""
    config = programs[0].config
    _, encoder = encoders[config.address_bits]
    board = Board(library, programs, base=(5 << 32) + 4096 if config.address_bits == 64 else 0x8000_0000)
    assert board.attach() == "OK"
    rng = np.random.default_rng(1)
    for count in (12, 1, 8, 9, 16, 3, 16, 5):
        ids = rng.integers(0, 32, count).tolist()
        assert board.call("infer", ids, c_uint32(count), c_uint32(7)) == "OK"
        program = programs[count > 8]
        assert board.device.bucket == (count > 8)
        exact = compile_quantised(encoder, config, [ids], [count])
        same = execute(exact.graph, [ids])
        for name, integers in wanted(encoder, program, ids).items():
            output, seen = board.output(name)
            assert seen == integers and output.frac == program.outputs[name]["frac"]
            rows = same[exact.outputs[name]["tensor"]]
            if output.valid_rows == 1:
                assert seen == rows[0, : output.valid_columns].tolist()
            else:
                assert seen[: count * output.valid_columns] == rows[:count, : output.valid_columns].flatten().tolist()
    assert board.events.count(("wait", 7)) >= 8


def test_a_sentence_changes_its_tokens_and_lengths_and_nothing_else(library, programs):
    board, program = Board(library, programs), programs[1]
    assert board.attach() == "OK" and board.call("select_bucket", c_uint32(1), c_uint32(1)) == "OK"
    before = bytes(board.memory)
    board.events.clear()
    assert board.call("set_sentence", c_uint32(0), [2, 7, 3], c_uint32(3)) == "OK"
    after, changed = bytes(board.memory), set()
    numbers = np.concatenate([np.frombuffer(after, "<u4", run.count, run.offset) for run in program.bucket.runs])
    assert numbers.tolist() == [2, 7, 3, *[0] * 13]
    for number, _ in program.bucket.softmaxes:
        start = program.entry + INSTRUCTION_BYTES * number
        (_, old), (_, new) = (decode(raw[start: start + INSTRUCTION_BYTES]) for raw in (before, after))
        assert old["valid_columns"] == 12 and new == old | {"valid_columns": 3}
        changed |= set(range(start, start + INSTRUCTION_BYTES))
    changed |= {n for run in program.bucket.runs for n in range(run.offset, run.offset + 4 * run.count)}
    assert all(before[n] == after[n] for n in range(len(before)) if n not in changed)
    # All of it is written back to main memory.
    first = ctypes.addressof(board.memory)
    cleaned = {n for kind, address, size in board.events for n in range(address - first, address - first + size)}
    assert cleaned == changed and {event[0] for event in board.events} == {"clean"}


def test_what_cannot_be_run_is_refused(library, programs):
    board = Board(library, programs)
    assert board.call("set_sentence", c_uint32(0), [2], c_uint32(1)) == "NO_IMAGE"
    assert board.call("start") == "NO_IMAGE" and board.call("confine") == "NO_IMAGE"
    assert board.library.acceltran_bucket_count(byref(board.device)) == 0
    assert board.attach() == "OK"
    assert board.library.acceltran_bucket_count(byref(board.device)) == 2
    bucket, index = Bucket(), c_uint32(9)
    assert board.call("get_bucket", c_uint32(1), byref(bucket)) == "OK"
    assert (bucket.tokens, bucket.sentences, bucket.words, bucket.outputs, bucket.fixed) == (
        16, 1, 32, len(programs[1].outputs), False)
    assert board.call("get_bucket", c_uint32(2), byref(bucket)) == "NO_BUCKET"
    assert board.call("choose_bucket", c_uint32(17), byref(index)) == "NO_BUCKET" and index.value == 9
    assert board.call("choose_bucket", c_uint32(16), byref(index)) == "OK" and index.value == 1
    assert board.call("infer", [2] * 17, c_uint32(17), c_uint32(1)) == "NO_BUCKET"
    for sentence, ids, error in ((0, [], "BAD_SENTENCE"), (0, [2] * 9, "BAD_SENTENCE"), (1, [2], "BAD_SENTENCE"),
                                 (0, [2, 32], "BAD_TOKEN")):
        before = bytes(board.memory)
        assert board.call("set_sentence", c_uint32(sentence), ids, c_uint32(len(ids))) == error
        assert bytes(board.memory) == before
    assert board.output("nothing")[0] == "NO_OUTPUT"
    output = Output()
    name = next(iter(programs[0].outputs)).encode()
    assert board.call("find_output", name, byref(output)) == "OK" and output.name == name
    assert board.call("find_output", name[:-1], byref(output)) == "NO_OUTPUT"
    assert board.call("read_output", byref(output), (c_int32 * 1)(), c_size_t(1)) == "TOO_SMALL"


def test_a_program_with_masks_or_pairs_keeps_its_sentence(library, encoders):
    _, encoder = encoders[32]
    graph = encoder.build_graph([4], 8, tokens=[Tokens(places=(0, 1, 18, 19))])
    assert graph.fixed == "token types or positions"
    program = compile_graph(graph, NANO, [[2, 9, 10, 3]])
    board = Board(library, [program])
    assert board.attach() == "OK"
    assert board.call("set_sentence", c_uint32(0), [2], c_uint32(1)) == "FIXED_SENTENCE"
    assert board.call("run", c_uint32(1)) == "OK"
    tensor = execute(graph, [[2, 9, 10, 3]])
    name, place = next(iter(program.outputs.items()))
    assert board.output(name)[1][0] == int(tensor[place["tensor"]][0, 0])


def test_sentences_of_a_batch_change_one_by_one(library, encoders):
    """They lie one behind the other, of lengths of their own."""
    checkpoint, encoder = encoders[32]
    texts = random_texts(3, 7, 32)
    ids, lengths = encode_texts(checkpoint, [texts[0], "w1 w2", texts[2]])
    program = compile_quantised(encoder, NANO, ids, lengths)
    board = Board(library, [program])
    assert board.attach() == "OK"
    new = [[2, 4, 5, 3], [2, 8, 9, 10, 11, 12, 3], [2, 3]]
    for number, sentence in enumerate(new):
        assert board.call("set_sentence", c_uint32(number), sentence, c_uint32(len(sentence))) == "OK"
    assert board.call("set_sentence", c_uint32(1), [2] * 9, c_uint32(9)) == "BAD_SENTENCE"
    assert board.call("run", c_uint32(1)) == "OK"
    for number, sentence in enumerate(new):
        one = encoder.build_graph([len(sentence)], len(sentence))
        values = execute(one, [sentence])
        for name, place in program.outputs.items():
            output, seen = board.output(name)
            each = output.valid_rows * output.valid_columns
            rows = 1 if output.valid_rows == 1 else len(sentence)
            tensor = values[place["tensor"]]
            assert seen[number * each: number * each + rows * output.valid_columns] == tensor[
                :rows, : output.valid_columns].flatten().tolist()


def test_the_device_must_be_the_one_of_the_image(library, programs):
    board = Board(library, programs)
    for name, change, error in (("ID", 0, "NOT_FOUND"), ("VERSION", 0x00FF0000, "OTHER_VERSION")):
        old = board.bus.get(name)
        board.bus.set(name, change)
        assert board.probe() == error
        board.bus.set(name, old)
    board.bus.set("VERSION", board.bus.get("VERSION") + 1)
    assert board.probe() == "OK" and board.attach() == "OK"
    board.bus.set("CONFIG_IDENTITY", board.bus.get("CONFIG_IDENTITY") ^ 1)
    assert board.probe() == "OK" and board.attach() == "OTHER_CONFIGURATION"
    assert board.device.image is None and board.call("start") == "NO_IMAGE"


@pytest.mark.parametrize(("change", "error"), [
    (lambda raw: raw[:8], "BAD_IMAGE"), (lambda raw: b"\0" + raw[1:], "BAD_IMAGE"),
    (lambda raw: raw[:4] + b"\7" + raw[5:], "BAD_IMAGE"), (lambda raw: raw[:80] + b"\xff" + raw[81:], "BAD_IMAGE"),
    (lambda raw: raw[:12] + b"\xff" * 4 + raw[16:], "BAD_IMAGE"), (lambda raw: raw[: len(raw) // 2], "BAD_IMAGE"),
    (lambda raw: raw, "OK"),
])
def test_images_are_copied_where_they_are_whole(library, programs, change, error):
    board = Board(library, programs)
    raw = change(programs[0].image)
    source = (ctypes.c_uint32 * (len(raw) // 4 + 1)).from_buffer_copy(raw.ljust(4 * (len(raw) // 4 + 1), b"\0"))

    def load(room, base=0x8000_0000):
        return board.call("load", source, c_size_t(len(raw)), board.memory, c_size_t(room), c_uint64(base))

    room = ctypes.sizeof(board.memory)
    assert load(room) == error
    assert bytes(board.memory) == (raw if error == "OK" else bytes(room))
    if error == "OK":
        assert load(room - 1) == "IMAGE_TOO_LARGE"
        for base in (0x8000_0800, 4, (1 << 32) - 4096, 1 << 32):
            within = programs[0].config.address_bits == 64 and base % 4096 == 0
            assert load(room, base) == ("OK" if within else "BAD_BASE"), hex(base)
        assert board.call("load", ctypes.byref(source, 1), c_size_t(len(raw)), board.memory, c_size_t(room),
                          c_uint64(0)) == "BAD_BASE"


def test_attaching_writes_base_thresholds_and_interrupts(library, programs):
    config = programs[0].config
    for interrupt in (True, False):
        board = Board(library, programs, base=(3 << 32) + 8192 if config.address_bits == 64 else 8192, interrupt=interrupt)
        board.bus.log.clear()
        assert board.attach() == "OK"
        written = [entry[1:] for entry in board.bus.log if entry[0] == "write"]
        places = {"MEMORY_BASE": board.base} | {
            f"PORT_BASE_{port}": place for port, place in enumerate(programs[0].port_bases(board.base), 1)}
        base = [(f"{name}{half}", place >> shift & 0xFFFF_FFFF) for name, place in places.items()
                for half, shift in (("", 0), ("_HI", 32))[: config.address_bits // 32]]
        assert written == [*base, *((("CURVE", CURVE_STRIDE * c + n), value) for c, curve in enumerate(programs[0].curves)
                                    for n, value in enumerate(curve)),
                           ("TARGET_SPARSITY", programs[0].target), ("IRQ_ENABLE", 3 * interrupt)]
        assert programs[0].curves and ("clean", ctypes.addressof(board.memory), len(programs[0].image)) in board.events


def test_weights_of_a_port_may_lie_in_a_memory_of_its_own(library, programs):
    """Where each stripe is, and what the registers say when it has moved; what cannot be is refused."""
    board, (first, _) = Board(library, programs), programs[0].sections["weights"]
    stripe, ports = Stripe(), programs[0].config.memory_ports
    assert board.call("get_stripe", c_uint32(1), byref(stripe)) == "NO_IMAGE"
    assert board.attach() == "OK" and board.device.further_ports == ports - 1
    found = descriptor.read(programs[0].image)["stripes"]
    for port, entry in enumerate(found, 1):
        assert board.call("get_stripe", c_uint32(port), byref(stripe)) == "OK"
        assert (stripe.offset, stripe.bytes) == (entry["offset"], entry["bytes"]) == programs[0].sections[f"stripe_{port}"]
        place = (7 << 32) + first + (port << 20)
        assert board.call("place_stripe", c_uint32(port), c_uint64(place)) == "OK"
        assert board.bus.address(f"PORT_BASE_{port}") == place - first
        for wrong in (place + 64, first - 4096, (1 << 64) - 64):
            assert board.call("place_stripe", c_uint32(port), c_uint64(wrong)) == "BAD_BASE", hex(wrong)
    assert len(found) == ports - 1
    for port in (0, ports, 1 << 31):
        assert board.call("place_stripe", c_uint32(port), c_uint64(first)) == "NO_PORT"


def test_order_of_memory_caches_and_start(library, programs):
    board = Board(library, programs)
    assert board.attach() == "OK" and board.call("select_bucket", c_uint32(0), c_uint32(1)) == "OK"
    board.events.clear()
    assert board.call("infer", [2, 3], c_uint32(2), c_uint32(5)) == "OK"
    output, _ = board.output(next(iter(programs[0].outputs)))
    kinds = [event[0] for event in board.events]
    assert kinds == ["clean"] * (len(kinds) - 5) + ["barrier", "control", "wait", "barrier", "invalidate"] and len(kinds) > 5
    assert board.events[-1][1:] == (ctypes.addressof(board.memory) + output.offset, output.bytes)
    assert board.bus.get("IRQ_STATUS") == 0


def test_the_preload_runs_when_the_bucket_changes(library, programs):
    board = Board(library, programs)
    assert board.attach() == "OK"
    for count in (3, 5, 12, 3, 3):
        assert board.call("infer", [2] * count, c_uint32(count), c_uint32(1)) == "OK"
    runs = []
    for index, changed in ((0, True), (0, False), (1, True), (0, True), (0, False)):
        program = programs[index]
        if program.preload and changed:
            runs.append((program.preload["entry"], program.preload["instructions"]))
        runs.append((program.entry, len(program.instructions)))
    assert board.bus.ended == runs
    assert board.call("soft_reset", c_uint32(3)) == "OK"
    assert board.call("infer", [2], c_uint32(1), c_uint32(1)) == "OK"
    assert len(board.bus.ended) == len(runs) + (2 if programs[0].preload else 1)


@pytest.mark.parametrize("interrupt", [True, False])
def test_time_limits(library, programs, interrupt):
    board = Board(library, programs, interrupt=interrupt)
    assert board.attach() == "OK" and board.call("select_bucket", c_uint32(0), c_uint32(1)) == "OK"

    def hang(bus):
        bus.set("STATUS", pack(by_name("STATUS"), running=1))
        bus.set("IRQ_STATUS", 0)

    board.bus.on_start = hang
    board.bus.log.clear()
    assert board.call("run", c_uint32(20)) == "TIMEOUT"
    looks = board.bus.log.count(("read", "STATUS"))
    assert looks == (2 if interrupt else 22)
    assert board.call("start") == "BUSY" and board.call("finish", c_uint32(0)) == "TIMEOUT"
    board.bus.busy_polls = 3
    assert board.call("soft_reset", c_uint32(3)) == "TIMEOUT"
    board.bus.busy_polls = 3
    assert board.call("soft_reset", c_uint32(4)) == "OK"
    board.bus.on_start = lambda bus: None
    assert board.call("select_bucket", c_uint32(0), c_uint32(1)) == "OK" and board.call("run", c_uint32(1)) == "OK"


@pytest.mark.parametrize("code", [code for code in ErrorCode if code is not ErrorCode.NONE])
def test_faults_are_told_in_words(library, encoders, code):
    program = compile_buckets(encoders[32][1], NANO, {8: SENTENCES[8]})[0]
    board = Board(library, [program])
    assert board.attach() == "OK"
    board.bus.on_start = lambda bus: bus.stop(code, ErrorSource.VECTOR, 17)
    assert board.call("run", c_uint32(1)) == "FAULT"
    fault = Fault()
    library.acceltran_get_fault(byref(board.device), byref(fault))
    assert (fault.code, fault.instruction, fault.engine) == (code, 17, ErrorSource.VECTOR)
    assert library.acceltran_fault_text(fault.code).decode() == code.doc
    assert library.acceltran_engine_text(fault.engine) == b"vector"
    assert board.call("start") == "BUSY" and board.call("soft_reset", c_uint32(1)) == "OK"


def test_every_number_has_a_text(library):
    texts = [library.acceltran_error_text(number).decode() for number in range(len(ERRORS))]
    assert len(set(texts)) == len(texts) and texts[-1] == "unknown error" and ERRORS[-1] == "ERRORS"
    assert all(": " in text for text in texts[1:-1]), "every refusal names its remedy"
    assert library.acceltran_error_text(99) == b"unknown error"
    assert [library.acceltran_fault_text(code).decode() for code in ErrorCode] == [code.doc for code in ErrorCode]
    assert library.acceltran_fault_text(0x1F) == b"unknown code" and library.acceltran_engine_text(9) == b"unknown engine"


def test_windows_attributes_and_lock(library, programs):
    board, wide = Board(library, programs), programs[0].config.address_bits == 64
    assert board.attach() == "OK" and board.call("confine") == "OK"
    size = len(programs[0].image)
    for name in ("READ", "WRITE"):
        assert board.bus.get(f"{name}_BASE") == 0x8000_0000 and board.bus.get(f"{name}_LIMIT") == 0x8000_0000 + size - 1
    assert board.call("set_read_window", c_uint64(0), c_uint64(1 << 32)) == "OK"
    assert (board.bus.get("READ_BASE"), board.bus.get("READ_LIMIT")) == (0, 0xFFFF_FFFF)
    for first, count in ((1, 4096), (0, 4095), (0, 0), (4096, (1 << 64) - 4096)):
        assert board.call("set_write_window", c_uint64(first), c_uint64(count)) == (
            "OK" if wide and first == 4096 and count > 1 << 32 else "BAD_WINDOW")
    beyond = board.call("set_write_window", c_uint64(7 << 32), c_uint64(4096))
    assert beyond == ("OK" if wide else "BAD_WINDOW")
    if wide:
        assert (board.bus.get("WRITE_BASE_HI"), board.bus.get("WRITE_LIMIT_HI"), board.bus.get("WRITE_LIMIT")) == (7, 7, 4095)
    assert board.call("set_attributes", c_uint32(2), c_uint32(15)) == "OK"
    assert board.call("set_attributes", c_uint32(8), c_uint32(15)) == "BAD_VALUE"
    assert board.call("set_attributes", c_uint32(2), c_uint32(16)) == "BAD_VALUE"
    assert board.bus.get("BUS_ATTRIBUTES") == pack(by_name("BUS_ATTRIBUTES"), prot=2, cache=15)
    library.acceltran_lock(byref(board.device))
    assert board.call("set_read_window", c_uint64(0), c_uint64(4096)) == "LOCKED" == board.call("confine")
    assert board.call("set_attributes", c_uint32(0), c_uint32(0)) == "LOCKED"


def test_a_scrub_leaves_nothing_attached(library, programs):
    board = Board(library, programs)
    assert board.attach() == "OK" and board.call("scrub", c_uint32(2)) == "OK"
    assert ("control", driver.SCRUB) in board.events and board.call("start") == "NO_IMAGE"
    board.bus.busy_polls = 9
    assert board.call("scrub", c_uint32(2)) == "TIMEOUT"


def test_counters_and_watchdog(library, programs):
    board = Board(library, programs)
    library.acceltran_set_watchdog(byref(board.device), c_uint32(99))
    assert board.bus.get("WATCHDOG") == 99
    for number, (name, _) in enumerate(COUNTERS):
        offset = by_name(f"{name.upper()}_LO").offset
        assert library.acceltran_read_counter(byref(board.device), c_uint32(offset)) == (number + 1) << 32 | 1000 + number
    board.bus.set("IRQ_STATUS", 3)
    library.acceltran_acknowledge(byref(board.device))
    assert board.bus.get("IRQ_STATUS") == 0


@pytest.mark.parametrize("width", [8, 9, 10, 12, 16, 18, 20, 23, 24])
@pytest.mark.parametrize("tile", [8, 16])
def test_packed_tiles_are_those_of_the_golden_functions(library, tile, width):
    rng = np.random.default_rng(width)
    rows, columns = 3, 2
    matrix = rng.integers(-(1 << (width - 1)), 1 << (width - 1), (rows * tile, columns * tile)).astype(np.int32)
    matrix[0, 0], matrix[0, 1] = -(1 << (width - 1)), (1 << (width - 1)) - 1
    matrix *= rng.random(matrix.shape) < np.repeat(rng.choice([0, 0.05, 0.5, 1], (rows, columns)), tile, 0).repeat(tile, 1)
    stream = to_stream(matrix, tile, width)
    room = (ctypes.c_uint8 * (len(stream) + 8))(*[0xA5] * (len(stream) + 8))
    used, numbers = c_size_t(), (c_int32 * matrix.size)(*matrix.flatten().tolist())

    def packed(capacity):
        return ERRORS[library.acceltran_pack(tile, width, numbers, rows, columns, room, c_size_t(capacity), byref(used))]

    assert packed(len(stream)) == "OK"
    assert used.value == len(stream) and bytes(room)[: len(stream)] == stream and bytes(room)[len(stream):] == b"\xa5" * 8
    assert packed(len(stream) - 1) == "TOO_SMALL"
    seen = (c_int32 * matrix.size)(*[7] * matrix.size)

    def unpacked(count, capacity=matrix.size):
        return ERRORS[library.acceltran_unpack(tile, width, stream, c_size_t(count), rows, columns, seen, c_size_t(capacity))]

    assert unpacked(len(stream)) == "OK" and list(seen) == matrix.flatten().tolist()
    assert unpacked(len(stream) - 1) == "BAD_TILES" and unpacked(len(stream), matrix.size - 1) == "TOO_SMALL"
    for beyond in (1 << (width - 1), -(1 << (width - 1)) - 1):
        numbers[5] = beyond
        assert packed(len(stream) + 8) in ("BAD_VALUE",)


def test_the_descriptor_is_that_of_the_programs(programs):
    found, first = descriptor.read(programs[0].image), programs[0]
    assert found["image_bytes"] == len(first.image) and found["target_sparsity"] == first.target
    assert found["identity"] == config_values(first.config)["CONFIG_IDENTITY"] and found["curves"] == first.curves
    assert (found["tile"], found["width"], found["bus_bytes"]) == (first.config.tile, first.config.width,
                                                                   first.config.bus_width // 8)
    for bucket, program in zip(found["buckets"], programs, strict=True):
        assert (bucket["tokens"], bucket["entry"], bucket["instructions"]) == (
            program.bucket.tokens, program.entry, len(program.instructions))
        assert [(one["instruction"], one["sentence"]) for one in bucket["patches"]] == list(program.bucket.softmaxes)
        assert [(one["name"], one["offset"], one["bytes"], one["frac"]) for one in bucket["outputs"]] == [
            (name, output["address"], output["bytes"], output["frac"]) for name, output in program.outputs.items()]
    raw = bytearray(first.image[: found["descriptor_bytes"]])
    checksum = int.from_bytes(raw[8:12], "little")
    raw[8:12] = bytes(4)
    assert zlib.crc32(raw) == checksum


@pytest.mark.parametrize("name", headers())
def test_generated_headers_are_up_to_date(name):
    assert (C_DRIVER / name).read_text() == headers()[name], "run python -m acceltran.sw.host.c_headers"
    assert {path.name for path in C_DRIVER.iterdir()} == {*headers(), *SOURCES}


@needs_riscv
@pytest.mark.parametrize("arch", ["rv32im", "rv32i"])
def test_it_needs_no_library_and_little_room(tmp_path, arch):
    """A call of memcpy would be one of a library; products and quotients of rv32i are functions of the compiler's own."""
    own = {"__mulsi3", "__udivsi3", "__umodsi3"} if arch == "rv32i" else set()
    for optimise in ("-O3", "-Os"):
        whole = tmp_path / "driver.o"
        subprocess.run([RISCV, *FLAGS, f"-march={arch}", "-mabi=ilp32", optimise, "-ffreestanding", "-c",
                        C_DRIVER / "acceltran.c", "-o", whole], check=True)
        seen = subprocess.run(["riscv64-unknown-elf-nm", "-u", whole], check=True, capture_output=True, text=True).stdout
        assert {name for name in seen.split() if name != "U"} <= own
    sizes = subprocess.run(["riscv64-unknown-elf-size", whole], check=True, capture_output=True, text=True).stdout.splitlines()
    text, data, bss = map(int, sizes[1].split()[:3])
    assert data == bss == 0
    if arch == "rv32im":
        assert text <= _LARGEST


@pytest.mark.parametrize("compiler", ["gcc", "g++"])
def test_the_header_stands_alone(tmp_path, compiler):
    """Also in C++."""
    if not shutil.which(compiler):
        pytest.skip(f"{compiler} is not installed")
    (tmp_path / "a.c").write_text('#include "acceltran.h"\nint main(void) { return ACCELTRAN_OK; }\n')
    flags = FLAGS if compiler == "gcc" else FLAGS[1:]
    subprocess.run([compiler, *flags, "-I", C_DRIVER, "-c", tmp_path / "a.c", "-o", tmp_path / "a.o"], check=True)
