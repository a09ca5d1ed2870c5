"""Thresholds per site: the search's counts and steps, the curves it gives, and the way to the hardware's integers."""

import json
import shutil
import sys
from dataclasses import replace

import pytest
import torch

from acceltran.cli import main as cli
from acceltran.cli.evaluate import Method, SiteCurves, calibrate_sites, evaluate
from acceltran.cli.evaluate.choose import choose
from acceltran.cli.evaluate.float_runs import FloatRuns, below
from acceltran.cli.evaluate.sites import site_names
from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.sw.compiler import CompileError, quantise_encoder
from acceltran.sw.ir.curves import site_curves
from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.errors import ModelError
from acceltran.sw.models.float_encoder import FloatEncoder
from support.models import make_checkpoint, random_texts

NANO = AcceleratorConfig.load("nano")
TEXTS = [text for words in (3, 6, 11) for text in random_texts(12, words, seed=words)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("model"), hidden=16, heads=2, ffn=24, labels=2)


@pytest.fixture(scope="module")
def checkpoint(folder):
    return load_checkpoint(folder)


@pytest.fixture(scope="module")
def labels(checkpoint):
    """The model's own predictions: unpruned, it is always right."""
    return [int(_logits(checkpoint, text).argmax()) for text in TEXTS]


def _logits(checkpoint, text):
    from acceltran.sw.models.sentences import encode_texts

    ids, lengths = encode_texts(checkpoint, [text])
    return FloatEncoder(checkpoint).run(ids, lengths)["logits"][0]


@pytest.fixture(scope="module")
def curves(checkpoint, labels):
    return calibrate_sites(checkpoint, (TEXTS[::2], labels[::2]), (TEXTS[1::2], labels[1::2]), budget=10, floor=0.35)


def test_remaining_multiplications_are_those_of_the_integer_model(checkpoint, labels):
    """Counted in the float model, with the same thresholds: the pooler apart, and values that rounding carries over one."""
    sites = site_names(checkpoint)
    taus = {site: 0.2 for site in sites} | {name: 0.02 for name in sites if name.endswith("probabilities")}
    runs = FloatRuns(checkpoint, TEXTS, labels, 0.5)
    _, remaining, accuracy = runs.run(below(taus))
    values = evaluate(checkpoint, NANO, TEXTS, labels, Method(
        name="per-site", sites=SiteCurves({site: (tau,) * 9 for site, tau in taus.items()}, (), 0.0), weight_sparsity=0.5),
        length=16, baseline=False)
    counts = values["remaining_multiplications"]["class"]
    assert remaining / runs.dense == pytest.approx(values["remaining_multiplications"]["all"], abs=0.02)
    assert 0 < counts["output"] < counts["query"] < 0.5
    assert accuracy == pytest.approx(values["accuracy"], abs=0.06)


def test_pruning_hook_reaches_every_site(checkpoint):
    names = []
    FloatEncoder(checkpoint).run(torch.tensor([[2, 7, 3]]), [3], prune=lambda name, tensor: names.append(name) or tensor)
    assert sorted(names) == sorted([*site_names(checkpoint), "layer1.output_norm"])


def test_curves_rise_and_pay(curves, checkpoint):
    assert curves.taus.keys() == set(site_names(checkpoint))
    for taus in curves.taus.values():
        assert taus[0] == 0 and list(taus) == sorted(taus) and len(taus) == 9
    remaining = [point["remaining"] for point in curves.points]
    assert remaining[0] == 1 and remaining == sorted(remaining, reverse=True)
    assert remaining[-1] < 0.6
    assert curves.points[0]["divergence"] == 0 < curves.points[4]["divergence"] < curves.points[8]["divergence"]
    assert 0 < curves.point <= 1


