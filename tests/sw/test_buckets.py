"""Programs for sentences of any length in one image: bit for bit what a program for exactly that sentence gives."""

import subprocess
from dataclasses import replace

import numpy as np
import pytest

from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.hw.spec.isa import Opcode
from acceltran.sim.expectation import expectation
from acceltran.sw.compiler import (
    CompileError,
    bucket_tokens,
    compile_buckets,
    compile_quantised,
    descriptor,
    load_program,
    load_programs,
    quantise_encoder,
    save_programs,
)
from acceltran.sw.compiler.bucket import choose, sentence_writes, with_sentences
from acceltran.sw.host import driver, perform
from acceltran.sw.ir.execute import execute, golden_run
from acceltran.sw.models.answers import answers_of
from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.sentences import Sentence, encode_sentences
from acceltran.sw.models.tokens import Tokens
from support.configs import CONFIGS
from support.machine import Machine
from support.models import make_checkpoint
from support.reference import make_reference
from support.register_model import ModelBus
from support.task_models import make_task_model

NANO = AcceleratorConfig.load("nano")
FAMILIES = {"bert": "two-labels", "distilbert": "base", "roberta": "two-labels", "xlm-roberta": "multi-label",
            "camembert": "regression", "electra": "tokens", "albert": "base", "mpnet": "five-labels"}
"""Kind of model of each family."""


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    checkpoint = load_checkpoint(make_checkpoint(tmp_path_factory.mktemp("model"), layers=1))
    return quantise_encoder(checkpoint, NANO, target_sparsity=0.3)


def sentence(count, seed=0, words=60):
    return np.random.default_rng(seed).integers(5, words, count).tolist()


def runs_right(programs, encoder, sentences):
    """Every tensor of each program equals the golden model's; its valid results equal those of a program for the sentence."""
    changed = with_sentences(programs, [[ids] for ids in sentences])
    for program, ids in zip(changed, sentences, strict=True):
        golden = golden_run(encoder.build_graph([len(ids)], program.bucket.tokens, full=True), [ids], [len(ids)])
        machine = Machine(program)
        machine.run()
        assert machine.seen.keys() == golden.keys()
        assert all((machine.seen[name] == tensor).all() for name, tensor in golden.items())
        exact = compile_quantised(encoder, program.config, [ids], [len(ids)])
        same = execute(exact.graph, [ids])
        for name, place in program.outputs.items():
            rows = len(ids) if len(place["shape"]) == 3 else 1
            assert (machine.seen[place["tensor"]][:rows] == same[exact.outputs[name]["tensor"]][:rows]).all(), name


@pytest.mark.parametrize("family", FAMILIES)
def test_sentences_of_every_family(family, tmp_path):
    """Also where padding is not token 0, where positions do not begin at 0, and with a bias of distances."""
    folder, _ = make_reference(tmp_path, family, FAMILIES[family], seed=1, fields={
        "hidden_size": 16, "intermediate_size": 20, "num_hidden_layers": 2 if family == "albert" else 1})
    config = replace(CONFIGS["four_pes"], activation_tiles=1024)
    encoder = quantise_encoder(load_checkpoint(folder), config, target_sparsity=0.2)
    words = encoder.constants[encoder.parts.tables[0].name][0].shape[0]
    programs = compile_buckets(encoder, config, {8: sentence(5, words=words), 24: sentence(20, words=words)})
    assert all(program.bucket.fixed is None and program.bucket.words == words for program in programs)
    runs_right(programs, encoder, [sentence(3, 1, words), sentence(17, 2, words)])
    runs_right(programs, encoder, [sentence(8, 3, words), sentence(1, 4, words)])


@pytest.mark.parametrize("options", [{}, {"resident": True}, {"overlap": False}])
def test_an_image_holds_weights_and_tables_once(encoder, options):
    config = replace(NANO, weight_tiles=512, vector_lines=512) if options.get("resident") else NANO
    encoder = replace(encoder, hardware=config)
    sentences = {size: sentence(size) for size in (8, 16, 24)}
    programs = compile_buckets(encoder, config, sentences, **options)
    assert len({id(program.image) for program in programs}) == 1 and all(p.sections == programs[0].sections for p in programs)
    runs_right(programs, encoder, [sentence(7, 1), sentence(9, 2), sentence(20, 3)])
    alone = compile_buckets(encoder, config, {24: sentences[24]}, **options)[0]
    for name in ("weights", "vectors", "tables"):
        assert programs[0].sections[name][1] == alone.sections[name][1], name


