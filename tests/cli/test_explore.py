"""The cycle model of the PE array: exact where dense, near the RTL's recorded figures, and ordered as the mechanisms say."""

from pathlib import Path

import numpy as np
import pytest

from acceltran.cli.explore import (
    REFERENCES,
    SECTIONS,
    compare,
    point_name,
    reference_table,
    section_table,
    update_document,
)
from acceltran.sim.grid_lanes import LOSSES
from acceltran.sim.grid_model import run_points
from acceltran.sim.grid_work import GridPoint, grid_work

TOLERANCE = 0.04
ONE = GridPoint(rows=1, columns=1, m=64, k=128, n=16)
FOUR = GridPoint(m=64, k=128, n=64)


def cycles(*points):
    return [result.cycles for result in run_points(list(points))]


@pytest.mark.parametrize("change", [
    {}, {"skip": "none"}, {"skip": "activation"}, {"tile": 8}, {"psum_tiles": 2}, {"psum_tiles": 4, "a_rows": 8},
    {"operand_slots": 3, "lines_per_beat": 1}, {"holds": 2, "drain": 2, "write_lines": 2},
])
def test_dense_operands_take_t_cycles_per_step(change):
    point = ONE.but(**change)
    (result,) = run_points([point])
    assert result.multiplications == point.m * point.k * point.n
    after_first = point.steps - point.psum_tiles * point.k // point.tile
    assert result.cycles - result.first_output >= after_first * point.tile
    assert point.bound < result.cycles <= point.bound + 4 * point.tile + 16 * (point.psum_tiles - 1) + 8


def test_transposed_operands_are_used_only_when_they_are_whole():
    straight, transposed = cycles(FOUR, FOUR.but(transpose=True))
    assert straight < transposed <= straight + 4
    straight, transposed = cycles(*(FOUR.but(k=256, a_sparsity=0.8, b_sparsity=0.5, transpose=t) for t in (False, True)))
    assert transposed > 1.05 * straight


@pytest.mark.parametrize("change", [{}, {"psum_tiles": 2, "a_rows": 8}, {"psum_tiles": 2, "shared": "a"}, {"transpose": True}])
@pytest.mark.parametrize("skip", ["none", "activation", "both"])
def test_every_multiplication_is_done_once(skip, change):
    point = FOUR.but(a_sparsity=0.6, b_sparsity=0.3, skip=skip, **change)
    rng = np.random.default_rng(point.seed)
    i, j, k = point.m // 16, point.n // 16, point.k // 16
    a, b = rng.random((i, k, 16, 16)) >= 0.6, rng.random((k, j, 16, 16)) >= 0.3
    expected = {
        "none": point.m * point.k * point.n,
        "activation": int(a.sum()) * point.n,
        "both": int(np.einsum("ikrc,kjcd->", a.astype(int), b.astype(int))),
    }[skip]
    (result,) = run_points([point])
    assert result.multiplications == expected
    assert sum(result.lost.values()) + result.utilisation == pytest.approx(1)


def test_near_the_figures_recorded_on_the_rtl():
    quick = [r for r in REFERENCES if r.point.bound < 4096]
    assert {r.what for r in quick} == {"array", "PE core"} and {r.point.skip for r in quick} == {"both", "activation"}
    for reference, model, deviation in compare(references=quick):
        assert abs(deviation) <= TOLERANCE, (reference, model)
        if not reference.point.a_sparsity + reference.point.b_sparsity:
            assert abs(deviation) <= 0.004, (reference, model)


def test_p6_points_are_named_by_what_is_built_and_what_differs():
    """`mini` is what the generator builds for it; what was recorded before that is named by its differences."""
    mini = GridPoint(window=5, psum_tiles=2, a_rows=8, write_lines=4)
    assert point_name(mini) == "mini"
    assert point_name(GridPoint()) == "mini with window = 4, psum_tiles = 1, write_lines = 1"
    assert point_name(mini.but(m=64, k=64, n=64, a_sparsity=0.5)) == "mini"
    assert point_name(GridPoint(rows=8, columns=8, operand_slots=3, write_lines=4)) == "edge"
    assert point_name(mini.but(window=8, b_slots=3, ports="own")) == "mini with window = 8, b_slots = 3, ports = own"
    assert point_name(mini.but(a_rows=None)) == "mini with a_rows = 4"
    names = {r.name for r in REFERENCES}
    assert names == {"PE core", "mini with window = 4, psum_tiles = 1, write_lines = 1"}
    table = reference_table([(r, r.cycles or r.cycles_per_step, 0.0) for r in REFERENCES])
    assert "| mini |" not in table and table.count("| mini with window = 4, psum_tiles = 1, write_lines = 1 |") == 7


