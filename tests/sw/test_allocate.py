"""Placement: nothing alive overlaps, neighbours in a column lie in different banks, refusals say what would fit."""

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.hw.spec.isa import Engine
from acceltran.sw.compiler import CompileError, compile_graph, quantise_encoder
from acceltran.sw.compiler.allocate import (
    activation_slots,
    lifetimes,
    live_tiles,
    place_activations,
    place_blocks,
    required_tiles,
)
from acceltran.sw.compiler.pieces import Piece
from acceltran.sw.compiler.steps import Block, Region
from acceltran.sw.models.build_encoder import build_graph
from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.sentences import encode_texts
from support.models import make_checkpoint, random_texts
from support.steps import PlainStep

NANO = AcceleratorConfig.load("nano")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    checkpoint = load_checkpoint(make_checkpoint(tmp_path_factory.mktemp("model"), ffn=64, layers=1))
    encoder = quantise_encoder(checkpoint, NANO, calibration_texts=random_texts(2, 9))
    ids, lengths = encode_texts(checkpoint, random_texts(2, 14))
    return build_graph(encoder, lengths, ids.shape[1], separate=False), ids


def make_steps(spans):
    """A step list in which tensor n is written at its first position and read at its last."""
    steps = [PlainStep(Engine.MATRIX) for _ in range(1 + max(last for *_, last in spans))]
    for number, (rows, columns, first, last) in enumerate(spans):
        region = Region("activation", f"t{number}", 0, 0, rows, columns)
        steps[first].writes.append(region)
        steps[last].reads.append(region)
    return steps


def make_pieces(spans):
    return {f"t{number}": Piece(f"t{number}", 0, 0, rows, columns) for number, (rows, columns, *_) in enumerate(spans)}


def slots(place, rows, columns):
    return {place.slot + i * place.pitch + j for i in range(rows) for j in range(columns)}


SPANS = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(0, 9), st.integers(0, 5)).map(
    lambda t: (t[0], t[1], t[2], t[2] + t[3])), min_size=1, max_size=14)


@settings(max_examples=60)
@given(SPANS, st.booleans(), st.sampled_from([0, 5, 2000]))
def test_live_tensors_never_overlap(spans, pack, spare):
    pieces, steps = make_pieces(spans), make_steps(spans)
    need, largest, size = required_tiles(pieces, steps)
    assert size <= need
    placed = place_activations(pieces, steps, need + spare, pack=pack)
    assert placed is not None or not (pack or spare > 1000)
    for name, place in (placed or {}).items():
        rows, columns, first, _ = spans[int(name[1:])]
        assert place.pitch == activation_slots(rows, columns)[0]
        assert max(slots(place, rows, columns)) < need + spare
        assert place.release <= first
    for (a, p), (b, q) in combinations((placed or {}).items(), 2):
        (ra, ca, fa, la), (rb, cb, fb, lb) = spans[int(a[1:])], spans[int(b[1:])]
        if fa <= lb and fb <= la:
            assert not slots(p, ra, ca) & slots(q, rb, cb)
    if need > 1:
        assert place_activations(pieces, steps, need - 1, pack=True) is None


def test_what_takes_most_for_longest_is_placed_first_where_that_is_lower():
    spans = [(1, 3, 4, 4), (1, 1, 2, 6), (1, 3, 2, 3), (1, 3, 1, 2), (1, 1, 3, 5)]
    pieces, steps = make_pieces(spans), make_steps(spans)
    need, *_ = required_tiles(pieces, steps)
    assert need == live_tiles(pieces, steps) == 7
    assert place_activations(pieces, steps, need, pack=True) is not None


@pytest.mark.parametrize("banks", [1, 2, 4, 64])
@pytest.mark.parametrize("columns", [1, 2, 5, 8, 48])
def test_pitch_spreads_columns_over_banks(banks, columns):
    pitch, slots = activation_slots(4, columns)
    assert slots == 3 * pitch + columns
    assert columns <= pitch <= columns + 1
    assert len({i * pitch % banks for i in range(banks)}) == banks
    assert activation_slots(1, columns) == (columns, columns)


