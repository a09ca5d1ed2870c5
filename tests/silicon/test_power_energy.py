"""Energies of logic, SRAM and main memory, added up."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from acceltran.cli.silicon.power_command import power_command
from acceltran.hw.spec.errors import ConfigError
from acceltran.silicon.energy import MainMemory, block_counts, energy, sram_energy
from acceltran.silicon.mapper import MappedModule
from acceltran.silicon.modules import DistinctModule
from acceltran.silicon.power import ModulePower
from acceltran.silicon.sram import SramTable

NOTHING = {"config": "mini", "model": Path("models/bert-tiny-reviews"), "texts": ["w1"], "file": None, "skip": None,
           "liberty": [], "clock": 100.0, "memory": "lpddr4", "memories": None, "memory_node": None, "jobs": None,
           "json_path": None, "plot": None, "sites": None, "target_sparsity": None, "activity": None, "run": None}


def module(name, *instances):
    return DistinctModule(name, "", (), instances)


MODULES = {one.name: one for one in (
    module("fifo_a"), module("mac_b"), module("lane_c", ("mac_0", "mac_b"), ("mac_1", "mac_b")),
    module("pe_d", ("lane_0", "lane_c"), ("lane_1", "lane_c"), ("fifo", "fifo_a")),
    module("acceltran_sram_64x1x32_e"), module("buffer_f", ("macro_0", "acceltran_sram_64x1x32_e"),
                                               ("macro_1", "acceltran_sram_64x1x32_e"), ("memory", "fifo_a")),
    module("matrix_g", ("pe_0", "pe_d"), ("pe_1", "pe_d"), ("queue", "fifo_a")),
    module("accelerator_h", ("matrix", "matrix_g"), ("weight_buffer", "buffer_f")),
)}


def test_blocks_are_the_innermost_with_a_row():
    assert block_counts(MODULES) == {
        ("accelerator", "accelerator_h"): 1, ("matrix", "matrix_g"): 1, ("matrix", "fifo_a"): 1, ("pe", "pe_d"): 2,
        ("pe", "fifo_a"): 2, ("lane", "lane_c"): 4, ("mac", "mac_b"): 8, ("weight_buffer", "buffer_f"): 1,
        ("weight_buffer", "acceltran_sram_64x1x32_e"): 2, ("weight_buffer", "fifo_a"): 1,
    }


def test_sram_by_hand():
    macro = {"depth": 64, "width": 32, "reads": 1, "writes": 1}
    mapped = {name: MappedModule({}, [macro] * (name in ("acceltran_sram_64x1x32_e", "fifo_a")), None) for name in MODULES}
    one = SramTable().estimate(width=32, depth=64)
    joules, watts = sram_energy(MODULES, mapped, SramTable(), banks={"acceltran_sram_64x1x32_e": (100, 10)}, other=7)
    # Four FIFOs of one macro each are written and read seven times.
    assert joules == pytest.approx(1e-12 * ((100 + 4 * 7) * one.read_pJ + (10 + 4 * 7) * one.write_pJ))
    assert watts == pytest.approx(1e-3 * 6 * one.leakage_mW)


def test_energy_by_hand():
    power = {name: ModulePower(internal=1e-12, switching=2e-12, leakage=1e-6) for name in MODULES}
    power["mac_b"] = ModulePower(internal=4e-12, switching=1e-12, leakage=2e-6)
    values = energy(MODULES, power, clock=100, cycles=50_000, sram=(3e-6, 1e-3), memory=SimpleNamespace(joules_per_byte=1e-10),
                    bytes_moved=20_000, multiplications=6_000_000, sequences=2)
    rows = {row["block"]: row for row in values["blocks"]}
    seconds = 50_000 / 100e6
    mac = 8 * (5e-12 * 50_000 + 2e-6 * seconds)
    assert rows["mac"]["energy_uJ"] == pytest.approx(1e6 * mac / 2)
    assert rows["mac"]["power_mW"] == pytest.approx(1e3 * mac / seconds)
    assert rows["pe"]["dynamic_uJ"] == pytest.approx(1e6 * 4 * 3e-12 * 50_000 / 2)
    assert rows["SRAM"]["energy_uJ"] == pytest.approx(1e6 * (3e-6 + 1e-3 * seconds) / 2)
    assert rows["main memory"]["energy_uJ"] == pytest.approx(1e6 * 2e-6 / 2)
    others = 15 * (3e-12 * 50_000 + 1e-6 * seconds)
    total = mac + others + 3e-6 + 1e-3 * seconds + 2e-6
    assert values["energy_uJ"] == pytest.approx(1e6 * total / 2)
    assert sum(row["energy_uJ"] for row in rows.values()) == pytest.approx(values["energy_uJ"])
    assert sum(row["share"] for row in rows.values()) == pytest.approx(1)
    assert values["power_mW"] == pytest.approx(1e3 * total / seconds)
    assert values["sequences_per_second"] == pytest.approx(2 / seconds)
    assert values["tops_per_watt"] == pytest.approx(2 * 6_000_000 / total / 1e12)


@pytest.mark.parametrize(("kind", "pj"), [("lpddr4", 8), ("ddr3", 70), ("hbm2", 6.25), ("hbm3", 4.05)])
def test_kinds_of_main_memory(kind, pj):
    assert MainMemory(kind).joules_per_byte == pytest.approx(8 * pj * 1e-12)


@pytest.mark.parametrize(("change", "message"), [
    ({}, "liberty = None.*give --liberty"), ({"memory": "gddr6", "liberty": ["x"]}, "gddr6.*lpddr4, ddr3, hbm2, hbm3"),
    ({"liberty": ["none.lib"]}, "none.lib.*No such file"), ({"memory_node": 3, "liberty": ["x"]}, "choose one of 22, 45"),
    ({"json_path": Path("no/folder.json")}, "does not exist"), ({"config": "huge", "liberty": ["x"]}, "huge"),
    ({"liberty": [Path(__file__).parents[2] / "silicon/gate_equivalents.lib"]}, "has no power tables"),
    ({"liberty": ["x"], "run": Path("run.json")}, "activity: needs --run as well, and --run needs it"),
    ({"liberty": ["x"], "run": Path("run.json"), "activity": Path("power.json")}, "leave --text and --file out"),
])
def test_bad_options_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        power_command(**NOTHING | change)
