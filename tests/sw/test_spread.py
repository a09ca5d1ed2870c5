"""Batches spread over clusters: what each runs, what is refused, files, and programs run tile by tile."""

import random
import re
from dataclasses import replace

import pytest

from acceltran.hw.spec.isa import Buffer, Opcode
from acceltran.sim.expectation import expectation
from acceltran.sw.compiler import CompileError, compile_buckets, load_program, quantise_encoder, save_programs
from acceltran.sw.compiler.compile import compile_quantised
from acceltran.sw.compiler.disassemble import disassemble
from acceltran.sw.ir.execute import execute, golden_run, results
from acceltran.sw.models.answers import answers_of
from acceltran.sw.models.build_encoder import build_graph
from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.sentence import Sentence
from acceltran.sw.models.sentences import encode_sentences
from support.configs import CLUSTERS
from support.machine import Machine
from support.models import make_checkpoint, random_texts
from support.task_models import make_task_model

TWO = replace(CLUSTERS[2], memory_ports=1)
EIGHT = replace(CLUSTERS[4], name="eight_clusters", clusters=8, grid_rows=8, softmax_units=8, layernorm_units=8)
CONFIGS = {"two": TWO, "striped": CLUSTERS[2], "four": CLUSTERS[4], "eight": EIGHT}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return load_checkpoint(make_checkpoint(tmp_path_factory.mktemp("model"), hidden=16, ffn=20, labels=3))


@pytest.fixture(scope="module")
def encoder(checkpoint):
    return quantise_encoder(checkpoint, TWO, weight_sparsity=0.3, tau=0.02)


def sentences(rng, count, most=20):
    return [Sentence(random_texts(1, rng.randint(1, most), seed=rng.randrange(1000))[0]) for _ in range(count)]


def compiled(checkpoint, encoder, config, texts, length=None, **options):
    """A program of texts, and what it must give."""
    batch = encode_sentences(checkpoint, texts, length)
    program = compile_quantised(encoder, config, batch.ids, batch.lengths, tokens=batch.tokens, **options)
    return program, golden_run(program, batch.ids, batch.lengths), batch


def check(program, golden, seeds=(0,)):
    """Tile by tile, in the buffer of each cluster, and in main memory."""
    for seed in seeds:
        machine = Machine(program, seed)
        machine.run()
        assert machine.seen.keys() == program.tensors.keys()
        # Clusters of one sentence take its first tile row from where it is.
        assert golden.keys() - machine.seen.keys() <= {"pooler.input", "head.input"}
        assert not [name for name, value in machine.seen.items() if not golden[name].equal(value)]
        for name, floats in results(program.graph, golden).items():
            integers, found = program.result(name, bytes(machine.memory))
            assert found.equal(floats) and integers.equal(golden[program.outputs[name]["tensor"]][: len(integers)])


def variants(program, opcode):
    """The masks of all instructions of a kind, in program order."""
    return [fields.get("clusters", 0) for code, fields in program.instructions if code is opcode]


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("seed", range(4))
def test_random_encoders_give_what_the_golden_model_gives(name, seed, tmp_path):
    config, rng = CONFIGS[name], random.Random(f"{name} {seed}")
    heads = rng.randint(1, 2)
    checkpoint = load_checkpoint(make_checkpoint(
        tmp_path, hidden=config.tile * heads * rng.randint(1, 2), heads=heads, layers=rng.randint(1, 2),
        ffn=rng.choice([8, 20, 32]), act=rng.choice(config.functions), seed=seed, pooler=rng.random() < 0.6))
    encoder = quantise_encoder(checkpoint, config, weight_sparsity=rng.choice([0.0, 0.5]),
                               **rng.choice([{}, {"tau": 0.05}, {"tau": 0.3}, {"target_sparsity": 0.3}]),
                               calibration_texts=random_texts(4, 9, seed=seed))
    count = config.clusters * rng.randint(1, 3 if config.clusters == 2 else 2)
    program, golden, batch = compiled(checkpoint, encoder, config, sentences(rng, count), rng.choice([None, 24, 27]),
                                      resident=bool(seed % 2), overlap=seed != 2)
    check(program, golden, range(3))
    # It is the batch that one cluster would run.
    graph = build_graph(encoder, batch.lengths, batch.ids.shape[1], tokens=batch.tokens)
    alone, spread = results(graph, execute(graph, batch.ids)), results(program.graph, golden)
    assert alone.keys() == spread.keys() and all(alone[name].equal(value) for name, value in spread.items())


