"""Clusters on the whole accelerator: encoders, errors of one cluster, resets, power-up, counters, estimates."""

import random
from dataclasses import replace

import pytest

from acceltran.hw.spec.error_codes import ErrorCode, ErrorSource
from acceltran.hw.spec.isa import Buffer, Opcode
from acceltran.hw.spec.registers import by_name, config_values, pack
from acceltran.sim.errors import SimulationError
from acceltran.sim.inference import compare_tensors, infer, report, run_program, seen_outputs
from acceltran.sw.compiler import compile_encoder
from acceltran.sw.estimate.estimate import estimate
from acceltran.sw.ir.counts import multiplication_counts
from acceltran.sw.ir.execute import golden_run
from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.sentence import Sentence
from acceltran.sw.models.sentences import encode_sentences
from support.axi_monitor import check_monitored
from support.changed_programs import MEMORY_END, monitored_system, play, with_other
from support.configs import CLUSTERS
from support.models import make_checkpoint, random_texts


def system(clusters):
    """The simulator, kept for all tests of this file."""
    return monitored_system(CLUSTERS[clusters])


def make(config, folder, rng):
    """A random encoder."""
    heads = rng.randint(1, 2)
    return load_checkpoint(make_checkpoint(
        folder / "model", hidden=config.tile * heads * rng.randint(1, 2), heads=heads, layers=rng.randint(1, 2),
        ffn=rng.choice([8, 20, 32]), act=rng.choice(config.functions), seed=rng.randrange(1000), pooler=rng.random() < 0.7))


def sentences(rng, count, most=20):
    """Some of which may be pairs, or as long as another."""
    texts = [random_texts(1, rng.randint(1, most), seed=rng.randrange(1000))[0] for _ in range(count)]
    return [Sentence(rng.choice(texts)) if rng.random() < 0.3 else Sentence(text) for text in texts]


def check(config, seeds, folder):
    """Random encoders and batches: every tensor, the multiplications, and the estimate."""
    model = monitored_system(config)
    for seed in seeds:
        rng = random.Random(seed)
        checkpoint = make(config, folder / str(seed), rng)
        texts = sentences(rng, config.clusters * rng.randint(1, 3))
        options = {"tau": rng.choice([None, 0.05, 0.3]), "weight_sparsity": rng.choice([0.0, 0.5]), "resident": seed % 3 == 2}
        inference = infer(config, checkpoint, texts, folder=folder / str(seed) / "run", model=model, **options)
        seen = report(inference)
        assert not inference.mismatches, (seed, options, inference.mismatches)
        check_monitored(folder / str(seed) / "run", config.memory_ports)
        assert seen["tensors_compared"] > 15 and seen["repeated"] == 0
        assert seen["multiplications"] == seen["multiplications_expected"], (seed, options)
        found, cycles = estimate(inference.program, inference.golden), inference.run.counters["cycles"]
        assert abs(found.cycles - cycles) <= 0.03 * cycles + 100, (seed, options)
        exact = ("multiplications", "dense_multiplications", "a_tile_loads", "b_tile_loads", "weight_tiles", "activation_tiles")
        assert {name: found.counters[name] for name in exact} == {name: inference.run.counters[name] for name in exact}, seed


