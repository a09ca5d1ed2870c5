"""`acceltran sweep`: from a file to rows, tables, a page; going on, and exit codes."""

import csv
import json
import re
import sys

import pytest

from acceltran.cli import main as cli
from acceltran.cli.sweep import estimates, sweep_command
from acceltran.cli.sweep.engine import Outcome
from acceltran.cli.sweep.estimates import Request, WorkerError, estimate_row
from acceltran.cli.sweep.results import Measure, Results, read_sweep
from acceltran.hw.spec.errors import InputError

GOOD = """
[setting]
model = "random:bert-tiny"
config = "nano"
tokens = 8
[vary]
fields.bus_width = [64, 128]
"""
BAD = GOOD + """
[[point]]
name = "no <banks>"
fields.grid_columns = 4
[[point]]
name = "twin"
fields.bus_width = 64
"""


@pytest.fixture
def sweep(monkeypatch, capsys, tmp_path):
    """Run the command in an empty folder; its exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def sweep(*arguments):
        monkeypatch.setattr(sys, "argv", ["acceltran", "sweep", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return stop.value.code, *capsys.readouterr()

    (tmp_path / "good.toml").write_text(GOOD)
    (tmp_path / "bad.toml").write_text(BAD)
    return sweep


@pytest.fixture
def toy(monkeypatch):
    """In place of the cluster: points whose cycles are known at once, and what was asked for."""
    asked = []

    class Client:
        __enter__ = __exit__ = lambda self, *_: None

    def run_points(client, function, points, *, tell):
        for key, request in points:
            asked.append(request.values)
            width = request.values["fields"].get("bus_width")
            if width is None:
                yield key, Outcome(state="refused", error="no banks")
            else:
                yield key, Outcome(state="done", value={
                    "cycles": 1000 // width, "area": {"mm2": width}, "deep": {"power": width}})

    monkeypatch.setattr(sweep_command, "local_client", lambda workers: Client())
    monkeypatch.setattr(sweep_command, "run_points", run_points)
    return asked


def test_from_a_file_to_a_page(sweep, tmp_path):
    code, out, err = sweep("bad.toml", "-o", "rows", "--workers", 1, "--json", "a.json", "--csv", "a.csv", "--report", "a.html",
                           "--plot", "a.svg", "--pareto", "cycles,multipliers,utilisation.bus:more")
    assert code == 1 and "3 points: 2 done, 1 failed" in out
    assert "1 of 4 points are the same as others, and are left out: 'twin' is the same as 'fields.bus_width=64'" in err
    assert "no <banks>: refused: activation_banks = 2: needs at least max(grid_rows, grid_columns) = 4; raise it" in err
    assert "sweep: 3 points on 1 process; results go to rows" in err
    first, second, _ = rows = json.loads((tmp_path / "a.json").read_text())["rows"]
    assert first["cycles"] > second["cycles"] and first["setting.fields.bus_width"] == first["fields.bus_width"] == 64
    assert [row["state"] for row in rows] == ["done", "done", "refused"]
    assert first["multipliers"] == 64 and 0 < first["utilisation.bus"] < 1 and first["counters.multiplications"] > 0
    assert first["planned_cycles"] > 0 and first["cpu_seconds"] > 0 and len({row["identity"] for row in rows}) == 3
    assert re.search(rf"128 +{second['cycles']:,} +64 +0\.\d+ +\* *\n", out)
    with (tmp_path / "a.csv").open() as file:
        cycles = [int(row["cycles"]) for row in csv.DictReader(file) if row["state"] == "done"]
    assert cycles == [first["cycles"], second["cycles"]]
    page = (tmp_path / "a.html").read_text()
    assert "<title>bad, 3 points</title>" in page and page.count("<circle") == 6 and f"{second['cycles']:,}" in page
    assert "no &lt;banks&gt;" in page and "<banks>" not in page and "utilisation.memory" in page
    assert "Pareto front" in (tmp_path / "a.svg").read_text()
    assert read_sweep("rows").num_rows == 3
    before = {path: path.read_bytes() for path in (tmp_path / "rows").glob("rows-*")}
    code, out, err = sweep("good.toml", "-o", "rows")
    assert (code, out) == (2, "") and err == ("error: output = 'rows': is not empty; add --resume to go on with it, or name "
                                              "another folder\n")
    code, out, err = sweep("bad.toml", "-o", "rows", "--resume")
    assert code == 1 and "3 of 3 points are there already" in err and "processes" not in err
    assert {path: path.read_bytes() for path in (tmp_path / "rows").glob("rows-*")} == before
    assert sweep("good.toml", "-o", "rows", "--resume")[0] == 0, "what was refused is no point of this file"


def test_a_dry_run_prints_the_points(sweep, tmp_path):
    code, out, err = sweep("bad.toml", "--dry-run")
    assert (code, err) == (0, "") and out.splitlines() == [
        "    1  fields.bus_width=64", "    2  fields.bus_width=128", "    3  no <banks>", "    4  twin", "4 points"]
    assert len(list(tmp_path.iterdir())) == 2


def test_the_usual_folder_and_another_measure(sweep, toy, tmp_path):
    code, out, err = sweep("good.toml")
    assert code == 0 and len(toy) == 2 and "2 points on the Pareto front of cycles and area.mm2" in out
    code, out, err = sweep("--show", "build/sweeps/good", "--pareto", "deep.power:more", "--best", 1)
    assert code == 0 and err == "" and len(toy) == 2 and "1 point on the Pareto front of deep.power" in out
    assert re.search(r"128 +7 +128 +\* *\n", out) and "the best 1 of 2 points, by deep.power" in out


def test_the_page_says_what_is_missing(sweep, toy, tmp_path):
    sweep("good.toml", "-o", "a")
    text = (tmp_path / "a" / "sweep.json").read_text()
    (tmp_path / "a" / "sweep.json").write_text(text.replace('"points": {', '"points": {"more": "0", '))
    code, out, err = sweep("--show", "a", "--report", "a.html")
    assert code == 1 and "3 points: 2 done, 0 failed, 1 not tried yet: go on with --resume" in out
    assert "not tried yet" in (tmp_path / "a.html").read_text()
    for part in (tmp_path / "a").glob("rows-*"):
        part.write_bytes(b"PAR1")
    code, out, err = sweep("--show", "a", "--report", "a.html", "--json", "a.json", "--csv", "a.csv")
    assert (code, out) == (1, "3 points: 0 done, 0 failed, 3 not tried yet: go on with --resume\n")
    assert err.count("is damaged and left out") == 2
    assert sweep("good.toml", "-o", "a", "--resume")[0] == 0 and len(toy) == 4


def test_what_was_refused_is_not_tried_again_and_what_failed_is(sweep, toy, monkeypatch):
    assert sweep("bad.toml", "-o", "a")[0] == 1 and len(toy) == 3
    assert sweep("bad.toml", "-o", "a", "--resume")[0] == 1 and len(toy) == 3
    fails = Outcome(state="failed", error="its worker died")
    works = sweep_command.run_points
    monkeypatch.setattr(sweep_command, "run_points", lambda client, function, points, tell: ((key, fails) for key, _ in points))
    code, _, err = sweep("good.toml", "-o", "b")
    assert code == 1 and "fields.bus_width=64: failed: its worker died" in err
    monkeypatch.setattr(sweep_command, "run_points", works)
    assert sweep("good.toml", "-o", "b", "--resume")[0] == 0 and len(toy) == 5
    assert read_sweep("b")["state"].to_pylist() == ["done", "done"]


def test_other_sources_and_other_files_are_other_points(sweep, toy, monkeypatch, tmp_path):
    assert sweep("good.toml", "-o", "a")[0] == 0 and len(toy) == 2
    (tmp_path / "mine.toml").write_text("tile = 8\nactivation_tiles = 64")
    (tmp_path / "good.toml").write_text(GOOD.replace("nano", "mine.toml"))
    assert sweep("good.toml", "-o", "a", "--resume")[0] == 0 and len(toy) == 4
    (tmp_path / "mine.toml").write_text("tile = 8\nactivation_tiles = 128")
    estimates._configuration.cache_clear()
    code, _, err = sweep("good.toml", "-o", "a", "--resume")
    assert code == 0 and len(toy) == 6 and "4 rows in a are of other points or of other sources, and are not shown" in err
    monkeypatch.setattr(estimates, "sources", lambda: "changed")
    assert sweep("good.toml", "-o", "a", "--resume")[0] == 0 and len(toy) == 8
    assert read_sweep("a").num_rows == 2


def test_a_sweep_that_is_stopped_goes_on(sweep, toy, monkeypatch):
    whole = sweep_command.run_points

    def stopped(*arguments, **keywords):
        yield next(whole(*arguments, **keywords))
        raise KeyboardInterrupt

    monkeypatch.setattr(sweep_command, "run_points", stopped)
    code, _, err = sweep("good.toml", "-o", "a")
    assert code == 1 and err.endswith("error: stopped: the points that were done are kept in a; the same command with --resume "
                                      "goes on\n")
    monkeypatch.setattr(sweep_command, "run_points", whole)
    code, _, err = sweep("good.toml", "-o", "a", "--resume")
    assert code == 0 and "1 of 2 points are there already" in err
    assert [values["fields"]["bus_width"] for values in toy] == [64, 128]


@pytest.mark.parametrize(("arguments", "said"), [
    ("", "sweep: give either a file with the points, or --show and the folder of a sweep"),
    ("good.toml --show .", "sweep: give either a file with the points, or --show and the folder of a sweep"),
    ("--show . --resume", "--resume and --show: nothing is run with --show; leave one of them out"),
    ("--show .", ".: is not the folder of a sweep, since it has no sweep.json: name one that acceltran sweep wrote"),
    ("none.toml", "none.toml: cannot be read: No such file or directory"),
    ("good.toml --workers 2 --scheduler tcp://a:1", "--workers and --scheduler: give one of them, since a running cluster has "
                                                    "the workers that it has"),
    ("good.toml --pareto cycles:most", "--pareto cycles:most: give columns with commas between them, such as cycles,area.mm2; "
                                       "if more is better, with :more behind the name"),
    ("good.toml --csv nowhere/a.csv", "output = 'nowhere/a.csv': its folder does not exist; make it first"),
    ("good.toml --pareto cycls", "--pareto cycls: no such column of numbers: did you mean cycles?"),
    ("good.toml --pareto power", "--pareto power: no such column of numbers: did you mean deep.power?"),
    ("good.toml --pareto cycles --plot a.svg", "--plot needs two measures, and --pareto cycles has one: give another, such as "
                                               "cycles,area.mm2"),
])
def test_bad_input_is_one_line(sweep, toy, arguments, said):
    code, _, err = sweep(*arguments.split())
    assert code == 2 and err.splitlines()[-1] == f"error: {said}"


def test_a_worker_that_lacks_something_says_so(tmp_path, monkeypatch):
    with pytest.raises(WorkerError, match="the worker has other sources of AccelTran"):
        estimate_row(Request({}, "others", "a"))
    for values, said in (({"model": "/nowhere"}, "on the worker: model = '/nowhere': no such folder"),
                         ({"config": "/nowhere"}, "on the worker: config = '/nowhere': neither")):
        with pytest.raises(WorkerError, match=said):
            estimate_row(Request({"model": "random:bert-tiny", "tokens": 8} | values, estimates.sources(), "a"))


def test_what_another_sweep_left_in_a_process_is_not_used(monkeypatch):
    read = []
    monkeypatch.setattr(estimates, "estimate_setting", lambda setting: read.append(setting.checkpoint()) or {"setting": {}})
    values = {"model": "random:bert-tiny", "tokens": 8}
    for sweep in ("b", "b", "c"):
        assert estimate_row(Request(values, estimates.sources(), sweep)) == {"multipliers": 1024}
    assert read[0] is read[1] is not read[2]


def test_columns_of_numbers_and_what_varies():
    rows = [{"state": "done", "cycles": 3, "area": 1.5, "setting.a": 1, "setting.b": "x"},
            {"state": "done", "cycles": 2, "name": "y", "setting.a": True, "setting.b": "x"},
            {"state": "failed", "setting.a": 2, "setting.b": "y"}]
    results = Results("a", {"1": "1", "2": "2", "3": "3"}, rows, [])
    assert results.numeric() == ["cycles", "area"] and results.varied() == ["setting.a"]
    assert results.on_front([Measure("cycles")]) == [False, True]
    assert results.on_front(Measure.several("cycles:more, area")) == [True, False]
    with pytest.raises(InputError, match="they are cycles, area"):
        results.check([Measure("xyz")])
