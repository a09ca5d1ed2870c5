"""Evaluation on the RTL: equal predictions and cycles are reported, unequal ones are seen."""

import json
import sys

import pytest

from acceltran.cli import main as cli
from acceltran.cli.evaluate import Method, SiteCurves, evaluate, rtl_check
from acceltran.cli.evaluate.rtl_check import check_on_rtl
from acceltran.cli.evaluate.sites import site_names
from acceltran.sim.design import build_system
from acceltran.sw.models.checkpoint import load_checkpoint
from support.configs import CONFIGS
from support.models import make_checkpoint, random_texts


@pytest.mark.slow
def test_predictions_and_cycles(tmp_path):
    config = CONFIGS["four_pes"]
    model = build_system(config, memory_bits=20)
    checkpoint = load_checkpoint(make_checkpoint(tmp_path / "model", hidden=16, heads=2, ffn=20))
    texts = random_texts(2, 5)
    sites = SiteCurves({site: (0.0,) * 4 + (0.3,) * 5 for site in site_names(checkpoint)}, (), 0.5)
    found = []
    for method in (Method(), Method(name="dynatran", tau=0.3), Method(name="per-site", sites=sites)):
        predictions = evaluate(checkpoint, config, texts, [0, 0], method, length=32, baseline=False)["predictions"]
        values = check_on_rtl(checkpoint, config, texts, predictions, method, length=32, model=model)
        assert (values["sentences"], values["tokens"], values["mismatches"]) == (2, 7, 0)
        assert values["equal_predictions"] == 2 and values["cycles"] < values["cycles_padded"]
        found.append(values["cycles_padded"])
    assert found[0] > found[1]
    for options in ({}, {"jobs": 2}):
        together = check_on_rtl(checkpoint, config, texts, predictions, method, length=32, model=model, **options)
        assert together == values
    wrong = check_on_rtl(checkpoint, config, texts, [1 - predictions[0], predictions[1]], method, length=8, model=model)
    assert wrong["equal_predictions"] == 1


@pytest.mark.parametrize(("equal", "mismatches", "code"), [(2, 0, 0), (1, 0, 1), (2, 3, 1)])
def test_command_says_so(tmp_path, monkeypatch, capsys, equal, mismatches, code):
    folder, data = make_checkpoint(tmp_path / "model", hidden=16, heads=2, ffn=20), tmp_path / "data.tsv"
    data.write_text("sentence\tlabel\n" + "".join(f"{text}\t0\n" for text in random_texts(3, 4)))

    def check(checkpoint, hardware, texts, predictions, method, *, length, batch, jobs, calibration_texts, report):
        assert (batch, jobs) == (1, 3)
        assert len(texts) == len(predictions) == 2 and length == 16 and calibration_texts is None
        return {"sentences": 2, "tokens": 6.0, "equal_predictions": equal, "mismatches": mismatches, "cycles": 1000,
                "cycles_padded": 2000}

    monkeypatch.setattr(rtl_check, "check_on_rtl", check)

    def command(*arguments):
        monkeypatch.setattr(sys, "argv", ["acceltran", "evaluate", "--data", str(data), "--model", str(folder), "--config",
                                          "nano", "--length", "16", "--rtl", "2", "--jobs", "3", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return stop.value.code

    assert command("--json", str(tmp_path / "out.json")) == code
    assert f"{equal} of 2 predictions equal, {mismatches} integers differ" in capsys.readouterr().out
    assert json.loads((tmp_path / "out.json").read_text())["rtl"]["cycles"] == 1000
    assert command("--method", "top-k", "--keep", "1") == 2
    assert "the hardware has none" in capsys.readouterr().err
