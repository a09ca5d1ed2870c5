"""Loads and semaphores: every hazard is covered, tokens balance, no program stops."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.hw.spec.isa import INSTRUCTION_BYTES, Engine
from acceltran.sw.compiler import CompileError, compile_graph, quantise_encoder
from acceltran.sw.compiler.lower import lower
from acceltran.sw.compiler.schedule import Semaphores, check_progress, semaphores
from acceltran.sw.compiler.steps import Region
from acceltran.sw.ir.execute import execute
from acceltran.sw.models.build_encoder import build_graph
from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.sentences import encode_texts
from support.machine import Machine
from support.models import make_checkpoint, random_texts
from support.steps import PlainStep

NANO = AcceleratorConfig.load("nano")
MEMORY, MATRIX, VECTOR = Engine
WAIT_VECTOR_BYTE = 3


def step(engine, reads=(), writes=()):
    def regions(slots):
        return [Region("activation", str(slot), 0, 0, 1, 1) for slot in slots]

    return PlainStep(engine, regions(reads), regions(writes))


def marks_of(steps):
    return semaphores(steps, lambda region: np.array([int(region.owner)]), {"activation": 8})


def test_each_kind_of_hazard_waits_once():
    steps = [step(MEMORY, (), (0,)), step(MEMORY, (), (1,)), step(MATRIX, (0, 1), (2,)), step(MATRIX, (0,), (3,)),
             step(MEMORY, (), (0,)), step(VECTOR, (2, 3), (2,)), step(MATRIX, (2,), ())]
    marks = marks_of(steps)
    assert [mark.waits for mark in marks] == [{}, {}, {MEMORY: 1}, {}, {MATRIX: 1}, {MATRIX: 1}, {VECTOR: 1}]
    assert [mark.signals for mark in marks] == [set(), {MATRIX}, set(), {MEMORY, VECTOR}, set(), {MATRIX}, set()]


def test_waits_that_follow_from_others_are_dropped():
    steps = [step(MEMORY, (), (0,)), step(MATRIX, (0,), (1,)), step(VECTOR, (1, 0), (2,)), step(MATRIX, (2,), (1,))]
    marks = marks_of(steps)
    assert marks[2].waits == {MATRIX: 1}
    assert marks[3].waits == {VECTOR: 1}
    assert marks[0].signals == {MATRIX}


def test_what_an_instruction_waits_for_is_not_known_before():
    """Who has seen the first instruction of an engine does not know what a later one waited for."""
    steps = [step(MATRIX, (), (0,)), step(MEMORY, (), (1,)), step(MEMORY, (0,), (2,)), step(VECTOR, (1,), (3,)),
             step(VECTOR, (0,), (4,))]
    marks = marks_of(steps)
    assert [mark.waits for mark in marks] == [{}, {}, {MATRIX: 1}, {MEMORY: 1}, {MATRIX: 1}]


STEPS = st.lists(st.tuples(st.sampled_from(Engine), st.frozensets(st.integers(0, 5), max_size=2),
                           st.frozensets(st.integers(0, 5), max_size=2)), min_size=1, max_size=30)


@settings(max_examples=150)
@given(STEPS, st.sampled_from([1, 2, 4]))
def test_random_programs_are_ordered_and_run(entries, depth):
    steps = [step(*entry) for entry in entries]
    marks = marks_of(steps)
    check_progress([s.engine for s in steps], marks, depth)
    # What is complete for sure when an instruction starts, from the tokens alone.
    given_, taken = {(p, c): [] for p in Engine for c in Engine}, {(p, c): 0 for p in Engine for c in Engine}
    before = []
    started = {engine: set() for engine in Engine}
    for number, (s, mark) in enumerate(zip(steps, marks, strict=True)):
        complete = set(started[s.engine])
        for producer, count in mark.waits.items():
            taken[producer, s.engine] += count
            last = given_[producer, s.engine][taken[producer, s.engine] - 1]
            complete |= {last} | {n for n in range(last) if steps[n].engine is producer} | before[last]
        started[s.engine] = complete
        before.append(complete)
        for consumer in mark.signals:
            given_[s.engine, consumer].append(number)
        for other in range(number):
            reads, writes = entries[number][1:]
            other_reads, other_writes = entries[other][1:]
            if other_writes & (reads | writes) or other_reads & writes:
                assert other in complete
    assert all(taken[pair] == len(tokens) for pair, tokens in given_.items())


def test_a_program_that_stops_is_refused():
    waits, gives = Semaphores({MATRIX: 1}, set()), Semaphores({}, {MEMORY})
    check_progress([MATRIX, MEMORY], [gives, waits], 1)
    # Fetch stops at a full queue in front of the instruction that would give the token.
    with pytest.raises(CompileError, match="stop after 0 of 3.*MEMORY at 0"):
        check_progress([MEMORY, MEMORY, MATRIX], [waits, Semaphores(), gives], 1)
    check_progress([MEMORY, MEMORY, MATRIX], [waits, Semaphores(), gives], 2)
    with pytest.raises(CompileError, match="left over"):
        check_progress([MATRIX], [gives], 2)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    checkpoint = load_checkpoint(make_checkpoint(tmp_path_factory.mktemp("model"), hidden=32, heads=4, ffn=72))
    texts = random_texts(2, 14)
    ids, lengths = encode_texts(checkpoint, texts)
    encoder = quantise_encoder(checkpoint, NANO, calibration_texts=texts, target_sparsity=0.3)
    return build_graph(encoder, lengths, ids.shape[1], separate=False), ids


def test_attention_is_staggered(model):
    graph, _ = model
    plan = lower(graph, NANO, chunks=2, stagger=2)
    names = [s.tensor for s in plan.steps if s.tensor and s.tensor.startswith("layer0")]
    start, order = names.index("layer0.scores.0.0"), []
    for name in names[start: names.index("layer0.attention")]:
        order.append(name.removeprefix("layer0."))
    assert order[:7] == ["scores.0.0", "probabilities.0.0", "scores.0.1", "probabilities.0.1", "value", "value",
                         "context"]
    assert order.index("scores.0.2") == 7
    assert order.count("context") == 8


@pytest.mark.parametrize(("queue", "weight_tiles", "activation_tiles"), [(2, 1024, 2048), (4, 24, 2048), (16, 40, 164)])
def test_any_legal_interleaving_gives_the_golden_tensors(model, queue, weight_tiles, activation_tiles):
    graph, ids = model
    config = replace(NANO, instruction_queue=queue, weight_tiles=weight_tiles, activation_tiles=activation_tiles,
                     vector_lines=64)
    program, golden = compile_graph(graph, config, ids), execute(graph, ids)
    assert program.planned_cycles
    for seed in range(4):
        machine = Machine(program, seed)
        machine.run()
        assert machine.seen.keys() == golden.keys()
        for name, values in golden.items():
            assert (machine.seen[name] == values).all(), (seed, name)


def test_a_missing_wait_shows(model):
    graph, ids = model
    program = compile_graph(graph, NANO, ids)
    numbers = [n for n, (opcode, f) in enumerate(program.instructions) if f.get("wait_vector")]
    raw = bytearray(program.image)
    raw[program.entry + INSTRUCTION_BYTES * numbers[1] + WAIT_VECTOR_BYTE] = 0
    golden, wrong = execute(graph, ids), 0
    for seed in range(8):
        machine = Machine(replace(program, image=bytes(raw)), seed)
        with pytest.raises(AssertionError):  # the token is left over
            machine.run()
        wrong += any(not (machine.seen[name] == golden[name]).all() for name in machine.seen)
    assert wrong
