"""The energy of an inference without synthesis, against what was measured."""

import dataclasses
import json
import math

import pytest

from acceltran.cli.report.costs import costs_section
from acceltran.hw.spec.config import PRESETS, AcceleratorConfig
from acceltran.hw.spec.errors import ConfigError
from acceltran.silicon.quick_energy import ENERGY_TABLE, energy_quantity, quick_energy

TABLE = json.loads(ENERGY_TABLE.read_text())
RUNS = TABLE["runs"]


def _config(run):
    config = AcceleratorConfig.load(run["config"])
    return dataclasses.replace(config, name="point", **run["fields"])


def _energy(run, **options):
    return quick_energy(_config(run), run["counters"], sequences=run["sequences"], **options)


def _part(values, name):
    return next(row["energy_uJ"] for row in values["parts"] if row["part"] == name)


def test_fitted_run():
    """Logic and main memory of `mini`, block by block, are what the activities come from."""
    values = _energy(TABLE["blocks_of"])
    for part, measured in TABLE["blocks_of"]["uJ"].items():
        assert _part(values, part) == pytest.approx(measured, rel=0.02, abs=0.02), part
    assert _part(values, "SRAM") == pytest.approx(3.5, rel=0.10)
    assert _part(values, "main memory") == pytest.approx(74.2, rel=0.01)
    assert values["energy_uJ"] == pytest.approx(128, rel=0.02)


@pytest.mark.parametrize("name", RUNS)
def test_runs_that_were_not_fitted(name):
    run = RUNS[name]
    values = _energy(run)
    assert values["energy_uJ"] == pytest.approx(run["energy_uJ"], rel=run["error"])
    if "sequences_per_second" in run:
        assert values["sequences_per_second"] == pytest.approx(run["sequences_per_second"], rel=0.01)


def test_sparse_macs_take_a_third():
    """As measured: more than their share of the multiplications, since between these they toggle to zero and back."""
    dense, sparse = (_part(_energy(run), "MACs") for run in (TABLE["blocks_of"], RUNS["mini, bert-tiny-sparse"]))
    assert sparse / dense == pytest.approx(1 / 3, abs=0.02)


def test_parts_are_all():
    values = _energy(TABLE["blocks_of"])
    for row in values["parts"]:
        assert row["energy_uJ"] == pytest.approx(row["clock_uJ"] + row["leakage_uJ"] + row["activity_uJ"])
    assert sum(energy_quantity(values)["parts"].values()) == pytest.approx(values["energy_uJ"])
    assert values["power_mW"] == pytest.approx(1e-3 * values["energy_uJ"] * values["sequences_per_second"])
    assert "clock tree" in values["not_modelled"]
    assert "main memory" in costs_section([energy_quantity(values)]).body


def test_slower_clock_leaks_longer():
    fast, slow = (_energy(TABLE["blocks_of"], clock_mhz=clock) for clock in (700, 350))
    assert slow["sequences_per_second"] == pytest.approx(fast["sequences_per_second"] / 2)
    assert fast["energy_uJ"] < slow["energy_uJ"] < 1.05 * fast["energy_uJ"]


@pytest.mark.parametrize("counter", ["multiplications", "bytes_read", "a_tile_loads", "b_tile_loads", "vector_busy"])
def test_more_work_takes_more(counter):
    run = TABLE["blocks_of"]
    less, more = run["counters"], run["counters"] | {counter: round(1.05 * run["counters"][counter])}
    assert quick_energy(_config(run), less)["energy_uJ"] < quick_energy(_config(run), more)["energy_uJ"]


@pytest.mark.parametrize("preset", PRESETS)
def test_nothing_done(preset):
    """An idle accelerator takes clock and leakage."""
    idle = dict.fromkeys(TABLE["blocks_of"]["counters"], 0)
    values = quick_energy(AcceleratorConfig.load(preset), idle | {"cycles": 1000})
    assert 0 < values["energy_uJ"] < math.inf
    assert sum(row["activity_uJ"] for row in values["parts"]) == 0


def test_unknown_memory():
    with pytest.raises(ConfigError, match="choose one of lpddr4"):
        _energy(TABLE["blocks_of"], memory="tape")
