"""The study: what is there is not run again; summary, tables and plots say what the evaluations say."""

import pytest

from acceltran.sw.evaluate import Method
from acceltran.sw.evaluate import study as study_module
from acceltran.sw.evaluate.document import best, summary, tables, update_document
from acceltran.sw.evaluate.study import Curve, run_study


def run(method, strength, accuracy, zeros, left, weights=0.0):
    shares = {"sparsity": zeros, "sparsity_padded": zeros + 0.1, "remaining_multiplications": left,
              "remaining_multiplications_padded": left - 0.05}
    return {"model": "models/m", "weight_sparsity": weights, "method": method, "strength": strength, "accuracy": accuracy,
            "accuracy_stderr": 0.013} | {key: {"all": share} for key, share in shares.items()}


RUNS = [run("none", "", 0.82, 0.0, 1.0), run("dynatran", "0.01", 0.816, 0.06, 0.95), run("dynatran", "0.02", 0.811, 0.1, 0.9),
        run("dynatran", "0.05", 0.79, 0.3, 0.7), run("top-k", "8", 0.818, 0.02, 0.99), run("top-k", "1", 0.7, 0.05, 0.97),
        run("per-site", "chosen", 0.812, 0.6, 0.4)]
VALUES = {f"{n}": r for n, r in enumerate(RUNS)}


def test_the_best_within_a_loss():
    assert best(RUNS[1:4], RUNS[0], 0.5, "sparsity", True) is RUNS[1]
    assert best(RUNS[1:4], RUNS[0], 1.0, "remaining_multiplications", False) is RUNS[2]
    assert best(RUNS[3:4], RUNS[0], 1.0, "sparsity", True) is None


def test_summary_and_tables():
    rows = [line.split(" | ") for line in summary(VALUES).splitlines() if line.startswith("| m,")]
    assert [row[1].partition(":")[0] for row in rows] == ["zeros", "zeros, padded", "multiplications removed"]
    assert rows[0][3] == "6.0 % (tau 0.01, accuracy 81.60 %)" and rows[0][5] == "3.00 |"
    assert rows[2][3] == "60.0 % (point chosen, accuracy 81.20 %)" and rows[2][5] == "6.00 |"
    assert "### m, weights as trained" in tables(VALUES)
    assert "| top-k | keep 8 | 81.80 | 1.30 | 2.0 | 12.0 | 99.0 | 94.0 |" in tables(VALUES)
    lone = summary({"0": RUNS[0], "1": RUNS[3]})
    assert "| none | none |  |" in lone


def test_document(tmp_path):
    path = tmp_path / "d.md"
    path.write_text("text\n<!-- summary -->\n<!-- end -->\nmore\n<!-- tables -->\nold\n<!-- end -->\nlast\n")
    plots = update_document(path, VALUES | {"x": run("none", "", 0.81, 0.0, 0.5, 0.5)})
    text = path.read_text()
    assert "old" not in text and "more" in text and text.endswith("<!-- end -->\nlast\n")
    assert "50% of the weights pruned" in text
    assert [p.name for p in plots] == ["dynatran-sparsity.svg", "dynatran-padded.svg", "dynatran-remaining.svg"]
    first = [p.read_bytes() for p in plots]
    update_document(path, VALUES | {"x": run("none", "", 0.81, 0.0, 0.5, 0.5)})
    assert path.read_text() == text and first == [p.read_bytes() for p in plots]


def test_what_is_there_is_not_run_again(tmp_path, monkeypatch):
    asked = []

    def evaluate(checkpoint, hardware, texts, labels, method, *, length, baseline):
        assert (checkpoint, length, baseline) == ("loaded m", 64, False)
        asked.append(method)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return {"accuracy": 0.5}

    monkeypatch.setattr(study_module, "evaluate", evaluate)
    curves = [Curve("m", 0.5, "none", {"": {}}), Curve("m", 0.5, "dynatran", {"0.1": {"tau": 0.1}, "0.2": {"tau": 0.2}})]
    arguments = curves, lambda name: f"loaded {name}", None, [], []
    with pytest.raises(KeyboardInterrupt):
        run_study(*arguments, length=64, results=tmp_path / "r.json")
    lines = []
    values = run_study(*arguments, length=64, results=tmp_path / "r.json", report=lines.append)
    assert lines == ["m 0.5 dynatran 0.2"] and len(asked) == 4
    assert asked[-1] == Method(name="dynatran", tau=0.2, weight_sparsity=0.5)
    assert [(r["method"], r["strength"], r["accuracy"]) for r in values.values()] == [
        ("none", "", 0.5), ("dynatran", "0.1", 0.5), ("dynatran", "0.2", 0.5)]
