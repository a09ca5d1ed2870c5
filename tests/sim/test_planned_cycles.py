"""What the planner expects is what the RTL takes, dense or sparse."""

from pathlib import Path

import pytest

from acceltran.cli.bench.points import LENGTH
from acceltran.cli.inputs import site_options
from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.sim.inference import infer, report
from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.full_texts import full_texts

MODELS = Path(__file__).parents[2] / "models"


@pytest.mark.slow
@pytest.mark.parametrize(("model", "sites", "options", "within"), [
    ("bert-tiny-reviews", False, {}, 0.02),
    ("bert-tiny-reviews", True, {}, 0.04),
    ("bert-tiny-reviews", False, {"tau": 0.02}, 0.03),
    ("bert-tiny-sparse", False, {}, 0.05),
    ("bert-tiny-sparse", True, {}, 0.08),
])
def test_p1_planned_cycles_are_near_those_of_the_rtl(model, sites, options, within, tmp_path):
    checkpoint = load_checkpoint(MODELS / model)
    if sites:
        options = options | site_options(MODELS / model / "sites.json", None, checkpoint)
    inference = infer(AcceleratorConfig.load("mini"), checkpoint, full_texts(checkpoint, 1, LENGTH), folder=tmp_path,
                      length=LENGTH, **options)
    values = report(inference)
    assert not values["mismatches"]
    assert values["planned_cycles"] == pytest.approx(values["cycles"], rel=within)
