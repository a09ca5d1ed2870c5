"""The performance model against cycles that were measured on the RTL."""

from pathlib import Path

import pytest

from acceltran.cli.bench.estimate_command import measured
from acceltran.cli.bench.held_points import errors_of, read_points
from acceltran.cli.estimate.point import estimated

POINTS = read_points(Path(__file__).with_name("points.json"))


def test_enough_points_of_every_kind():
    assert len(POINTS) >= 60 and all(point.cycles for point in POINTS)
    assert {point.setting.config for point in POINTS} >= {"nano", "fpga", "mini", "mini_w8", "int8", "edge"}
    settings = [point.setting for point in POINTS]
    assert {1, 2, 4, 8} <= {one.batch for one in settings}
    assert min(one.tokens for one in settings) == 8 and max(one.tokens for one in settings) == 512
    assert {1, 400} <= {one.latency for one in settings}
    assert {1, 2, 4} <= {one.fields.get("memory_ports", 1) for one in settings}
    for kind in ("resident", "prefetch", "tau", "target_sparsity", "weight_sparsity", "sites"):
        assert any(getattr(one, kind) for one in settings)


def held(points):
    """{name: (measured, estimated)} of some points, and their Errors."""
    pairs = {point.name: (point.cycles, estimated(point.setting)[1].cycles) for point in points}
    return pairs, errors_of(pairs.values())


def test_estimates_are_near_the_rtl():
    pairs, errors = held(POINTS)
    assert errors.most <= 0.05, pairs
    assert errors.within >= 0.95, pairs
    assert errors.mean <= 0.015, pairs


def test_memory_ports_are_followed_closely():
    pairs, errors = held([point for point in POINTS if "memory_ports" in point.setting.fields])
    assert len(pairs) >= 7 and errors.most <= 0.01, pairs


def test_settings_drawn_afterwards():
    drawn = read_points(Path(__file__).with_name("drawn.json"))
    assert len(drawn) == 12
    pairs, errors = held(drawn)
    assert errors.most <= 0.05, pairs


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mini-24", "mini-128-sparse-sites", "nano-24-half", "int8-24-batch-4", "mini_w8-24-resident"])
def test_recorded_cycles_are_those_of_the_rtl(name):
    (point,) = (point for point in POINTS if point.name == name)
    assert measured(point.setting) == point.cycles
