"""The study: what is there is not run again; summary, tables and plots say what the evaluations say."""

from pathlib import Path

import pytest
import torch

from acceltran.cli.evaluate import Method
from acceltran.cli.evaluate import study as study_module
from acceltran.cli.evaluate.document import best, formats, summary, tables, update_document
from acceltran.cli.evaluate.study import POINTS, Curve, choose_strengths, run_study
from acceltran.cli.train.train import BERT, CONFIG
from acceltran.sw.models.checkpoint import Checkpoint
from acceltran.sw.models.tasks import TASKS


def run(method, strength, accuracy, zeros, left, weights=0.0, word_format=None):
    shares = {"sparsity": zeros, "sparsity_padded": zeros + 0.1, "remaining_multiplications": left,
              "remaining_multiplications_padded": left - 0.05}
    return {"model": "models/m", "weight_sparsity": weights, "method": method, "strength": strength, "accuracy": accuracy,
            "accuracy_stderr": 0.013, "format": word_format} | {key: {"all": share} for key, share in shares.items()}


RUNS = [run("none", "", 0.82, 0.0, 1.0), run("dynatran", "0.01", 0.816, 0.06, 0.95), run("dynatran", "0.02", 0.811, 0.1, 0.9),
        run("dynatran", "0.05", 0.79, 0.3, 0.7), run("top-k", "8", 0.818, 0.02, 0.99), run("top-k", "1", 0.7, 0.05, 0.97),
        run("per-site", "0.5", 0.812, 0.6, 0.4), run("per-site", "0.75", 0.8, 0.7, 0.3)]
VALUES = {f"{n}": r for n, r in enumerate(RUNS)}
CHOICES = {"models/m 0.0 dynatran 0.5": "0.02", "models/m 0.0 top-k 0.5": None, "models/m 0.0 dynatran 1.0": "0.02",
           "models/m 0.0 per-site 1.0": "0.75"}


def test_the_best_within_a_loss():
    assert best(RUNS[1:4], RUNS[0], 0.5, "sparsity", True) is RUNS[1]
    assert best(RUNS[1:4], RUNS[0], 1.0, "remaining_multiplications", False) is RUNS[2]
    assert best(RUNS[3:4], RUNS[0], 1.0, "sparsity", True) is None


def test_summary_and_tables():
    rows = [line.split(" | ") for line in summary(VALUES, CHOICES).splitlines() if line.startswith("| m,")]
    assert [row[1].partition(":")[0] for row in rows[::2]] == ["zeros", "zeros, padded", "multiplications removed"]
    assert [row[3] for row in rows] == ["chosen on training data", "read off"] * 3
    assert rows[0][4:] == ["10.0 % (tau 0.02, accuracy 81.10 %)", "none", " |"]
    assert rows[1][4] == "6.0 % (tau 0.01, accuracy 81.60 %)" and rows[1][6] == "3.00 |"
    assert rows[4][4] == "70.0 % (point 0.75, accuracy 80.00 %)" and rows[4][6] == "7.00 |"
    assert rows[5][4] == "60.0 % (point 0.5, accuracy 81.20 %)" and rows[5][6] == "6.00 |"
    assert "### m, weights as trained" in tables(VALUES)
    assert "| top-k | keep 8 | 81.80 | 1.30 | 2.0 | 12.0 | 99.0 | 94.0 |" in tables(VALUES)
    lone = summary({"0": RUNS[0], "1": RUNS[3]}, {})
    assert "| none | none |  |" in lone


def test_document(tmp_path):
    path = tmp_path / "d.md"
    path.write_text("text\n<!-- summary -->\n<!-- end -->\nmore\n<!-- tables -->\nold\n<!-- end -->\n"
                    "<!-- formats -->\n<!-- end -->\nlast\n")
    plots = update_document(path, VALUES | {"x": run("none", "", 0.81, 0.0, 0.5, 0.5)}, CHOICES)
    text = path.read_text()
    assert "old" not in text and "more" in text and text.endswith("<!-- end -->\nlast\n")
    assert "50% of the weights pruned" in text
    assert [p.name for p in plots] == ["dynatran-sparsity.svg", "dynatran-padded.svg", "dynatran-remaining.svg"]
    first = [p.read_bytes() for p in plots]
    update_document(path, VALUES | {"x": run("none", "", 0.81, 0.0, 0.5, 0.5)}, CHOICES)
    assert path.read_text() == text and first == [p.read_bytes() for p in plots]