def test_what_is_different_is_named(checkpoint, encoder):
    """Gathers and stores of each cluster; softmaxes of each length; all else is for all."""
    lengths = {"same": [5, 5, 5, 5], "pairs": [5, 9, 5, 9], "different": [5, 5, 9, 7]}
    masks = {}
    for name, words in lengths.items():
        texts = [Sentence(" ".join(["w1"] * count)) for count in words]
        program, golden, _ = compiled(checkpoint, encoder, TWO, texts)
        check(program, golden)
        assert set(variants(program, Opcode.GATHER)) == set(variants(program, Opcode.STORE)) == {1, 2}
        assert not any(variants(program, opcode)[0] for opcode in (Opcode.MATMUL, Opcode.LAYERNORM))
        assert {fields.get("clusters", 0) for opcode, fields in program.instructions
                if opcode is Opcode.LOAD and fields["buffer"] != Buffer.ACTIVATION} == {0}
        masks[name] = set(variants(program, Opcode.SOFTMAX))
    assert masks == {"same": {0}, "pairs": {0}, "different": {1, 2}}
    four, _, _ = compiled(checkpoint, quantise_encoder(checkpoint, CLUSTERS[4]), CLUSTERS[4],
                          [Sentence(" ".join(["w1"] * count)) for count in (3, 9, 3, 5)])
    assert set(variants(four, Opcode.SOFTMAX)) == {0b0101, 0b0010, 0b1000}


def test_disassembly_shows_the_clusters(checkpoint, encoder):
    program, *_ = compiled(checkpoint, encoder, TWO, sentences(random.Random(1), 2))
    lines = disassemble(program.raw).splitlines()
    for (_, fields), line in zip(program.instructions, lines, strict=True):
        found = re.search(r" clusters=(\d+)", line)
        assert fields.get("clusters", 0) == (int(found[1]) if found else 0), line
    assert sum(" clusters=2 " in line for line in lines) > 1


def test_pairs_with_token_types(checkpoint, encoder):
    """Their position rows are loaded: once where the clusters have the same, else in each."""
    pairs = [Sentence("w1 w2 w3", "w4 w5"), Sentence("w5 w6 w7", "w8 w9"), Sentence("w1 w2", "w3 w4 w5"), Sentence("w1", "w2")]
    for texts, masks in (([pairs[0], pairs[1]], {0}), ([pairs[0], pairs[2]], {1, 2}), (pairs, {0, 1, 2})):
        program, golden, _ = compiled(checkpoint, encoder, TWO, texts)
        check(program, golden, range(2))
        loads = {fields.get("clusters", 0) for opcode, fields in program.instructions
                 if opcode is Opcode.LOAD and fields["buffer"] == Buffer.ACTIVATION}
        assert loads <= masks and (len(texts) > 2 or loads == masks)


@pytest.mark.parametrize("resident", [False, True])
def test_two_batches_after_each_other(checkpoint, encoder, resident):
    """A program runs again and gives the same; with weights that stay its preload does not run again."""
    program, golden, _ = compiled(checkpoint, encoder, TWO, sentences(random.Random(5), 4), resident=resident)
    machine = Machine(program)
    machine.run()
    pieces = machine.pieces()
    machine.seen.clear()
    machine.run_from(program.entry, [(name, piece) for name, piece in pieces if piece["steps"]])
    assert machine.seen and all(machine.seen[name].equal(golden[name]) for name in machine.seen)


def test_saved_and_loaded(checkpoint, encoder, tmp_path):
    program, golden, batch = compiled(checkpoint, encoder, TWO, sentences(random.Random(7), 6))
    expected = expectation(program, golden, fidelity={}, answers=answers_of(
        checkpoint, batch, layers=program.graph.layers, tile=TWO.tile), sentences=5)
    program = replace(program, expected=expected)
    save_programs([program], tmp_path)
    loaded = load_program(tmp_path)
    for name in ("config", "instructions", "image", "outputs", "tensors", "bucket", "expected"):
        assert getattr(loaded, name) == getattr(program, name), name
    assert loaded.outputs and all(output["parts"] == 2 and output["pitch"] > 0 for output in loaded.outputs.values())
    assert loaded.expected.sentences == 5
    machine = Machine(loaded)
    machine.run()
    for name in loaded.outputs:
        assert loaded.result(name, bytes(machine.memory))[1].equal(results(program.graph, golden)[name])