def test_greedy_beats_one_threshold(curves, checkpoint, labels):
    """At the same removed share, the thresholds per site change the predictions less than one threshold for all."""
    runs = FloatRuns(checkpoint, TEXTS[::2], labels[::2])
    point = curves.points[4]
    low, high = 0.0, 3.0
    for _ in range(30):
        tau = (low + high) / 2
        run = runs.run(below(dict.fromkeys(site_names(checkpoint), tau)))
        low, high = (tau, high) if run.remaining / runs.dense > point["remaining"] else (low, tau)
    assert runs.divergence(run) > 1.5 * point["divergence"]


def test_the_operating_point_keeps_the_budget(curves, checkpoint, labels):
    runs = FloatRuns(checkpoint, TEXTS[1::2], labels[1::2])
    prunings = {n / 32: below(curves.at(n / 32)) for n in range(1, 33)}
    losses = {point: runs.loss(runs.run(prune)) for point, prune in prunings.items()}
    assert min(losses.values()) <= 10 < max(losses.values())
    first = next(point for point, loss in losses.items() if loss > 10)
    assert curves.point == choose(runs, prunings, 10) == first - 1 / 32
    assert choose(runs, prunings, 100) == 1.0
    assert choose(runs, {"most": prunings[1.0]}, 10) is None


def test_below_keeps_what_equals_the_threshold():
    x = torch.tensor([0.1, -0.1, 0.2, 0.0999999, -0.05])
    assert below({"a": 0.1, "b": 0.0})("a", x).tolist() == [*x[:3].tolist(), 0, 0]
    assert below({"a": 0.1, "b": 0.0})("b", x) is x is below({})("a", x)


def test_operating_points_lie_between_the_knots():
    curves = SiteCurves({"a": (0, 1, 2, 4, 8, 8, 8, 8, 16)}, (), 0.0)
    assert [curves.at(p)["a"] for p in (0, 0.125, 0.3125, 0.9375, 1)] == [0, 1, 3, 12, 16]


def test_integers_of_site_curves():
    sites = {"a": 2.0**4, "b": 2.0**6, "c": 2.0**6, "d": 2.0**4}
    rising = tuple(n / 8 for n in range(9))
    curves, numbers = site_curves(sites, {"a": rising, "b": (0.0,) * 8 + (9.0,), "c": (0.0,) * 9}, width=10, limit=2)
    by_site = {name: curves[number - 1] if number else None for name, number in numbers.items()}
    assert by_site == {"a": tuple(range(0, 17, 2)), "b": (0,) * 8 + (511,), "c": None, "d": None}
    between, _ = site_curves({"a": 2.0**4}, {"a": (0.0,) * 8 + (0.1,)}, width=10, limit=1)
    assert between == [(0,) * 8 + (2,)], "1 / 16 is below 0.1, 2 / 16 is not"
    scaled, _ = site_curves({"a": 0.7 * 2.0**4}, {"a": rising}, width=10, limit=1)
    assert scaled == [(0, 2, 3, 5, 6, 7, 9, 10, 12)]
    with pytest.raises(CompileError, match="2 different curves, the configuration holds 1: raise prune_curves to 2"):
        site_curves(sites, {"a": rising, "b": rising}, width=10, limit=1)
    for taus in (rising[::-1], rising[:8], (-1.0, *rising[1:]), (*rising[:8], float("nan"))):
        with pytest.raises(CompileError, match="site 'a'.* do not fall"):
            site_curves(sites, {"a": taus}, width=10, limit=4)
    with pytest.raises(CompileError, match="site 'x': is not pruned"):
        site_curves(sites, {"x": rising}, width=10, limit=4)


def test_the_register_chooses_the_operating_point(curves, checkpoint, labels):
    encoders = [quantise_encoder(checkpoint, NANO, site_taus=curves.taus, target_sparsity=point) for point in (0, 0.5, 1)]
    assert [e.target for e in encoders] == [0, 128, 256]
    assert encoders[0].curves == encoders[1].curves == encoders[2].curves
    runs = [evaluate(checkpoint, NANO, TEXTS[:12], labels[:12], Method(name="per-site", sites=curves, target=point), length=16,
                     baseline=False) for point in (0, 0.5, 1)]
    shares = [values["remaining_multiplications"]["all"] for values in runs]
    assert shares[0] > 0.98 and shares[0] - 0.1 > shares[1] > shares[2] + 0.1
    with pytest.raises(CompileError, match="operating point"):
        quantise_encoder(checkpoint, NANO, site_taus=curves.taus)