def test_more_of_a_mechanism_is_not_slower():
    half = FOUR.but(k=256, a_sparsity=0.5, b_sparsity=0.5)
    none, activation, narrow, wide, a_slots, b_slots, slots = cycles(
        half.but(skip="none"), half.but(skip="activation"), half.but(window=2), half, half.but(a_slots=3),
        half.but(b_slots=3), half.but(operand_slots=3))
    assert none > 1.6 * activation and activation > narrow > wide > max(a_slots, b_slots) and min(a_slots, b_slots) > slots


def test_the_dense_operand_bounds_sparse_activations():
    sparse = FOUR.but(k=512, a_sparsity=0.9)
    built, shared, rows, both, lines = cycles(
        sparse, sparse.but(psum_tiles=2), sparse.but(a_rows=8), sparse.but(psum_tiles=2, a_rows=8),
        sparse.but(lines_per_beat=8))
    least = sparse.steps * sparse.tile // sparse.lines_per_beat
    assert min(built, shared, rows) >= least
    assert both < 0.85 * least and lines < 0.85 * least


def test_write_ports_bound_short_products():
    short = GridPoint(rows=8, columns=8, operand_slots=3, m=256, k=64, n=128)
    built, words, balanced, both = run_points([
        short, short.but(write_lines=4), short.but(ports="balanced"), short.but(write_lines=4, ports="balanced")])
    rounds = short.steps // (short.k // short.tile)
    assert built.cycles >= rounds * 8 * short.tile
    assert balanced.cycles >= rounds * 4 * short.tile
    assert built.cycles > balanced.cycles > words.cycles > both.cycles


def test_runs_of_a_batch_do_not_touch_each_other():
    half = FOUR.but(a_sparsity=0.5, b_sparsity=0.5)
    points = [half.but(seed=3), half.but(k=64, window=8, operand_slots=3, psum_tiles=2), half.but(window=2),
              FOUR.but(m=128, a_sparsity=0.9, skip="activation", fifo_tiles=4), half.but(n=32, transpose=True, holds=2)]
    together, alone = run_points(points), [run_points([p])[0] for p in points]
    assert together == alone


def test_shared_tiles_are_streamed_once():
    changes = {}, {"psum_tiles": 2}, {"psum_tiles": 2, "shared": "a"}
    plain, rows, columns = (grid_work(FOUR.but(**change)) for change in changes)
    assert plain.a_masks.shape[1] == plain.b_masks.shape[1] == FOUR.steps
    assert (rows.a_masks.shape[1], rows.b_masks.shape[1]) == (FOUR.steps, FOUR.steps // 2)
    assert (columns.a_masks.shape[1], columns.b_masks.shape[1]) == (FOUR.steps // 2, FOUR.steps)


@pytest.mark.parametrize(("change", "words"), [
    ({"m": 72}, "multiples of tile"), ({"m": 48}, "2 x 2 grid"), ({"m": 64, "psum_tiles": 4}, "psum_tiles = 4"),
    ({"ports": "bank"}, "choose one of"), ({"drain": 2}, "multiple of drain"),
])
def test_points_that_cannot_be_run_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        FOUR.but(**change)


def test_the_document_has_every_table():
    section = SECTIONS[1]
    results = run_points([p.but(m=64, k=16, n=32) for p in section.points()])
    table = section_table(section, results)
    assert len(table.splitlines()) == len(section.changes) + 2 and "window 8, operand_slots 3" in table
    assert set(results[0].lost) == set(LOSSES)
    text = "# Title\n<!-- mini -->\n| old |\n| older |\n\nProse.\n<!-- mini-sharing -->\n"
    new = update_document(text, {"mini": "| new |"})
    assert new == "# Title\n<!-- mini -->\n| new |\n\nProse.\n<!-- mini-sharing -->\n"
    assert update_document(new, {"mini": "| new |"}) == new
    with pytest.raises(ValueError, match="edge"):
        update_document(text, {"edge": ""})
    document = Path(__file__).parents[2] / "docs" / "exploration.md"
    update_document(document.read_text(), dict.fromkeys(("rtl", *(s.key for s in SECTIONS)), "| x |"))
