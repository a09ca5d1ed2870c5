"""`acceltran run` on the RTL: report, timeline, waves, exit codes."""

import json
import subprocess
import sys

import pytest

from acceltran.cli import main as cli
from support.models import TWO_PES, make_checkpoint, random_texts

pytestmark = pytest.mark.slow

KEYS = {"prediction", "cycles", "multiplications", "skipped", "utilisation", "tensors_compared", "mismatches", "sparsity",
        "build_seconds", "simulation_seconds"}


def run(monkeypatch, *arguments):
    """The exit code of `acceltran` with these arguments."""
    monkeypatch.setattr(sys, "argv", ["acceltran", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code


@pytest.fixture
def arguments(tmp_path):
    (tmp_path / "small.toml").write_text(TWO_PES)
    model = make_checkpoint(tmp_path / "model", hidden=16, heads=1, layers=1, ffn=16)
    return ["run", "--config", tmp_path / "small.toml", "--model", model, "--text", random_texts(1, 9)[0]]


def test_report_and_timeline(arguments, tmp_path, monkeypatch, capsys):
    code = run(monkeypatch, *arguments, "--tau", "0.1", "--json", tmp_path / "r.json", "--trace", tmp_path / "t.json",
               "--report", tmp_path / "r.html", "--clock", "100")
    assert code == 0
    assert "intermediate tensors equal" in capsys.readouterr().out
    values = json.loads((tmp_path / "r.json").read_text())
    assert values.keys() >= KEYS
    assert values["mismatches"] == 0 and values["milliseconds"] == values["cycles"] / 100_000
    page = (tmp_path / "r.html").read_text()
    assert "Every integer is equal" in page and f"{values['cycles']:,}" in page and "at 100 MHz" in page
    assert "layer0.probabilities" in page and "head 0" in page and '"PE 0,1"' in page
    assert values["multiplications"] + values["skipped"] == values["dense_multiplications"]
    events = json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    names = {e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert {"memory engine", "matrix engine", "vector engine", "PE 0,0", "PE 0,1", "softmax unit 0"} <= names
    slices = [e for e in events if e["ph"] == "X"]
    threads = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert {threads[e["pid"], e["tid"]] for e in slices} == names
    assert all(0 <= e["ts"] and e["ts"] + e["dur"] <= values["cycles"] + 8 for e in slices)


def test_a_fault_is_an_exit_code(arguments, monkeypatch, capsys):
    from acceltran.sw.ir import execute

    exact = execute.post_process
    monkeypatch.setattr(execute, "post_process", lambda *a, **k: exact(*a, **k) + 1)
    assert run(monkeypatch, *arguments) == 1
    assert "integers differ" in capsys.readouterr().out


def test_waves(arguments, tmp_path, monkeypatch, capsys):
    if subprocess.run(["g++", "-E", "-x", "c++", "-"], input="#include <lz4.h>", text=True, capture_output=True).returncode:
        assert run(monkeypatch, *arguments, "--waves", tmp_path / "w.fst") == 1
        assert "apt-get install liblz4-dev" in capsys.readouterr().err
        return
    assert run(monkeypatch, *arguments, "--waves", tmp_path / "w.fst") == 0
    assert (tmp_path / "w.fst").stat().st_size > 10_000


def test_m13_a_file_in_batches(arguments, tmp_path, monkeypatch, capsys):
    """Three sentences, two of them in one program: predictions in order, those of each sentence alone."""
    texts = [random_texts(1, words, seed=words)[0] for words in (9, 2, 6)]
    (tmp_path / "t.csv").write_text("text,label\n" + "".join(f"{text},1\n" for text in texts))
    given = arguments[:arguments.index("--text")]
    assert run(monkeypatch, *given, "--file", tmp_path / "t.csv", "--batch", "2", "--json", tmp_path / "r.json",
               "--report", tmp_path / "r.html", "--jobs", "2") == 0
    assert "One of 2 batches is shown" in (tmp_path / "r.html").read_text()
    shown = capsys.readouterr()
    assert "read 3 sentences from column 'text'" in shown.err and "batch 2 of 2: comparing" in shown.err
    values = json.loads((tmp_path / "r.json").read_text())
    assert [part["sentences"] for part in values["batches"]] == [2, 1] and values["mismatches"] == 0
    assert values["cycles"] == sum(part["cycles"] for part in values["batches"])
    assert [(p["line"], p["text"]) for p in values["predictions"]] == list(zip((2, 3, 4), texts, strict=True))
    for text, prediction in zip(texts, values["predictions"], strict=True):
        assert run(monkeypatch, *given, "--text", text, "--json", tmp_path / "one.json") == 0
        alone, = json.loads((tmp_path / "one.json").read_text())["predictions"]
        assert alone["logits"] == prediction["logits"]