def test_a_bucket_is_of_whole_tiles_up_to_the_positions(encoder):
    assert [bucket_tokens(encoder.model, NANO, wanted) for wanted in (1, 8, 9, 31, 32)] == [8, 8, 16, 32, 32]
    narrow = replace(encoder.model, position_rows=12)
    assert [bucket_tokens(narrow, NANO, wanted) for wanted in (3, 9, 12, 13)] == [8, 12, 12, 13]
    with pytest.raises(CompileError, match="has 40 tokens, max_position_embeddings is 32: shorten it"):
        compile_buckets(encoder, NANO, {40: [5]})


def test_the_shortest_bucket_is_chosen(encoder):
    programs = compile_buckets(encoder, NANO, {16: [5], 8: [6]})
    assert [program.bucket.tokens for program in programs] == [8, 16]
    assert [choose(programs[::-1], count).bucket.tokens for count in (1, 8, 9, 16)] == [8, 8, 16, 16]
    with pytest.raises(CompileError, match="has 17 tokens, and the longest bucket 16: shorten it"):
        choose(programs, 17)
    for sentences, message in (
        ([], "runs 1; give as many"), ([[5], [5]], "runs 1"), ([[]], "has 0 tokens, and there is room for 1 to 8"),
        ([[5] * 9], "has 9 tokens, and there is room for 1 to 8"), ([[5, 64]], "outside the model's 64 words"),
        ([[-1]], "outside"),
    ):
        with pytest.raises(CompileError, match=message) as error:
            sentence_writes(programs[0], sentences)
        assert "\n" not in str(error.value)


def test_what_is_compiled_in_keeps_its_sentence(encoder, tmp_path):
    """Token types and places, and masked tokens."""
    pair = compile_quantised(encoder, NANO, [[5, 6, 7]], [3], tokens=[Tokens(places=(0, 1, 34))])
    checkpoint = load_checkpoint(make_task_model(tmp_path, "fill-mask"))
    masks = quantise_encoder(checkpoint, NANO)
    batch = encode_sentences(checkpoint, [Sentence("w1 [MASK] w2")])
    masked = compile_quantised(masks, NANO, batch.ids, batch.lengths, tokens=batch.tokens)
    for program, what in ((pair, "token types or positions"), (masked, "masked tokens")):
        with pytest.raises(CompileError, match=f"knows the {what} of the sentence that it was compiled for: compile the other"):
            sentence_writes(program, [[5]])
        (bucket,) = descriptor.read(program.image)["buckets"]
        assert bucket["fixed"] == 1 and bucket["run_count"] == bucket["patch_count"] == 0


def test_a_program_without_buckets_runs_other_sentences_too(encoder):
    """As long as the whole tiles of the one that it was compiled for; padding behind stays what it was."""
    program = compile_quantised(encoder, NANO, [[*sentence(5), *[1] * 19]], [5])
    assert program.image == compile_quantised(encoder, NANO, [[*sentence(5), *[0] * 19]], [5]).image, "padding is token 0"
    assert program.bucket.tokens == 8 and program.graph.sequence == 24
    ids = sentence(8, 1)
    changed = with_sentences([program], [[ids]])[0]
    machine = Machine(changed)
    machine.run()
    golden = execute(encoder.build_graph([8], 24), [ids])
    assert all((machine.seen[name] == tensor).all() for name, tensor in golden.items())


def test_the_driver_of_python_sets_sentences(encoder):
    programs = compile_buckets(encoder, NANO, {8: sentence(8), 16: sentence(16)})
    bus, base, machine = ModelBus(NANO, memory_bytes=2 << 20), 1 << 20, Machine(programs[0])

    def compute(bus):
        machine.memory = bus.memory[base:]
        machine.run_from(bus.get("PROGRAM_ADDRESS"), [])
        bus.memory[base:] = machine.memory

    bus.on_start = compute
    perform(bus, driver.load_program(programs[0], base=base, limit=1.0))
    assert bus.base == base
    for count in (3, 12, 8, 1):
        ids, program = sentence(count, count), choose(programs, count)
        perform(bus, driver.set_sentences(program, [ids], base=base))
        perform(bus, driver.run_program(program, limit=1.0))
        golden = execute(encoder.build_graph([count], program.bucket.tokens, full=True), [ids])
        integers, _ = perform(bus, driver.read_output(program, "logits", base=base))
        assert (integers == golden["logits"][: len(integers)]).all()