def test_random_encoders(tmp_path):
    check(CLUSTERS[2], range(4), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("clusters", CLUSTERS)
def test_many_random_encoders(clusters, tmp_path):
    check(CLUSTERS[clusters], range(100, 120), tmp_path)


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    """A checkpoint for CLUSTERS[2], sentences of different lengths, their program and its tensors."""
    return small_batch(CLUSTERS[2], tmp_path_factory.mktemp("batch"))


def small_batch(config, folder):
    """A checkpoint, sentences of different lengths, their program for `config` and its tensors."""
    checkpoint = load_checkpoint(make_checkpoint(folder, hidden=16, heads=2, layers=1, ffn=20, labels=3))
    texts = [Sentence(" ".join(["w1", "w7", *["w3"] * words])) for words in (7, 1, 12, 4)]
    encoded = encode_sentences(checkpoint, texts)
    program = compile_encoder(checkpoint, config, encoded.ids, encoded.lengths, tokens=encoded.tokens)
    return checkpoint, texts, program, golden_run(program, encoded.ids, encoded.lengths)


@pytest.mark.parametrize(("stall", "latency"), [
    ([0.7, 0.01], [1, 1]), ([0.01, 0.7], [40, 3]), pytest.param([0.5, 0.5], [1, 150], marks=pytest.mark.slow),
    pytest.param([0.2, 0.01], [9, 400], marks=pytest.mark.slow)])
def test_stalls_of_main_memory(batch, stall, latency, tmp_path):
    """On one port, on the other, on both."""
    _, _, program, golden = batch
    run = run_program(program, folder=tmp_path, model=monitored_system(program.config), stall=stall, latency=latency,
                      stall_seed=latency[1])
    check_monitored(tmp_path, 2)
    assert compare_tensors(program.config, program, run, golden) == {}
    assert run.counters["multiplications"] == multiplication_counts(program.graph, golden)["total"].both


@pytest.mark.parametrize(("clusters", "count"), [(2, 1), (2, 3), pytest.param(4, 2, marks=pytest.mark.slow)])
def test_a_batch_that_does_not_fill_the_clusters(batch, clusters, count, tmp_path):
    """The last sentence runs again in those that have none; nobody is told of it but by the number."""
    checkpoint, texts, *_ = batch
    inference = infer(CLUSTERS[clusters], checkpoint, texts[:count], folder=tmp_path, model=system(clusters))
    seen = report(inference)
    assert not inference.mismatches
    assert (seen["sentences"], seen["repeated"], len(seen["predictions"])) == (count, -count % clusters, count)
    assert all(prediction["equals_golden"] for prediction in seen["predictions"])
    (integers, _), = seen_outputs(inference.program, inference.run).values()
    each = len(integers) // inference.program.bucket.sentences
    last = [integers[number * each: (number + 1) * each] for number in range(count - 1, inference.program.bucket.sentences)]
    assert all(part.equal(last[0]) for part in last)


def faults(program):
    """(number, changed fields, code, source) of instructions that one cluster finds at fault, or that name wrong clusters."""
    tiles = program.config.cluster.activation_tiles
    one = {}
    for number, (opcode, fields) in enumerate(program.instructions):
        clusters = fields.get("clusters", 0)
        if opcode is Opcode.GATHER:
            yield number, {"indices": MEMORY_END}, ErrorCode.BUS_READ, ErrorSource.MEMORY
            yield number, {"address": 1 << 31}, ErrorCode.BUS_READ, ErrorSource.MEMORY
            yield number, {"slot": tiles - 1}, ErrorCode.SLOT_RANGE, ErrorSource.MEMORY
        elif opcode is Opcode.STORE:
            yield number, {"address": MEMORY_END}, ErrorCode.BUS_WRITE, ErrorSource.MEMORY
            yield number, {"slot": tiles}, ErrorCode.SLOT_RANGE, ErrorSource.MEMORY
            for mask in (0, 3, 4):
                yield number, {"clusters": mask}, ErrorCode.BAD_FIELD, ErrorSource.CONTROL
        elif opcode is Opcode.SOFTMAX and clusters:
            yield number, {"o_slot": tiles}, ErrorCode.SLOT_RANGE, ErrorSource.VECTOR
            yield number, {"valid_columns": 0}, ErrorCode.ENGINE_FIELD, ErrorSource.VECTOR
        elif opcode is Opcode.LAYERNORM:
            one[number] = {"x_slot": tiles}, ErrorCode.SLOT_RANGE, ErrorSource.VECTOR
        elif opcode is Opcode.MATMUL and fields["b_buffer"]:
            one[number] = {"a_slot": tiles}, ErrorCode.SLOT_RANGE, ErrorSource.MATRIX
            yield number, {"rows": 0, "clusters": 1 + number % 2}, ErrorCode.ENGINE_FIELD, ErrorSource.MATRIX
        elif opcode is Opcode.MATMUL or opcode is Opcode.LOAD and fields["buffer"] != Buffer.ACTIVATION:
            yield number, {"clusters": 1 + number % 3}, ErrorCode.BAD_FIELD, ErrorSource.CONTROL
    for number, (change, code, source) in one.items():
        for mask in (1, 2):
            yield number, change | {"clusters": mask}, code, source


def elsewhere(program, offset):
    """The instructions, with results so far behind their places."""
    return [(opcode, fields | ({"address": fields["address"] + offset} if opcode is Opcode.STORE else {}))
            for opcode, fields in program.instructions]


def check_good(program, golden, seen, memory, offset):
    """The last run, which was that of `elsewhere`."""
    assert seen[-1]["ended"] and seen[-1]["error_code"] == 0
    for name, output in program.outputs.items():
        integers, _ = program.output(name, memory.memory_bytes(output["address"] + offset, output["bytes"]))
        assert integers.equal(golden[output["tensor"]][: len(integers)])


@pytest.mark.parametrize("first", [0, *(pytest.param(number, marks=pytest.mark.slow) for number in (1, 2, 3))])
def test_each_instruction_at_fault_in_one_cluster(batch, first, tmp_path):
    """Bus errors, slots outside, fields that an engine refuses, and masks that cannot be: the right instruction is named."""
    _, _, program, golden = batch
    wanted = list(faults(program))[first::4]
    runs = [(with_other(program, number, **change), {}) for number, change, *_ in wanted]
    seen, memory = play(program, [*runs, (elsewhere(program, MEMORY_END // 2), {})], tmp_path, "+latency=5", "+latency_1=20")
    shown = [(run["error_code"], run["error_engine"], run["error_instruction"]) for run in seen[:-1]]
    assert not [(one, found) for one, found in zip(wanted, shown, strict=True) if found != (one[2], one[3], one[0])]
    assert len(wanted) > 40 and len({(program.instructions[number][0], code) for number, _, code, _ in wanted}) >= 9
    assert all(run["reset"] and run["after"]["error_code"] == 0 for run in seen)
    check_good(program, golden, seen, memory, MEMORY_END // 2)


def test_a_cluster_that_goes_on_behind_what_it_refuses(batch, tmp_path):
    """One is far behind when the other refuses a product and does the next ones."""
    _, _, program, golden = batch
    opcode, fields = next((opcode, fields) for opcode, fields in program.instructions
                          if opcode is Opcode.MATMUL and fields["b_buffer"])
    product = {name: value for name, value in fields.items() if not name.startswith(("wait", "signal"))} | {"signal": 0}
    long = product | {"batch": 200, "a_batch": 0, "b_batch": 0, "c_batch": 0}
    runs = []
    for slow, fast in ((1, 2), (2, 1)):
        others = [(opcode, product | {"clusters": fast})] * 3
        runs.append([(opcode, long | {"clusters": slow}), (opcode, product | {"rows": 0, "clusters": fast}), *others,
                     (opcode, product), (Opcode.HALT, {})])
    seen, memory = play(program, [*((run, {"watchdog": 20_000}) for run in runs), (elsewhere(program, MEMORY_END // 2), {})],
                        tmp_path)
    assert [(run["error_code"], run["error_engine"], run["error_instruction"]) for run in seen[:2]] == [
        (ErrorCode.ENGINE_FIELD, ErrorSource.MATRIX, 1)] * 2
    check_good(program, golden, seen, memory, MEMORY_END // 2)


@pytest.mark.parametrize("cuts", [16, pytest.param(120, marks=pytest.mark.slow)])
def test_soft_resets_with_traffic(batch, cuts, tmp_path):
    _, _, program, golden = batch
    rng = random.Random(cuts)
    runs = [(program.instructions, {"cut": rng.randrange(100, 4000)}) for _ in range(cuts)]
    seen, memory = play(program, [*runs, (elsewhere(program, MEMORY_END // 2), {})], tmp_path, "+stall=60", "+stall_1=150",
                        "+latency=9", "+latency_1=70")
    assert all(run["reset"] for run in seen)
    check_good(program, golden, seen, memory, MEMORY_END // 2)


def test_random_power_up(batch, tmp_path):
    checkpoint, texts, *_ = batch
    for seed in (1, 2):
        inference = infer(CLUSTERS[2], checkpoint, texts, folder=tmp_path / str(seed), model=system(2), power_up=seed, tau=0.05)
        assert not inference.mismatches


def test_what_the_registers_say(batch, tmp_path):
    """An image for another number of clusters does not run."""
    _, _, program, _ = batch
    assert config_values(program.config)["CONFIG_CONTROL"] == pack(
        by_name("CONFIG_CONTROL"), prune_curves=8, instruction_queue=4, more_clusters=1)
    with pytest.raises(SimulationError, match="."):
        run_program(replace(program, config=replace(program.config, clusters=1)), folder=tmp_path, model=system(2))