def command(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["acceltran", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code


def test_commands(folder, checkpoint, labels, tmp_path, monkeypatch, capsys):
    data, sites = tmp_path / "data.tsv", tmp_path / "sites.json"
    data.write_text("sentence\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in zip(TEXTS, labels, strict=True)))
    given = ["--data", data, "--model", folder]
    assert not command(monkeypatch, "calibrate", *given, "-o", sites, "--sentences", 16, "--check", 20, "--budget", 5)
    loaded = SiteCurves.load(sites, checkpoint)
    assert loaded.identity == checkpoint.identity
    assert f"operating point {loaded.point:.3f}" in capsys.readouterr().out
    assert json.loads(sites.read_text())["settings"]["check"] == 20
    assert not command(monkeypatch, "evaluate", *given, "--config", "nano", "--method", "per-site", "--sites", sites,
                       "--length", 16, "--json", tmp_path / "out.json")
    values = json.loads((tmp_path / "out.json").read_text())
    direct = evaluate(checkpoint, NANO, TEXTS, labels, Method(name="per-site", sites=loaded), length=16)
    assert values | direct == values
    assert command(monkeypatch, "calibrate", *given, "-o", sites) == 2
    assert "lower" in capsys.readouterr().err
    sites.write_text("[]")
    assert command(monkeypatch, "evaluate", *given, "--method", "per-site", "--sites", sites) == 2
    assert "make them with acceltran calibrate" in capsys.readouterr().err


def test_m8_thresholds_of_another_model_are_refused(folder, checkpoint, curves, tmp_path, monkeypatch, capsys):
    sites, other = tmp_path / "sites.json", make_checkpoint(tmp_path / "other", hidden=16, heads=2, ffn=24, labels=2, seed=1)
    sites.write_text(json.dumps(curves.to_dict()))
    assert SiteCurves.load(sites, checkpoint) == curves
    assert SiteCurves.load(sites, load_checkpoint(shutil.copytree(folder, tmp_path / "copy"))) == curves
    data = tmp_path / "data.tsv"
    data.write_text("sentence\tlabel\nw1 w2\t0\n")
    given = ["--config", "nano", "--sites", sites]
    commands = (["evaluate", "--data", data, "--method", "per-site", *given], ["run", "--text", "w1", *given],
                ["compile", "--text", "w1", "-o", tmp_path / "program", *given])
    for model, values in ((other, curves.to_dict()), (folder, {"point": 0.5, "points": [], "taus": {}})):
        sites.write_text(json.dumps(values))
        for arguments in commands:
            assert command(monkeypatch, *arguments, "--model", model) == 2
            shown = capsys.readouterr()
            assert shown.err.startswith(f"error: sites = '{sites}'") and shown.err.count("\n") == 1 and not shown.out
            assert f"calibrate again with acceltran calibrate --model {model}" in shown.err
    assert "do not say" in shown.err and not (tmp_path / "program").exists()


def test_a_file_of_something_else(tmp_path, checkpoint):
    for text in ("{", "[]", '{"taus": {"a": 3}, "points": [], "point": 0}', '{"taus": {}}'):
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(ModelError, match="no thresholds per site"):
            SiteCurves.load(tmp_path / "x.json", checkpoint)


def test_more_curves_than_the_hardware_holds(curves, checkpoint):
    with pytest.raises(CompileError, match="raise prune_curves"):
        quantise_encoder(checkpoint, replace(NANO, prune_curves=4), site_taus=curves.taus, target_sparsity=0.5)