@pytest.fixture
def saved(tmp_path):
    checkpoint = load_checkpoint(make_checkpoint(tmp_path / "model", hidden=16, heads=1, layers=1, ffn=16, labels=3))
    encoder = quantise_encoder(checkpoint, NANO)
    batches = {size: encode_sentences(checkpoint, [Sentence("w1 w2 w3 w4 w5 w6 w7 w8 w9")], longest=size) for size in (8, 16)}
    programs = []
    for program, batch in zip(compile_buckets(encoder, NANO, {size: batch.encoded[0].ids for size, batch in batches.items()},
                                              base=1 << 20), batches.values(), strict=True):
        golden = execute(program.graph, batch.ids)
        programs.append(replace(program, expected=expectation(
            program, golden, fidelity={}, answers=answers_of(checkpoint, batch, tile=NANO.tile))))
    manifest = save_programs(programs, tmp_path / "program")
    return programs, manifest, tmp_path / "program"


def test_save_and_load(saved):
    programs, manifest, folder = saved
    assert [replace(one, graph=program.graph) for one, program in zip(load_programs(folder), programs, strict=True)] == programs
    assert load_program(folder).bucket.tokens == 16 and load_program(folder, 8).bucket.tokens == 8
    assert sorted(path.name for path in folder.iterdir()) == [
        "image.bin", "manifest.json", "model.h", "program-16.bin", "program-8.bin", "results-16.bin", "results-8.bin"]
    save_programs(programs[:1], folder)
    assert sorted(path.name for path in folder.glob("*.bin")) == ["image.bin", "program.bin", "results.bin"]
    softmax = next(one for one in manifest["instructions"]["operations"] if one["name"] == "SOFTMAX")
    (field,) = [one for one in softmax["fields"] if one["name"] == "valid_columns"]
    found = descriptor.read(programs[0].image)
    assert (found["valid_columns_bit"], found["valid_columns_bits"]) == (field["low"], field["bits"])
    assert found["identity"] == manifest["identity"] and manifest["base"] == 1 << 20


def test_the_header_of_a_model(saved, tmp_path):
    """What a C compiler makes of it: labels, buckets, token numbers and results."""
    programs, _, folder = saved
    (tmp_path / "show.c").write_text(r"""
#include <stdio.h>
#include "model.h"
#define BUCKET(number, tokens, sentences) printf("bucket %d %u %u\n", number, tokens, sentences);
#define SHOW(name, count) for (unsigned n = 0; n < count; n++) printf("%d ", (int)name[n]); puts("");
int main(void)
{
    printf("%u %u %llx\n", ACCELTRAN_MODEL_IMAGE_BYTES, ACCELTRAN_MODEL_MOST_TOKENS, (unsigned long long)ACCELTRAN_MODEL_BASE);
    ACCELTRAN_MODEL_BUCKET_LIST(BUCKET)
    for (unsigned n = 0; n < ACCELTRAN_MODEL_LABELS; n++) puts(acceltran_model_labels[n]);
    SHOW(acceltran_model_0_tokens_0, ACCELTRAN_MODEL_0_TOKENS_0_COUNT)
    SHOW(acceltran_model_1_tokens_0, ACCELTRAN_MODEL_1_TOKENS_0_COUNT)
    SHOW(acceltran_model_0_logits, ACCELTRAN_MODEL_0_LOGITS_COUNT)
    SHOW(acceltran_model_1_logits, ACCELTRAN_MODEL_1_LOGITS_COUNT)
    return 0;
}
""")
    subprocess.run(["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-I", folder, tmp_path / "show.c", "-o",
                    tmp_path / "show"], check=True)
    lines = subprocess.run([tmp_path / "show"], check=True, capture_output=True, text=True).stdout.split("\n")
    assert lines[:6] == [f"{len(programs[0].image)} 16 100000", "bucket 0 8 1", "bucket 1 16 1", "class0", "class1", "class2"]
    numbers = [list(map(int, line.split())) for line in lines[6:10]]
    assert numbers[0][1:-1] == [6, 7, 8, 9, 10, 11] and numbers[1][1:-1] == [6, 7, 8, 9, 10, 11, 12, 13, 14]
    for program, logits in zip(programs, numbers[2:], strict=True):
        wanted = program.expected.integers("logits", program.outputs["logits"]["columns"] * NANO.tile)
        assert logits == wanted[0, :3].tolist()


def test_only_lengths_tell_programs_of_one_bucket_apart(encoder):
    """Everything else that depends on a sentence lies outside its instructions."""
    short, long = (compile_buckets(encoder, NANO, {16: sentence(count)})[0] for count in (3, 16))
    assert len(short.instructions) == len(long.instructions)
    for (opcode, fields), (other, others) in zip(short.instructions, long.instructions, strict=True):
        different = {name for name in fields if fields[name] != others[name]}
        assert opcode is other and different == ({"valid_columns"} if opcode is Opcode.SOFTMAX else set())
