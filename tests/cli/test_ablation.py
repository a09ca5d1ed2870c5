"""Ablations: what is there is not measured again, cycles are shared between word lengths, throughput per area."""

import pytest

from acceltran.cli.silicon import ablation
from acceltran.cli.silicon.ablation import POINTS, PRODUCTS, ablate, ablation_table, per_area
from acceltran.sim.errors import SimulationError

BASE, NONE, NARROW = next(iter(POINTS)), "`none`", "8 bits"


@pytest.fixture
def simulated(monkeypatch):
    """Configurations that were simulated; every product takes 100 times its place in `PRODUCTS` cycles."""
    found = []

    def measure_products(config, products, *, folder, stage):
        found.append(config)
        return [{"cycles": 100 * (n + 1), "mismatches": 0} for n in range(len(products))]

    monkeypatch.setattr(ablation, "measure_products", measure_products)
    return found


def test_every_point_is_a_configuration():
    names = {ablation.configuration(differences).name for differences in POINTS.values()}
    assert len(names) == len(POINTS)


def test_cycles_are_measured_once_for_all_word_lengths(simulated, tmp_path):
    areas = []

    def area(config):
        areas.append((config.skip, config.width))
        return 1000.0 * config.width

    arguments = {"folder": tmp_path, "results": tmp_path / "a.json", "points": (BASE, NONE, NARROW)}
    values = ablate(area, **arguments)
    assert [config.skip for config in simulated] == ["both", "none"] and all(config.width == 20 for config in simulated)
    assert areas == [("both", 20), ("none", 20), ("both", 8)]
    assert values[NARROW] == {"gate_equivalents": 8000.0, "cycles": dict(zip(PRODUCTS, (100, 200, 300), strict=True))}
    assert ablate(area, **arguments) == values and len(areas) == 3 and len(simulated) == 2


def test_other_sources_are_measured_again(simulated, monkeypatch, tmp_path):
    arguments = {"folder": tmp_path, "results": tmp_path / "a.json", "points": (BASE,)}
    ablate(lambda config: 1000.0, **arguments)
    monkeypatch.setattr(ablation, "source_identity", lambda *packages: "others")
    assert ablate(lambda config: 2000.0, **arguments)[BASE]["gate_equivalents"] == 2000.0 and len(simulated) == 2
    assert ablate(lambda config: 3000.0, **arguments)[BASE]["gate_equivalents"] == 2000.0 and len(simulated) == 2


def test_a_difference_from_the_golden_model_stops_it(monkeypatch, tmp_path):
    monkeypatch.setattr(ablation, "measure_products", lambda *_, **__: [{"cycles": 1, "mismatches": 1}])
    with pytest.raises(SimulationError, match="differ"):
        ablate(lambda config: 1.0, folder=tmp_path, results=tmp_path / "a.json", points=(BASE,))


def test_table():
    entry = {"gate_equivalents": 2000.0, "cycles": dict.fromkeys(PRODUCTS, 1000)}
    assert per_area(entry, "dense") == 128 * 512 * 128 / 1000 / 2
    twice = {"gate_equivalents": 3000.0, "cycles": dict(zip(PRODUCTS, (1000, 400, 250), strict=True))}
    rows = ablation_table({NONE: entry, "window 2": twice}).splitlines()[2:]
    assert rows[0] == "| `none` | 2,000 | 1.00 | 1,000 | 1,000 | 1,000 | 1.00 | 1.00 | 1.00 |"
    assert rows[1] == "| window 2 | 3,000 | 1.50 | 1,000 | 400 | 250 | 0.67 | 1.67 | 2.67 |"
