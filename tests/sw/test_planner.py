"""The planner's order, resident weights, and programs without overlap."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.hw.spec.isa import Buffer, Engine, Opcode
from acceltran.sw.compiler import CompileError, compile_encoder, compile_graph, load_program, quantise_encoder, save_programs
from acceltran.sw.compiler.allocate import Placement
from acceltran.sw.compiler.cost import Cost
from acceltran.sw.compiler.lower import lower
from acceltran.sw.compiler.planner import Room, _Jobs, plan_order, plan_times
from acceltran.sw.compiler.schedule import insert_loads
from acceltran.sw.compiler.steps import Block, LoadStep, MatMulStep, Region
from acceltran.sw.ir.execute import execute
from acceltran.sw.models.build_encoder import build_graph
from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.ita import ita_graph
from acceltran.sw.models.sentences import encode_texts
from support.machine import Machine
from support.models import make_checkpoint, random_texts
from support.steps import PlainStep

BERT_TINY = Path(__file__).parents[2] / "models" / "bert-tiny-reviews"

NANO = AcceleratorConfig.load("nano")
FOUR = replace(NANO, name="four", grid_rows=2, grid_columns=2, activation_banks=4, weight_banks=2, softmax_units=2,
               lines_per_beat=4)


class Fixed:
    """Costs given with each step: `cycles` for each of `parts`, nothing more; two servers for vector steps."""

    begin = 0

    def servers(self, step):
        return 2 if step.engine is Engine.VECTOR else 1

    def busy(self, step):
        return step.cycles

    def load(self, block):
        return block.columns


def step(name, engine, busy, reads=(), parts=1):
    regions = [Region("weight" if r.startswith("w") else "activation", r, 0, 0, 1, 1) for r in reads]
    return PlainStep(engine, regions, [Region("activation", name, 0, 0, 1, 1)], busy, parts)


def names(steps):
    return [s.tensor for s in steps]


def test_the_longest_way_to_the_end_goes_first():
    steps = [step("a", Engine.MATRIX, 10), step("b", Engine.MATRIX, 10), step("c", Engine.VECTOR, 50, ["b"]),
             step("d", Engine.MATRIX, 10, ["c"])]
    assert names(plan_order(steps, {}, Fixed())[0]) == ["b", "a", "c", "d"]


def test_what_waits_does_not_hold_up_what_is_ready():
    steps = [step("a", Engine.VECTOR, 30), step("b", Engine.MATRIX, 100, ["a"]), step("c", Engine.MATRIX, 20),
             step("d", Engine.MATRIX, 20)]
    assert names(plan_order(steps, {}, Fixed())[0]) == ["a", "c", "d", "b"]


def test_servers_share_the_parts_of_a_step():
    """Five parts on two servers take three rounds, and the other step begins on the server that is free first."""
    steps = [step("a", Engine.VECTOR, 10, parts=5), step("b", Engine.VECTOR, 10, parts=2),
             step("c", Engine.MATRIX, 10, ["a"]), step("d", Engine.MATRIX, 90, ["b"])]
    assert _Jobs(steps, {}, Fixed()).schedule() == ([10, 0, 100, 10], 110)
    steps[3] = step("d", Engine.MATRIX, 1, ["b"])
    assert _Jobs(steps, {}, Fixed()).schedule() == ([0, 20, 30, 40], 41)


def test_others_wait_for_the_latency_of_a_step():
    """Its server is free before, and begins the next part."""
    steps = [PlainStep(Engine.MATRIX, [], step("a", Engine.MATRIX, 0).writes, 10, latency=7),
             step("b", Engine.MEMORY, 5, ["a"]), step("c", Engine.MATRIX, 10)]
    assert _Jobs(steps, {}, Fixed()).schedule() == ([0, 17, 10], 22)


def test_vector_steps_report_in_the_order_of_their_starts():
    """The short one, on the other server, is done first, and counts as done with the long one before it."""
    steps = [step("a", Engine.VECTOR, 50), step("b", Engine.VECTOR, 10), step("c", Engine.MATRIX, 10, ["b"])]
    assert _Jobs(steps, {}, Fixed()).schedule(kept=True) == ([0, 0, 50], 60)


def test_the_matrix_engine_waits_for_urgent_work():
    """Nothing else is ready when a is; b, ready ten cycles later, has the longest way to the end."""
    steps = [step("x", Engine.VECTOR, 10), step("a", Engine.MATRIX, 100), step("b", Engine.MATRIX, 10, ["x"]),
             step("c", Engine.VECTOR, 200, ["b"])]
    assert names(plan_order(steps, {}, Fixed())[0]) == ["x", "b", "a", "c"]
    assert _Jobs(steps, {}, Fixed()).schedule()[1] == 310
    assert _Jobs(steps, {}, Fixed()).schedule(patience=16)[1] == 220


def test_loads_come_in_the_order_of_need():
    blocks = {f"w{n}": Block("weight", f"w{n}", 1, size, ("w",)) for n, size in ((0, 40), (1, 300), (2, 10))}
    steps = [step("a", Engine.MATRIX, 500, ["w2"]), step("b", Engine.MATRIX, 500, ["w0", "a"]),
             step("c", Engine.MATRIX, 500, ["w1", "b"])]
    order, targets, _ = plan_order(steps, blocks, Fixed())
    assert names(order) == ["a", "b", "c"]
    placed = {owner: (Placement(n, 1), {"w2": 0, "w0": 1, "w1": 2}[owner]) for n, owner in enumerate(blocks)}
    loads = [s.block.owner for s in insert_loads(order, blocks, placed, targets) if isinstance(s, LoadStep)]
    assert loads == ["w2", "w0", "w1"]


def test_a_load_waits_until_its_place_is_free():
    blocks = {"w0": Block("weight", "w0", 1, 1, ("w",)), "w1": Block("weight", "w1", 1, 1, ("w",))}
    steps = [step("a", Engine.MATRIX, 10, ["w0"]), step("b", Engine.MATRIX, 10, ["a"]),
             step("c", Engine.MATRIX, 10, ["w1", "b"])]
    placed = {"w0": (Placement(0, 1, 0), 0), "w1": (Placement(0, 1, 2), 2)}
    ordered = insert_loads(steps, blocks, placed, {"w0": 0, "w1": 0})
    assert [s.tensor for s in ordered] == ["w0", "a", "b", "w1", "c"]


def test_a_load_stands_before_the_first_step_that_uses_it():
    """However late the planner wants it."""
    blocks = {f"w{n}": Block("weight", f"w{n}", 1, 1, ("w",)) for n in range(2)}
    steps = [step("a", Engine.MATRIX, 10), step("b", Engine.MATRIX, 10, ["w0"]), step("c", Engine.MATRIX, 10, ["w1"])]
    placed = {"w0": (Placement(0, 1, 0), 1), "w1": (Placement(1, 1, 0), 2)}
    ordered = insert_loads(steps, blocks, placed, {"w0": 3, "w1": 3})
    assert [s.tensor for s in ordered] == ["a", "w0", "b", "w1", "c"]


def test_loads_of_a_kept_order_come_ahead_of_their_use():
    """Each a little before its step in the plan, whatever the order would have been."""
    blocks = {f"w{n}": Block("weight", f"w{n}", 1, 10, ("w",)) for n in range(4)}
    steps = [step(str(n), Engine.MATRIX, 200, [f"w{n}"]) for n in range(4)]
    targets, end = plan_times(steps, blocks, Fixed())
    assert targets == {"w0": 0, "w1": 0, "w2": 0, "w3": 0} and end == 810
    steps = [step("a", Engine.MATRIX, 10), step("b", Engine.MATRIX, 10), step("c", Engine.VECTOR, 50, ["b"]),
             step("d", Engine.MATRIX, 10, ["c"])]
    assert plan_order(steps, {}, Fixed())[2] == 70 and plan_times(steps, {}, Fixed())[1] == 80


def test_later_steps_of_a_kept_order_wait_for_their_turn():
    steps = [step("a", Engine.VECTOR, 30), step("b", Engine.MATRIX, 100, ["a"]), step("c", Engine.MATRIX, 20)]
    assert plan_order(steps, {}, Fixed())[2] == 130 and plan_times(steps, {}, Fixed())[1] == 150


OPERATIONS = st.lists(st.tuples(st.integers(1, 20), st.frozensets(st.integers(1, 6), max_size=3)), min_size=1, max_size=30)


@settings(max_examples=100)
@given(OPERATIONS, st.integers(1, 60), st.randoms(use_true_random=False))
def test_what_is_in_use_at_once_keeps_to_the_room(entries, activations, random):
    """In any order of starts and ends that the answers allow: less than the room, or what one operation alone needs."""
    regions = [Region("activation", str(n), 0, 0, 1, 1) for n in range(len(entries))]
    steps = [PlainStep(Engine.MATRIX, [regions[n - back] for back in backs if n >= back], [regions[n]])
             for n, (_, backs) in enumerate(entries)]
    sizes = {str(n): size for n, (size, _) in enumerate(entries)}
    done = Room(activations, 0, sizes).complete_before([[one] for one in steps])
    assert all(before < n for n, before in enumerate(done)) and done == sorted(done)
    last = [max(n for n, one in enumerate(steps) if region in (*one.reads, *one.writes)) for region in regions]

    def tiles(first, end):
        return sum(size for n, (size, _) in enumerate(entries) if n <= end and last[n] >= first)

    running, complete, started = set(), set(), 0
    while len(complete) < len(steps):
        may_start = started < len(steps) and all(n in complete for n in range(done[started] + 1))
        if may_start and (not running or random.random() < 0.6):
            running.add(started)
            started += 1
        else:
            finished = random.choice(sorted(running))
            running.remove(finished)
            complete.add(finished)
        if running:
            oldest = min(set(range(started)) - complete)
            used = sum(size for n, (size, _) in enumerate(entries) if n < started and any(
                other not in complete for other in range(n, last[n] + 1)))
            assert used <= max(activations, tiles(started - 1, started - 1)) or oldest == started - 1


SPANS = st.tuples(st.integers(0, 4), st.integers(1, 3))
REGIONS = st.lists(st.builds(lambda owner, rows, columns: Region("activation", owner, rows[0], columns[0], rows[1], columns[1]),
                             st.sampled_from("ab"), SPANS, SPANS), max_size=2)


@settings(max_examples=100)
@given(st.lists(st.tuples(REGIONS, REGIONS), min_size=2, max_size=8))
def test_a_step_needs_those_whose_tiles_it_reads_or_overwrites_and_no_others(entries):
    def tiles(regions):
        return {(r.owner, r.row + i, r.column + j) for r in regions for i in range(r.rows) for j in range(r.columns)}

    needs = _Jobs([PlainStep(Engine.MATRIX, *entry) for entry in entries], {}, Fixed()).needs
    for number, (reads, writes) in enumerate(entries):
        assert needs[number] == {other for other, (earlier_reads, earlier_writes) in enumerate(entries[:number])
                                 if tiles(reads) & tiles(earlier_writes) or tiles(writes) & tiles(earlier_reads)}


GRAPHS = st.lists(st.tuples(st.sampled_from(Engine), st.integers(1, 300), st.frozensets(st.integers(1, 8), max_size=3)),
                  min_size=1, max_size=40)


@settings(max_examples=80)
@given(GRAPHS)
def test_every_step_stays_behind_what_it_reads(entries):
    steps = [step(str(n), engine, busy, [str(n - back) for back in backs if n >= back])
             for n, (engine, busy, backs) in enumerate(entries)]
    order = names(plan_order(steps, {}, Fixed())[0])
    assert sorted(order) == sorted(names(steps))
    for s in steps:
        assert all(order.index(r.owner) < order.index(s.tensor) for r in s.reads)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    checkpoint = load_checkpoint(make_checkpoint(tmp_path_factory.mktemp("model"), hidden=32, heads=2, ffn=72))
    ids, lengths = encode_texts(checkpoint, random_texts(3, 14))
    return checkpoint, ids, lengths


def graph_of(model, config, separate=None, **options):
    checkpoint, ids, lengths = model
    encoder = quantise_encoder(checkpoint, config, calibration_texts=random_texts(2, 9), **options)
    return build_graph(encoder, lengths, ids.shape[1], separate=separate), ids


def run(program, golden, seeds=3):
    for seed in range(seeds):
        machine = Machine(program, seed)
        machine.run()
        assert machine.seen.keys() == golden.keys()
        assert all((machine.seen[name] == values).all() for name, values in golden.items()), seed


@pytest.mark.parametrize("config", [NANO, FOUR], ids=["nano", "four"])
@pytest.mark.parametrize("options", [{"resident": True}, {"overlap": False}, {"overlap": False, "resident": True}, {}],
                         ids=["resident", "alone", "resident_alone", "planned"])
def test_programs_compute_the_golden_tensors(model, config, options):
    graph, ids = graph_of(model, config, target_sparsity=0.4)
    run(compile_graph(graph, config, ids, **options), execute(graph, ids))


def test_a_resident_program_loads_nothing_and_can_run_again(model, tmp_path):
    graph, ids = graph_of(model, FOUR)
    program = compile_graph(graph, FOUR, ids, resident=True)
    opcodes = [opcode for opcode, _ in program.instructions]
    assert Opcode.LOAD not in opcodes
    gathered = [fields["rows"] for opcode, fields in program.instructions if opcode is Opcode.GATHER]
    assert sum(gathered) == sum(graph.token_rows) // graph.tile
    machine = Machine(program)
    machine.run()
    written = [machine.weight.values.copy(), machine.vector.values.copy()]
    golden = execute(graph, ids)
    again = machine.pieces()
    machine.seen.clear()
    machine.run_from(program.entry, again)
    assert machine.seen.keys() == {name for name, piece in again if piece["steps"]}
    assert all((values == golden[name]).all() for name, values in machine.seen.items())
    assert all((a == b).all() for a, b in zip(written, (machine.weight.values, machine.vector.values), strict=True))
    save_programs([program], tmp_path)
    assert load_program(tmp_path).preload == program.preload


def test_resident_weights_that_do_not_fit_are_refused(model):
    graph, ids = graph_of(model, FOUR)
    with pytest.raises(CompileError, match="of the weight buffer.*raise weight_tiles"):
        compile_graph(graph, replace(FOUR, weight_tiles=64), ids, resident=True)


def test_without_overlap_each_instruction_waits_for_the_one_before(model):
    graph, ids = graph_of(model, FOUR)
    program = compile_graph(graph, FOUR, ids, overlap=False)
    waits = [sum(fields.get(f"wait_{engine.name.lower()}", 0) for engine in Engine) for _, fields in program.instructions]
    assert waits[:-1] == [0] + [1] * (len(waits) - 2)


def test_sequences_share_the_position_rows(model):
    graph, ids = graph_of(model, NANO)
    assert graph.tensors["embeddings.position_type"].rows == graph.sequence
    assert graph.tensors["embeddings.word"].rows == sum(graph.token_rows)
    values = execute(graph, ids)
    first = values["layer1.output_norm"].view(3, graph.sequence, -1)[:, :8].reshape(24, -1)
    assert (values["pooler.input"] == first).all()


@pytest.mark.parametrize("layernorm", [False, True])
@pytest.mark.parametrize("name", ["int8", "mini", "nano"])
def test_ita_workload(name, layernorm):
    config = AcceleratorConfig.load(name)
    graph = ita_graph(config, layernorm=layernorm)
    program, golden = compile_graph(graph, config, resident=True), execute(graph, None)
    run(program, golden, seeds=1)
    dense = sum(op.a.rows * op.a.columns * op.c.columns for op in graph.operations if hasattr(op, "transpose"))
    assert dense == 8 * 64**3
    for tensor, values in golden.items():
        limit = 1 << config.width - 1
        assert float((values.abs() >= limit - 1).double().mean()) < 0.01, tensor
        assert float((values != 0).double().mean()) > 0.4, tensor
    buffers = {fields.get("buffer") for opcode, fields in program.instructions if opcode is Opcode.LOAD}
    assert not buffers & {int(b) for b in Buffer}


def test_separate_sequences_compute_the_same(model):
    apart, ids = graph_of(model, NANO)
    together, _ = graph_of(model, NANO, separate=False)
    values, expected = execute(apart, ids), execute(together, ids)
    for name in ("embeddings.output", "layer0.query", "layer1.hidden"):
        assert (torch.cat([values[f"{name}.{n}"] for n in range(3)]) == expected[name]).all()
    assert (values["layer1.output_norm"] == expected["layer1.output_norm"]).all()
    assert (values["logits"] == expected["logits"]).all()
    crowded, _ = graph_of(model, replace(NANO, weight_tiles=64))
    assert crowded.tensors.keys() == together.tensors.keys()


def test_costs_follow_shape_and_sparsity(model):
    dense, ids = graph_of(model, FOUR)
    sparse, _ = graph_of(model, FOUR, target_sparsity=0.5, weight_sparsity=0.5)
    totals = []
    for graph in (dense, sparse):
        plan, cost = lower(graph, FOUR, chunks=4, fine=True), Cost(graph, FOUR)
        products = [s for s in plan.steps if isinstance(s, MatMulStep)]
        totals.append((sum(cost.busy(s) * s.parts for s in products), sum(map(cost.load, plan.blocks.values()))))
    (busy, load), (sparse_busy, sparse_load) = totals
    tiles = sum(math.prod(s.counts.values()) for s in products)
    assert busy >= tiles / FOUR.pes * FOUR.tile
    assert 0.3 * busy < sparse_busy < 0.8 * busy
    assert 0.5 * load < sparse_load < 0.8 * load


def test_the_last_weights_that_arrive_are_few(model):
    """One grid width of columns, so that little is left to do; orders that nothing is planned for keep their blocks."""
    graph, _ = graph_of(model, FOUR)
    plans = [lower(graph, FOUR, chunks=4, fine=fine) for fine in (True, False)]
    widths = [[block.columns for block in plan.blocks.values() if block.sources == ("pooler.weight",)] for plan in plans]
    assert widths == [[2, 2], [4]]


def test_pieces_that_take_turns_have_a_plan():
    """A block of weights is used again by the next piece of rows, after steps that wait for room: nothing waits in a circle."""
    config = replace(AcceleratorConfig.load("edge"), name="small_edge", grid_rows=2, grid_columns=4, activation_tiles=1664,
                     weight_tiles=1664)
    program = compile_encoder(load_checkpoint(BERT_TINY), config, torch.full((4, 128), 1000), [128] * 4, weight_sparsity=0.5,
                              target_sparsity=0.5)
    assert program.planned_cycles > 10_000
