"""Seeds: what is there is not made again, each variant starts from its own seed's, means and standard errors."""

from types import SimpleNamespace

import pytest

from acceltran.cli.documents import update_part
from acceltran.cli.evaluate import SiteCurves
from acceltran.cli.evaluate import seeds as seeds_module
from acceltran.cli.evaluate.seeds import run_seeds, seed_table
from acceltran.cli.train.train import VARIANTS
from acceltran.hw.spec.errors import ConfigError


def test_missing_steps_are_made_in_order(tmp_path, monkeypatch):
    steps = []

    def train_into(output, variant, seed, start, reviews, cache):
        steps.append(f"train {output.name} from {start and start.name}")
        output.mkdir()
        (output / "tokenizer.json").touch()

    def calibrate(model, sites):
        steps.append(f"calibrate {model.name}")
        seeds_module.write_json(sites, SiteCurves({}, (), 0.25, "same").to_dict())

    def checkpoint(folder):
        return SimpleNamespace(name=folder.name, folder=folder, identity="same")

    def evaluate(checkpoint, hardware, texts, labels, method, *, length, baseline):
        assert length is None and not baseline
        steps.append(f"evaluate {checkpoint.name} {method.name}")
        return {"accuracy": 0.8, "predictions": []}

    for name, stub in {"train_into": train_into, "evaluate": evaluate, "load_checkpoint": checkpoint}.items():
        monkeypatch.setattr(seeds_module, name, stub)
    given = {"folder": tmp_path, "cache": None}
    (tmp_path / "dense-1").mkdir()
    (tmp_path / "dense-1" / "tokenizer.json").touch()
    values = run_seeds([1], [], calibrate, None, [], [], **given)
    assert steps == [
        "calibrate dense-1", "evaluate dense-1 none", "evaluate dense-1 per-site",
        "train sparse-1 from dense-1", "calibrate sparse-1", "evaluate sparse-1 none", "evaluate sparse-1 per-site",
        "train relu-1 from dense-1", "calibrate relu-1", "evaluate relu-1 none", "evaluate relu-1 per-site",
        "train nm-1 from dense-1", "calibrate nm-1", "evaluate nm-1 none", "evaluate nm-1 per-site"]
    assert values["relu 1"] == {"none": {"accuracy": 0.8}, "per-site": {"accuracy": 0.8}, "point": 0.25}
    assert run_seeds([1], [], calibrate, None, [], [], **given) == values and len(steps) == 15
    assert run_seeds([3], [], calibrate, None, [], [], **given, variants=("nm",)).keys() == {*values, "nm 3"}
    assert steps[15:] == ["train dense-3 from None", "train nm-3 from dense-3", "calibrate nm-3", "evaluate nm-3 none",
                          "evaluate nm-3 per-site"]
    assert run_seeds([2], [], calibrate, None, [], [], **given).keys() == {"nm 3"} | {
        f"{n} {s}" for n in VARIANTS for s in (1, 2)}


def test_table():
    def run(accuracy, left):
        return {"accuracy": accuracy, "remaining_multiplications": {"all": left}}

    values = {f"dense {seed}": {"none": run(0.8 + seed / 100, 1.0), "per-site": run(0.79, 0.3), "point": 0.75}
              for seed in (0, 1, 2)}
    rows = seed_table(values).splitlines()[2:]
    assert rows[0] == "| dense | 0 | 80.00 | 100.00 | 0.750 | 79.00 | 30.00 |"
    # The deviation of 80, 81 and 82 is 1.
    assert rows[3] == f"| dense | mean | 81.00 +- {3 ** -0.5:.2f} | 100.00 +- 0.00 |  | 79.00 +- 0.00 | 30.00 +- 0.00 |"
    assert len(seed_table({"relu 0": values["dense 0"]}).splitlines()) == 3


def test_the_table_needs_its_marker(tmp_path):
    path = tmp_path / "d.md"
    path.write_text("a\n<!-- seeds -->\n<!-- end -->\nb\n")
    update_part(path, "seeds", "row\n")
    assert path.read_text() == "a\n<!-- seeds -->\nrow\n<!-- end -->\nb\n"
    with pytest.raises(ConfigError, match="no marker <!-- formats -->"):
        update_part(path, "formats", "row\n")
