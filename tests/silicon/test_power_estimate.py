"""Activity that is borrowed from another configuration."""

import json
from pathlib import Path

import pytest

from acceltran.cli.silicon.power_command import estimated_inference
from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.hw.spec.errors import ConfigError
from acceltran.silicon.estimate import estimated_accesses, estimated_activity
from acceltran.silicon.modules import DistinctModule


def module(name, *instances):
    return DistinctModule(name, "", (), instances)


LINES, MASKS, VECTORS = (f"acceltran_sram_{shape}_ffffff" for shape in ("512x4x1280", "128x1x256", "512x1x320"))
MODULES = {one.name: one for one in (
    module("mac_1"), module("acceltran_crossbar_2x2x8_1"), module("new_1"), module(LINES), module(MASKS), module(VECTORS),
    module("accelerator_1", ("mac_0", "mac_1"), ("mac_1", "mac_1"), ("x", "acceltran_crossbar_2x2x8_1"), ("n", "new_1"),
           ("l0", LINES), ("l1", LINES), ("m0", MASKS), ("m1", MASKS), ("v", VECTORS)),
)}
COUNTERS = {"cycles": 100, "multiplications": 25_600, "word_reads": 90, "word_writes": 40, "a_tile_loads": 3, "b_tile_loads": 4}
RUN = {"config": "mini", "counters": COUNTERS, "predictions": [1]}
EARLIER = {"config": "small", "counters": {"cycles": 200, "multiplications": 1_280}, "activity": {
    "mac_2": {"driven": 0.2, "inputs": 0.1, "instances": 16},
    "acceltran_crossbar_4x4x8_2": {"driven": 0.06, "inputs": 0.02, "instances": 1},
    "acceltran_crossbar_9x4x8_3": {"driven": 0.02, "inputs": 0.02, "instances": 3},
}}


def test_kinds_are_matched_and_scaled():
    mini = AcceleratorConfig.load("mini")
    found = estimated_activity(MODULES, mini, COUNTERS, EARLIER)
    ratio = 0.25 / 0.4  # Of the 1,024 and 16 multipliers a quarter and two fifths work.
    mac = found["mac_1"]
    assert (mac.driven, mac.inputs, mac.instances) == (pytest.approx(ratio * 0.2), pytest.approx(ratio * 0.1), 2)
    assert found["acceltran_crossbar_2x2x8_1"].driven == pytest.approx(ratio * (0.06 + 3 * 0.02) / 4)
    assert found["new_1"].driven == pytest.approx(ratio * (16 * 0.2 + 0.06 + 3 * 0.02) / 20)


def test_accesses_are_spread_over_the_banks():
    found = estimated_accesses(MODULES, AcceleratorConfig.load("mini"), COUNTERS)
    # Four words are a tile.
    assert found == {LINES: (90, 40), MASKS: (7, 10), VECTORS: (0, 0)}


@pytest.mark.parametrize(("run", "activity", "message"), [
    ({}, EARLIER, "run = .* is no such report; give the --json of acceltran run"),
    (RUN | {"config": "edge"}, EARLIER, "is of configuration 'edge', not 'mini'"),
    (RUN, {"counters": COUNTERS}, "give the --json of acceltran power"),
    (RUN, EARLIER | {"activity": {}}, "has no MACs"),
])
def test_other_reports_are_refused(tmp_path, run, activity, message):
    paths = [tmp_path / "run.json", tmp_path / "power.json"]
    for path, values in zip(paths, (run, activity), strict=True):
        path.write_text(json.dumps(values))
    with pytest.raises(ConfigError, match=message):
        estimated_inference(AcceleratorConfig.load("mini"), MODULES, *paths)


def test_a_missing_report_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="run = .*No such file"):
        estimated_inference(AcceleratorConfig.load("mini"), MODULES, tmp_path / "none.json", Path("none.json"))
