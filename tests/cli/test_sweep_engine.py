"""Points on Dask: all are done once, whatever dies, and what fails is told."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import dask
import pytest

from acceltran.cli.sweep import engine
from acceltran.cli.sweep.cluster import local_client, remote_client
from acceltran.cli.sweep.engine import run_points
from acceltran.cli.sweep.store import read_table
from acceltran.hw.spec.errors import InputError
from support.sweep_points import LINES, act

TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def client():
    with dask.config.set({"distributed.scheduler.allowed-failures": 1}), local_client(2) as client:
        yield client


def lines(folder):
    return Counter((folder / LINES).read_text().split())


def run(client, folder, deeds, **options):
    """The outcomes of points with these deeds, by number, each once."""
    points = [(number, (str(folder), number, deed)) for number, deed in enumerate(deeds)]
    found = list(run_points(client, act, points, **options))
    assert len({key for key, _ in found}) == len(found) == len(deeds)
    return dict(found)


def test_points_come_one_by_one_from_two_processes(client, tmp_path):
    found = run(client, tmp_path, [""] * 12)
    assert all(one.state == "done" and one.value["square"] == number**2 for number, one in found.items())
    pids = {one.value["pid"] for one in found.values()}
    assert len(pids) == 2 and os.getpid() not in pids
    assert all(one.seconds >= 0.05 and one.cpu_seconds < one.seconds for one in found.values())
    assert all(str(one.value["pid"]) in one.worker for one in found.values())
    assert set(lines(tmp_path).values()) == {1} and len(lines(tmp_path)) == 12
    assert run(client, tmp_path, []) == {}


def test_what_is_refused_or_fails_stops_nothing(client, tmp_path):
    found = run(client, tmp_path, ["", "refuse", "raise", "", "fail"])
    assert [one.state for _, one in sorted(found.items())] == ["done", "refused", "failed", "done", "failed"]
    assert found[4].error == "no license"
    assert found[1].error == "number = 1: choose another"
    assert found[2].error.startswith("KeyError: 2 (sweep_points.py, line ")


def test_a_worker_that_is_killed_loses_nothing(client, tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "_LOOK", 0)
    told = []
    found = run(client, tmp_path, [""] * 5 + ["die once"] + [""] * 60, tell=told.append)
    assert all(one.state == "done" for one in found.values()), found
    assert len(lines(tmp_path)) == 66 and lines(tmp_path).total() <= 67, "a result may die with its worker before it is told"
    assert told == ["a worker was lost; what was under way there is tried again"]


def test_a_point_that_kills_its_workers_is_given_up(client, tmp_path):
    found = run(client, tmp_path, ["", "die", *[""] * 6])
    assert found.pop(1).error.startswith("its worker died 2 times while it was under way")
    assert all(one.state == "done" for one in found.values()), "nothing else is blamed"


def test_a_program_that_is_killed_goes_on(tmp_path):
    program = [sys.executable, TESTS / "support" / "sweep_points.py", tmp_path, "40"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}
    killed = subprocess.Popen(program, env=environment, stderr=subprocess.DEVNULL)
    while len(list((tmp_path / "rows").glob("rows-*"))) < 5:
        assert killed.poll() is None, "it ended before it was killed"
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    table, damaged = read_table(tmp_path / "rows")
    before = table.to_pylist()
    assert 5 <= len(before) < 40 and not damaged
    time.sleep(1)  # Its workers end by themselves, and what they were at may still leave its line.
    counted = lines(tmp_path)
    done = subprocess.run(program, env=environment, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    table, damaged = read_table(tmp_path / "rows")
    assert table.slice(0, len(before)).to_pylist() == before and not damaged, "what was done stays as it was"
    assert sorted(map(int, table["identity"].to_pylist())) == list(range(40))
    again = lines(tmp_path) - counted
    assert set(again) == {str(n) for n in range(40)} - {row["identity"] for row in before} and set(again.values()) == {1}


def test_a_scheduler_that_is_not_there_is_refused():
    with pytest.raises(InputError, match="--scheduler tcp://127.0.0.1:9: there is no scheduler of Dask"):
        with remote_client("tcp://127.0.0.1:9", timeout=0.3):
            pass
    with pytest.raises(InputError, match="there is no scheduler of Dask"):
        with remote_client("nowhere", timeout=0.3):
            pass