def test_formats_are_a_table_of_their_own():
    values = VALUES | {"x": run("none", "", 0.815, 0.0, 0.97, word_format="4.6"),
                       "y": run("per-site", "0.75", 0.7, 0.0, 0.3, word_format="4.4")}
    assert tables(values) == tables(VALUES) and summary(values, CHOICES) == summary(VALUES, CHOICES)
    assert formats(values).splitlines()[2:] == ["| m, weights as trained | 10 | none | 81.50 | 1.30 | 97.0 |",
                                                "| m, weights as trained | 8 | per-site, point 0.75 | 70.00 | 1.30 | 30.0 |"]
    dense = Curve("m", 0.5, "none", {"": {}}, "4.6")
    assert dense.key("") != Curve("m", 0.5, "none", {"": {}}).key("") and "4.6" in dense.key("")


def test_what_is_there_is_not_run_again(tmp_path, monkeypatch):
    asked = []

    def evaluate(checkpoint, hardware, texts, labels, method, *, length, baseline):
        assert (checkpoint, length, baseline) == ("loaded m", 64, False)
        asked.append(method)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return {"accuracy": 0.5, "predictions": [1]}

    monkeypatch.setattr(study_module, "evaluate", evaluate)
    curves = [Curve("m", 0.5, "none", {"": {}}), Curve("m", 0.5, "dynatran", {"0.1": {"tau": 0.1}, "0.2": {"tau": 0.2}})]
    arguments = curves, lambda name: f"loaded {name}", None, [], []
    with pytest.raises(KeyboardInterrupt):
        run_study(*arguments, length=64, results=tmp_path / "r.json")
    lines = []
    values = run_study(*arguments, length=64, results=tmp_path / "r.json", report=lines.append)
    assert lines == ["m 0.5 dynatran 0.2"] and len(asked) == 4
    assert all("predictions" not in run for run in values.values())
    assert asked[-1] == Method(name="dynatran", tau=0.2, weight_sparsity=0.5)
    assert [(r["method"], r["strength"], r["accuracy"]) for r in values.values()] == [
        ("none", "", 0.5), ("dynatran", "0.1", 0.5), ("dynatran", "0.2", 0.5)]


def test_strengths_are_chosen_by_the_loss(tmp_path, monkeypatch):
    """A query of three values and three probabilities; each zero costs 0.4 or 0.3 points."""
    asked = []

    class Runs:
        checkpoint = Checkpoint(Path("m"), CONFIG, {}, None, BERT.head(CONFIG, TASKS["text-classification"]))

        def __init__(self, *arguments):
            asked.append(arguments)

        def run(self, prune):
            return prune("layer0.query", torch.tensor([0.05, 0.2, 0.3])), prune(
                "layer0.probabilities", torch.tensor([[[[0.5, 0.2, 0.3]]]]))

        def loss(self, run):
            query, probabilities = run
            return 0.4 * int((query == 0).sum()) + 0.3 * int((probabilities == 0).sum())

    monkeypatch.setattr(study_module, "FloatRuns", Runs)
    curves = [Curve("m", 0.5, "dynatran", {f"{t}": {"tau": t} for t in (0.01, 0.1, 0.25, 0.35)}),
              Curve("m", 0.5, "top-k", {f"{k}": {"keep": k} for k in (4, 2, 1)}), Curve("m", 0.0, "none", {"": {}})]
    arguments = curves, lambda name: f"loaded {name}", ["text"], [1]
    choices = choose_strengths(*arguments, results=tmp_path / "c.json")
    assert choices == {"m 0.5 dynatran 0.5": "0.1", "m 0.5 dynatran 1.0": "0.1", "m 0.5 top-k 0.5": "2",
                       "m 0.5 top-k 1.0": "1", "m 0.0 none 0.5": "", "m 0.0 none 1.0": ""}
    assert asked == [("loaded m", ["text"], [1], 0.5), ("loaded m", ["text"], [1], 0.0)]
    assert choose_strengths(*arguments, results=tmp_path / "c.json") == choices and len(asked) == 2


def test_operating_points_between_are_left_out():
    curve = Curve("m", 0.0, "per-site", {f"{point}": {} for point in POINTS})
    kept = curve.without_points_between({"m 0.0 per-site 0.5": "0.6875", "m 0.0 per-site 1.0": "0.75"})
    assert list(kept.settings) == ["0.125", "0.25", "0.375", "0.5", "0.625", "0.6875", "0.75", "0.875", "1.0"]
