"""A stream on the RTL: while one batch is computed, the embeddings of the next one overwrite its own."""

from dataclasses import replace

import pytest

from acceltran.hw.spec.isa import INSTRUCTION_BYTES, Opcode, encode
from acceltran.sim.inference import compare_tensors
from acceltran.sim.system import simulate_programs
from acceltran.sw.compiler import compile_quantised, quantise_encoder
from acceltran.sw.compiler.bucket import sentence_writes
from acceltran.sw.ir.execute import execute
from acceltran.sw.models.tiny_encoder import random_texts, tiny_encoder
from support.configs import CONFIGS

CONFIG = CONFIGS["four_pes"]
BATCHES = ([[2, 9, 10, 3], [2, 11, 3]], [[2, 5, 6, 3], [2, 7, 3]])
LENGTHS = [4, 3]


def gathering_from_behind(program, tokens):
    """The program and its image, with `tokens` behind it, which the program gathers; the preload keeps its own."""
    (first, raw), *_ = sentence_writes(program, BATCHES[0], tokens).items()
    end = len(program.image)
    image = bytearray(program.image + raw)
    instructions = list(program.instructions)
    for number, (opcode, fields) in enumerate(instructions):
        if opcode is Opcode.GATHER:
            instructions[number] = opcode, fields | {"indices": fields["indices"] - first + end}
            at = program.entry + number * INSTRUCTION_BYTES
            image[at: at + INSTRUCTION_BYTES] = encode(*instructions[number][:1], **instructions[number][1])
    return replace(program, image=bytes(image), instructions=instructions)


@pytest.mark.parametrize("latency", [0, 400])
def test_the_next_batch_is_fetched_while_this_one_is_computed(latency, tmp_path):
    checkpoint, _ = tiny_encoder(CONFIG, heads=2, words=(4,))
    encoder = quantise_encoder(checkpoint, CONFIG, target_sparsity=0.25, calibration_texts=random_texts(2, 5, 32))
    ids = [[one + [0] * (8 - len(one)) for one in batch] for batch in BATCHES]
    program = compile_quantised(encoder, CONFIG, ids[0], LENGTHS, resident=True, prefetch=True)
    program = gathering_from_behind(program, BATCHES[1])
    run = [program.entry, len(program.instructions)]
    _, first, second = simulate_programs(
        CONFIG, program.image, [[*program.preload.values()], run, run], folder=tmp_path, curves=program.curves,
        target=program.target, latency=latency, memory_bits=20)
    for seen, tokens in ((first, ids[0]), (second, ids[1])):
        golden = execute(encoder.build_graph(LENGTHS, 8), tokens)
        mismatches = compare_tensors(CONFIG, program, seen, golden)
        assert not seen.error
        assert not {name: count for name, count in mismatches.items() if "main memory" not in name}
    assert not mismatches, "what the second stored, too"
