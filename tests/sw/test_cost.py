"""Cost of pruning: both passes do what they are timed for; the hardware of either grows as it should."""

import json
import sys

import pytest
import torch

from acceltran.cli import main as cli
from acceltran.cli.evaluate import cost_command as command
from acceltran.cli.evaluate import keep_largest
from acceltran.cli.evaluate.cost import attention_probabilities, pass_times, selector_gates, threshold_pass, top_k_pass
from acceltran.sw.models.checkpoint import load_checkpoint
from support.models import make_checkpoint, random_texts


def test_passes():
    x = torch.randn(6, 9, generator=torch.Generator().manual_seed(1))
    assert torch.equal(top_k_pass(x, 3), keep_largest(x, 3))
    assert torch.equal(threshold_pass(x, 0.5) != 0, x.abs() >= 0.5)
    times = pass_times(x, tau=0.1, keep=2, seconds=0.01)
    assert times["ratio"] == times["top_k"] / times["threshold"] > 0


def test_gates_grow_with_the_row():
    """A threshold takes a comparator per value, top-k one per pair."""
    gates = selector_gates(8, (4, 8))
    assert gates[8]["dynatran"] == pytest.approx(2 * gates[4]["dynatran"], rel=0.15)
    assert gates[8]["top_k"] > 3 * gates[4]["top_k"] > 3 * gates[4]["dynatran"]


def test_command(tmp_path, monkeypatch, capsys):
    folder, data = make_checkpoint(tmp_path / "model", hidden=16, heads=2, ffn=20), tmp_path / "data.tsv"
    data.write_text("sentence\tlabel\n" + "".join(f"{text}\t0\n" for text in random_texts(3, 4)))
    monkeypatch.setattr(command, "SHAPES", {"other": (1, 2, 4, 16)})
    monkeypatch.setattr(command, "selector_gates", lambda width, tiles: {4: {"dynatran": 100.0, "top_k": 250.0}})
    monkeypatch.setattr(sys, "argv", ["acceltran", "cost", "--data", str(data), "--model", str(folder), "--length", "16",
                                      "--json", str(tmp_path / "c.json")])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert not stop.value.code
    values = json.loads((tmp_path / "c.json").read_text())
    assert values["passes"].keys() == {"model, 3 sentences", "other"} and values["gates"]["4"]["top_k"] == 250
    assert "2.50" in capsys.readouterr().out
    assert attention_probabilities(load_checkpoint(folder), random_texts(3, 4), 16).shape == (2 * 3 * 2 * 16, 16)
