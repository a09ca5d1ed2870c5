"""Graphs that are split: sentences in parts, heads in groups, rows in pieces; every integer is that of the whole graph."""

from dataclasses import replace

import pytest
import torch

from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.sw.compiler import arrange, compile_graph, quantise_encoder
from acceltran.sw.compiler.assembly import CONFLICT, Assembly
from acceltran.sw.compiler.room import splits
from acceltran.sw.compiler.split import Split
from acceltran.sw.ir.execute import execute
from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.encoder_config import EncoderConfig
from acceltran.sw.models.tiny_encoder import random_checkpoint
from support.machine import Machine
from support.models import make_checkpoint, random_texts

NANO = AcceleratorConfig.load("nano")
FOUR = replace(NANO, name="four", grid_rows=2, grid_columns=2, activation_banks=4, weight_banks=2, lines_per_beat=4,
               weight_tiles=64, vector_lines=32)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return load_checkpoint(make_checkpoint(tmp_path_factory.mktemp("model"), hidden=32, heads=4, ffn=96, positions=64))


def graph_of(checkpoint, config, lengths, **options):
    encoder = quantise_encoder(checkpoint, config, calibration_texts=random_texts(2, 9))
    ids = torch.arange(len(lengths) * max(lengths)).reshape(len(lengths), -1) % 50 + 5
    return encoder.build_graph(lengths, max(lengths), **options), ids


def compare(program, golden, seeds=2):
    for seed in range(seeds):
        machine = Machine(program, seed)
        machine.run()
        assert machine.seen.keys() == golden.keys()
        assert all((machine.seen[name] == values).all() for name, values in golden.items()), seed


SPLITS = {
    "parts of one": Split(1, 4, 4, 4, 4), "parts of two": Split(2, 4, 8, 4, 4), "heads": Split(3, 1, 12, 4, 12),
    "rows": Split(3, 4, 2, 4, 2), "scores": Split(3, 4, 12, 1, 12), "odd": Split(2, 3, 3, 3, 2), "all": Split(1, 1, 1, 1, 1),
}


@pytest.mark.parametrize("resident", [False, True])
@pytest.mark.parametrize("name", SPLITS)
def test_split_programs_compute_the_golden_tensors(checkpoint, monkeypatch, name, resident):
    config = replace(FOUR, weight_tiles=2048, vector_lines=512) if resident else FOUR
    graph, ids = graph_of(checkpoint, config, [25, 9, 30])
    monkeypatch.setattr(arrange._Arranger, "free", lambda self: [])
    monkeypatch.setattr(arrange, "ways", lambda *_: [SPLITS[name]])
    program = compile_graph(graph, config, ids, resident=resident)
    assert sum(len(tensor["pieces"]) for tensor in program.tensors.values()) > len(program.tensors)
    compare(program, execute(graph, ids))


@pytest.mark.parametrize("name", ["heads", "scores", "all"])
def test_scores_with_a_relative_bias(monkeypatch, name):
    """Queries of MPNet are in part loaded; such a graph was no graph to split."""
    encoder = EncoderConfig(
        model_type="mpnet", hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24, vocab_size=60,
        position_rows=66, type_vocab_size=0, first_position=2, padding_position=1, relative_buckets=32, hidden_act="gelu",
        layer_norm_eps=1e-12, num_labels=2, id2label={})
    graph, ids = graph_of(random_checkpoint("mpnet", encoder, "hidden-states"), FOUR, [25, 9])
    monkeypatch.setattr(arrange._Arranger, "free", lambda self: [])
    monkeypatch.setattr(arrange, "ways", lambda *_: [SPLITS[name]])
    compare(compile_graph(graph, FOUR, ids), execute(graph, ids))


@pytest.mark.parametrize("tiles", [72, 100])
def test_a_batch_that_does_not_fit_runs_in_parts(checkpoint, tiles):
    """The whole graph is refused, and what is split finds a plan with room, of which the cycles are known."""
    config = replace(FOUR, activation_tiles=tiles)
    graph, ids = graph_of(checkpoint, config, [20, 32, 9])
    program = compile_graph(graph, config, ids)
    assert program.planned_cycles > 0
    pieces = program.tensors["layer0.hidden"]["pieces"]
    assert len(pieces) > 3 and sum(piece["rows"] * piece["columns"] for piece in pieces) == 12 * 12
    assert max(piece["slot"] + (piece["rows"] - 1) * piece["pitch"] + piece["columns"]
               for tensor in program.tensors.values() for piece in tensor["pieces"]) <= tiles
    compare(program, execute(graph, ids), seeds=1)


def test_splits_come_fastest_first_and_the_tightest_last(checkpoint):
    graph, _ = graph_of(checkpoint, FOUR, [32] * 4)
    found = splits(graph, FOUR)
    assert found[0].sequences == 4 and found[-1] == Split(1, 1, 2, 1, 1)
    assert splits(graph, replace(FOUR, activation_tiles=120))[0].sequences < 4


def test_scores_in_pieces_lower_than_the_grid_come_last(checkpoint):
    """They cost half of the grid, so they are taken only where nothing higher fits."""
    graph, ids = graph_of(checkpoint, FOUR, [64])
    first = {tiles: splits(graph, replace(FOUR, activation_tiles=tiles))[0] for tiles in (156, 140, 116)}
    assert first == {156: Split(1, 1, 4, 2, 2), 140: Split(1, 1, 2, 1, 2), 116: Split(1, 1, 2, 1, 1)}
    program = compile_graph(graph, replace(FOUR, activation_tiles=140), ids)
    assert {piece["rows"] for piece in program.tensors["layer0.scores.0.0"]["pieces"]} == {1}
    compare(program, execute(graph, ids), seeds=1)


def test_copies_that_differ_are_equal_to_nothing(checkpoint):
    config = replace(FOUR, activation_tiles=72)
    graph, ids = graph_of(checkpoint, config, [20, 32, 9])
    program = compile_graph(graph, config, ids)
    name = "embeddings.position_type"
    pieces = program.tensors[name]["pieces"]
    assert len(pieces) > len({piece["row"] for piece in pieces})
    golden = execute(graph, ids)[name]
    for wrong in (None, *range(len(pieces))):
        assembly, whole = Assembly(program), None
        for number, piece in enumerate(pieces):
            rows = slice(8 * piece["row"], 8 * (piece["row"] + piece["rows"]))
            whole = assembly.add(name, piece, golden[rows] + (number == wrong))
            assert (whole is None) is (number < len(pieces) - 1)
        assert whole.equal(golden) is (wrong is None)
    assert CONFLICT >= 1 << config.width
