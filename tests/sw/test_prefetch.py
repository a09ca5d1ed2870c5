"""Embeddings of the next run that a program fetches while it computes."""

from dataclasses import replace

import pytest

from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.hw.spec.isa import Opcode
from acceltran.sw.compiler import (
    CapacityError,
    CompileError,
    compile_buckets,
    compile_quantised,
    descriptor,
    load_program,
    quantise_encoder,
    save_programs,
)
from acceltran.sw.compiler.bucket import sentence_writes
from acceltran.sw.ir.execute import execute
from acceltran.sw.models.checkpoint import load_checkpoint
from support.machine import Machine
from support.models import make_checkpoint

CONFIG = replace(AcceleratorConfig.load("nano"), activation_banks=4, softmax_units=2, weight_tiles=512, vector_lines=512)
COLUMNS = 24
STREAM = tuple([[seed + number for number in range(length)] for length in lengths]
               for seed, lengths in enumerate(([20, 17, 24], [24, 19, 18], [17, 20, 23])))
"""Batches of three sentences, each of three tile rows."""


def padded(sentences):
    return [one + [0] * (COLUMNS - len(one)) for one in sentences]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return quantise_encoder(load_checkpoint(make_checkpoint(tmp_path_factory.mktemp("model"))), CONFIG, target_sparsity=0.3)


def compiled(encoder, **options):
    return compile_quantised(encoder, CONFIG, padded(STREAM[0]), [len(one) for one in STREAM[0]], resident=True, prefetch=True,
                             **options)


def write(machine, *sentences):
    for offset, raw in sentence_writes(machine.program, *sentences).items():
        machine.memory[offset: offset + len(raw)] = raw


@pytest.mark.parametrize("options", [{}, {"overlap": False}], ids=["planned", "alone"])
@pytest.mark.parametrize("seed", range(3))
def test_each_run_computes_what_the_one_before_fetched(encoder, options, seed):
    program = compiled(encoder, **options)
    machine = Machine(program, seed)
    write(machine, STREAM[0], STREAM[0])
    machine.run_from(program.preload["entry"], [])
    for sentences, following in zip(STREAM, (*STREAM[1:], STREAM[0]), strict=True):
        write(machine, sentences, following)
        golden = execute(encoder.build_graph([len(one) for one in sentences], COLUMNS), padded(sentences))
        machine.seen.clear()
        machine.run_from(program.entry, [(name, piece) for name, piece in machine.pieces() if piece["steps"]])
        assert len(machine.seen) == len(golden) - 2, "all but words and positions"
        assert all((values == golden[name]).all() for name, values in machine.seen.items())


def test_the_gathers_run_beside_the_products(encoder):
    program = compiled(encoder)
    opcodes = [opcode for opcode, _ in program.instructions]
    assert opcodes.count(Opcode.GATHER) and opcodes.index(Opcode.GATHER) < len(opcodes) // 2
    assert not program.tensors["embeddings.word"]["pieces"][0]["steps"], "this run's are there when it starts"
    assert program.bucket.prefetch and not compiled_plainly(encoder).bucket.prefetch


def compiled_plainly(encoder):
    return compile_quantised(encoder, CONFIG, [[5, 9, 7]], [3], resident=True)


def test_the_sentences_that_follow_must_be_named(encoder, tmp_path):
    program = compiled(encoder)
    save_programs([program], tmp_path)
    for one in (program, load_program(tmp_path)):
        with pytest.raises(CompileError, match="following: the program fetches the sentences of its next run; name them too"):
            sentence_writes(one, STREAM[0])
        with pytest.raises(CompileError, match="sentences = 1: the program runs 3"):
            sentence_writes(one, STREAM[0], [[5]])
    with pytest.raises(CompileError, match="following: the program fetches its own sentences; leave out"):
        sentence_writes(compiled_plainly(encoder), [[5]], [[6]])
    (bucket,) = descriptor.read(program.image)["buckets"]
    assert bucket["fixed"] == 1, "the driver in C changes sentences of programs that fetch their own"


def test_buckets_can_prefetch(encoder):
    program, _ = compile_buckets(encoder, CONFIG, {8: [5, 6, 7], 16: [5] * 12}, resident=True, prefetch=True)
    machine = Machine(program)
    machine.run()
    golden = execute(encoder.build_graph([3], 8, full=True), [[5, 6, 7]])
    assert all((values == golden[name]).all() for name, values in machine.seen.items())


def test_what_cannot_be_prefetched_is_refused(encoder):
    with pytest.raises(CompileError, match="prefetch: .* give resident too"):
        compile_quantised(encoder, CONFIG, [[5]], [1], prefetch=True)
    small = replace(CONFIG, activation_tiles=40)
    with pytest.raises(CapacityError, match="activation_tiles"):
        compile_quantised(replace(encoder, hardware=small), small, [[5] * 24] * 2, [24, 24], resident=True, prefetch=True)