def test_a_batch_that_does_not_fill_the_clusters(checkpoint, encoder):
    """The compiler refuses it; `filled` repeats the last sentence."""
    batch = encode_sentences(checkpoint, sentences(random.Random(2), 3))
    with pytest.raises(CompileError, match=r"^sentences = 3: is no multiple of the 2 clusters; give 1 more$"):
        compile_quantised(encoder, TWO, batch.ids, batch.lengths, tokens=batch.tokens)
    full = batch.filled(2)
    assert full.lengths == [*batch.lengths, batch.lengths[-1]] and full.ids[3].equal(batch.ids[2])
    assert full.filled(2).lengths == full.lengths
    program = compile_quantised(encoder, TWO, full.ids, full.lengths, tokens=full.tokens)
    check(program, golden_run(program, full.ids, full.lengths))


def test_buckets_are_refused(encoder):
    with pytest.raises(CompileError, match="^clusters = 2: a program for buckets runs one sentence, in one cluster; compile"):
        compile_buckets(encoder, TWO, {8: [5, 6]})


def test_different_operations_are_refused(tmp_path):
    checkpoint = load_checkpoint(make_task_model(tmp_path / "masks", "fill-mask"))
    encoder = quantise_encoder(checkpoint, TWO)
    same = [Sentence("w1 [MASK] w2"), Sentence("w3 [MASK] w4 w5")]
    program, golden, _ = compiled(checkpoint, encoder, TWO, same)
    check(program, golden)
    far = Sentence(" ".join(["w1"] * 12) + " [MASK]")
    for texts in ([same[0], far], [far, same[0]], [same[0], Sentence("[MASK] " + far.text)], [same[0], far, far, same[0]]):
        with pytest.raises(CompileError, match="^clusters: the sentences of a batch need different operations"):
            compiled(checkpoint, encoder, TWO, texts)


def test_sentences_that_are_alike_in_each_cluster(checkpoint, encoder):
    """A pair in one and a plain sentence in the other; one of both in each: in the same order, or they are refused."""
    pair, plain = Sentence("w1 w2", "w3"), Sentence("w4 w5")
    program, golden, _ = compiled(checkpoint, encoder, TWO, [plain, pair])
    check(program, golden, range(3))
    program, golden, _ = compiled(checkpoint, encoder, TWO, [pair, plain, Sentence("w6", "w7"), plain])
    check(program, golden, range(3))
    with pytest.raises(CompileError, match="need different operations"):
        compiled(checkpoint, encoder, TWO, [pair, plain, plain, pair])


def test_more_masked_tokens_in_one_sentence_than_in_another(tmp_path):
    """As long as they are in the same tile rows, the operations are the same."""
    checkpoint = load_checkpoint(make_task_model(tmp_path, "fill-mask"))
    program, golden, _ = compiled(checkpoint, quantise_encoder(checkpoint, TWO), TWO,
                                  [Sentence("w1 [MASK] w2"), Sentence("[MASK] w1 [MASK]")])
    check(program, golden)


def test_capacity_is_that_of_a_cluster(checkpoint, encoder):
    """A refusal names the field of the whole, and how many sentences of all clusters would fit."""
    texts = sentences(random.Random(1), 12)
    with pytest.raises(CompileError, match="has 32: raise activation_tiles to 72, or give 4 sentences at a time"):
        compiled(checkpoint, encoder, replace(TWO, activation_tiles=64), texts)
    with pytest.raises(CompileError, match="has 16: .*shorten the sentences to 8 tokens and give 2 at a time"):
        compiled(checkpoint, encoder, replace(TWO, activation_tiles=32), texts)
    for tiles, given in ((64, texts[:4]), (72, texts)):
        program, golden, _ = compiled(checkpoint, encoder, replace(TWO, activation_tiles=tiles), given)
        check(program, golden)


def test_all_task_models(tmp_path):
    for task, texts in (("token-classification", ["w1 w2 w3", "w4"]), ("sentence-embedding", ["w1 w2", "w5 w6 w7 w8 w9 w1"])):
        checkpoint = load_checkpoint(make_task_model(tmp_path / task, task))
        program, golden, _ = compiled(checkpoint, quantise_encoder(checkpoint, TWO), TWO, [Sentence(text) for text in texts])
        check(program, golden)
