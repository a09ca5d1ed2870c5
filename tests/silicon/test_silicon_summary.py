"""Area and peak rate of a whole accelerator."""

import pytest

from acceltran.cli.silicon.summary import summary
from acceltran.hw.spec.config import AcceleratorConfig

VALUES = {"clock_mhz": 500.0, "area": 3e6, "memory_node_nm": 22,
          "memories": [{"count": 2, "area_um2": 4e5}, {"count": 1, "area_um2": 2e5}]}


def test_areas_and_rate_by_hand():
    found = summary(AcceleratorConfig.load("mini"), VALUES)
    assert (found["logic_um2"], found["sram_um2"], found["memory_node_nm"]) == (3e6, 1e6, 22)
    assert found["operations_per_second"] == 2 * 1024 * 500e6
    assert found["operations_per_second_per_mm2"] == pytest.approx(2 * 1024 * 500e6 / 4)