def test_lifetimes_span_first_write_to_last_read():
    assert lifetimes(make_steps([(1, 1, 0, 3), (1, 1, 2, 2)]), "activation") == {"t0": (0, 3), "t1": (2, 2)}


def make_block_steps(blocks, order):
    return [PlainStep(Engine.MATRIX, [blocks[f"b{n}"].region]) for n in order]


def test_blocks_form_a_ring():
    blocks = {f"b{n}": Block("weight", f"b{n}", 4, 4, (f"w{n}",)) for n in range(6)}
    placed = place_blocks(blocks, make_block_steps(blocks, range(6)), "weight", 48, "weight_tiles")
    assert [place.slot for place, _ in placed.values()] == [0, 16, 32, 0, 16, 32]
    assert [place.release for place, _ in placed.values()] == [0, 0, 0, 1, 2, 3]


def test_a_block_in_use_is_not_overwritten():
    blocks = {f"b{n}": Block("weight", f"b{n}", 4, 4, (f"w{n}",)) for n in range(4)}
    steps = make_block_steps(blocks, [0, 1, 2, 3, 0])
    placed = place_blocks(blocks, steps, "weight", 32, "weight_tiles")
    assert [placed[f"b{n}"][0].slot for n in range(4)] == [0, 16, 16, 16]
    with pytest.raises(CompileError, match="w1 needs 16 tiles of the weight buffer beside 16 in use, of 31: "
                                           "raise weight_tiles to 32"):
        place_blocks(blocks, steps, "weight", 31, "weight_tiles")


def test_resident_blocks_keep_their_places():
    """Each has its own, also where a block comes after the last use of another; so the program can run again."""
    blocks = {f"b{n}": Block("weight", f"b{n}", 4, 4, (f"w{n}",)) for n in range(4)}
    steps = make_block_steps(blocks, range(4))
    placed = place_blocks(blocks, steps, "weight", 64, "weight_tiles", resident=True)
    assert [place.slot for place, _ in placed.values()] == [0, 16, 32, 48]
    with pytest.raises(CompileError, match="w2 needs 16 tiles of the weight buffer beside 32 in use, of 32: "
                                           "raise weight_tiles to 64"):
        place_blocks(blocks, steps, "weight", 32, "weight_tiles", resident=True)


def test_activation_refusal_names_a_size_that_fits(model):
    graph, ids = model
    with pytest.raises(CompileError, match=r"raise activation_tiles to \d+") as error:
        compile_graph(graph, replace(NANO, activation_tiles=32), ids)
    need = int(str(error.value).split("raise activation_tiles to ")[1].split(",")[0])
    assert "a piece of layer0.hidden alone 8" in str(error.value)
    compile_graph(graph, replace(NANO, activation_tiles=need), ids)
    with pytest.raises(CompileError):
        compile_graph(graph, replace(NANO, activation_tiles=need - NANO.activation_banks), ids)


def test_weight_and_vector_refusals_name_a_size_that_fits(tmp_path):
    checkpoint = load_checkpoint(make_checkpoint(tmp_path, ffn=160, layers=1))
    encoder = quantise_encoder(checkpoint, NANO, calibration_texts=random_texts(2, 9))
    ids, lengths = encode_texts(checkpoint, random_texts(1, 5))
    graph = build_graph(encoder, lengths, ids.shape[1])
    with pytest.raises(CompileError, match="layer0.output.weight has columns of 20 tiles.*raise weight_tiles to 40"):
        compile_graph(graph, replace(NANO, weight_tiles=32), ids)
    compile_graph(graph, replace(NANO, weight_tiles=40), ids)
    with pytest.raises(CompileError, match="layer0.query.bias needs 24 lines of the vector buffer beside 0 in use, "
                                           "of 16: raise vector_lines to 32"):
        compile_graph(graph, replace(NANO, vector_lines=16), ids)
    compile_graph(graph, replace(NANO, vector_lines=32), ids)
