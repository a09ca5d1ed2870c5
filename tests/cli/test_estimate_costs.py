"""Area and energy of a setting that is estimated."""

import pytest

from acceltran.cli.estimate.point import estimate_setting
from acceltran.cli.estimate.setting import Setting
from acceltran.cli.report.costs import costs_section
from acceltran.silicon.quick_area import area_quantity
from acceltran.silicon.quick_energy import energy_quantity


def test_estimate_has_area_and_energy():
    values = estimate_setting(Setting(config="nano", tokens=8, batch=2, values=False), clock_mhz=500)
    assert values["sequences_per_second"] == pytest.approx(2 * 500e6 / values["cycles"])
    assert values["energy"]["sequences"] == 2
    assert values["area"]["mm2"] == pytest.approx(0.53, abs=0.02)
    body = costs_section([area_quantity(values["area"]), energy_quantity(values["energy"])],
                         note=values["energy"]["not_modelled"]).body
    for word in ("MACs", "SRAM", "main memory", "Energy per sequence (modelled)", "Area (modelled)", "clock tree"):
        assert word in body
