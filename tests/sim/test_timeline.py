"""Timeline: instructions that overlap get tracks of their own, unit activity becomes periods, from the start of the program."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.sim.system import Interval
from acceltran.sim.timeline import apart, tracks, write_timeline

CONFIG = AcceleratorConfig.load("nano")


@pytest.fixture
def result(tmp_path):
    """PE 0,0 works in cycles 90 to 107, the softmax unit in 110 to 129; times are 10 ns per cycle, edges at 5."""
    log = [(90, 0b001), (100, 0b000), (103, 0b001), (108, 0b000), (110, 0b010), (130, 0b000)]
    (tmp_path / "activity.log").write_text("".join(f"{10 * cycle + 5} {bits:x}\n" for cycle, bits in log))
    intervals = [Interval("vector", 1, 102, 110), Interval("vector", 2, 104, 112), Interval("vector", 3, 110, 120),
                 Interval("matrix", 0, 100, 130), Interval("matrix", 4, 130, 131)]
    return SimpleNamespace(folder=tmp_path, started=100, intervals=intervals)


def test_tracks(result):
    found = tracks(CONFIG, result, {0: "a", 1: "b", 2: "c", 3: "d"})
    assert [(t["group"], t["name"], t["periods"]) for t in found] == [
        ("engines", "memory engine", []),
        ("engines", "matrix engine", [("a", 0, 30), ("SYNC", 30, 31)]),
        ("engines", "vector engine", [("b", 2, 10), ("d", 10, 20)]),
        ("engines", "vector engine", [("c", 4, 12)]),
        ("units", "PE 0,0", [("busy", 0, 8)]),
        ("units", "softmax unit 0", [("busy", 10, 30)]),
        ("units", "layer-norm unit 0", []),
    ]


def test_file(result, tmp_path):
    write_timeline(tmp_path / "t.json", CONFIG, result, {})
    events = json.loads(Path(tmp_path / "t.json").read_text())["traceEvents"]
    threads = {(e["pid"], e["tid"]) for e in events if e["ph"] == "X"}
    assert len([e for e in events if e["name"] == "thread_name"]) == 7
    assert len(threads) == 5
    assert {e["args"]["name"] for e in events if e["name"] == "process_name"} == {"engines", "units"}


@given(st.lists(st.tuples(st.just("x"), st.integers(0, 50), st.integers(1, 20)).map(lambda p: (p[0], p[1], p[1] + p[2]))))
def test_apart(periods):
    lists = apart(periods)
    assert sorted(p for chosen in lists for p in chosen) == sorted(periods)
    for chosen in lists:
        assert all(a[2] <= b[1] for a, b in zip(chosen, chosen[1:], strict=False))
    most = max((sum(start <= at < end for _, start, end in periods) for _, at, _ in periods), default=0)
    assert len(lists) == most
