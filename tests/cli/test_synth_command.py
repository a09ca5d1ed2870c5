"""The command `acceltran synth`, and the areas that are kept."""

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from acceltran.cli.silicon.synth_command import GOLDEN_BLOCKS, golden_areas, synth_command
from acceltran.hw.spec.errors import ConfigError
from acceltran.silicon.mapper import MappedModule
from acceltran.silicon.sram import SramTable
from acceltran.silicon.timing import timing, timing_tool

pytestmark = pytest.mark.builds

AREAS = Path(__file__).parents[1] / "silicon" / "areas.json"
NOTHING = {"config": "nano", "top": "dynatran", "liberty": [], "json_path": None, "plot": None, "golden": None, "jobs": None}
DELAYS = """
  lu_table_template (t) { variable_1 : input_net_transition; variable_2 : total_output_net_capacitance;
    index_1 ("1, 100"); index_2 ("1, 50"); }
"""


def gate(name, inputs, function, area):
    rows = 'values ("5, 60", "15, 70");'
    tables = " ".join(f"{kind} (t) {{ {rows} }}" for kind in ("cell_rise", "cell_fall", "rise_transition", "fall_transition"))
    arcs = "".join(f'timing () {{ related_pin : "{pin}"; {tables} }} ' for pin in inputs)
    pins = "".join(f"pin ({pin}) {{ direction : input; capacitance : 1; }} " for pin in inputs)
    return f'cell ({name}) {{ area : {area}; {pins} pin (Y) {{ direction : output; function : "{function}"; {arcs} }} }}\n'


@pytest.fixture
def timed_library(tmp_path):
    """Four cells whose delays grow with their load."""
    edges = " ".join(f'{kind} (scalar) {{ values ("{value}"); }}' for kind, value in (
        ("cell_rise", 20), ("cell_fall", 20), ("rise_transition", 5), ("fall_transition", 5)))
    flip_flop = f"""cell (t_dff) {{ area : 6; ff (IQ, IQN) {{ clocked_on : "CK"; next_state : "D"; }}
      pin (CK) {{ direction : input; clock : true; capacitance : 1; }}
      pin (D) {{ direction : input; capacitance : 1; timing () {{ related_pin : "CK"; timing_type : setup_rising;
        rise_constraint (scalar) {{ values ("10"); }} fall_constraint (scalar) {{ values ("10"); }} }} }}
      pin (Q) {{ direction : output; function : "IQ";
        timing () {{ related_pin : "CK"; timing_type : rising_edge; {edges} }} }} }}
    """
    thresholds = "".join(f"{kind}_{edge} : {value};\n" for edge in ("rise", "fall") for kind, value in (
        ("input_threshold_pct", 50), ("output_threshold_pct", 50), ("slew_lower_threshold_pct", 20),
        ("slew_upper_threshold_pct", 80)))
    path = tmp_path / "timed.lib"
    path.write_text('library (timed) {\n delay_model : table_lookup; time_unit : "1ps"; capacitive_load_unit (1, ff);\n'
                    + thresholds + DELAYS + gate("t_inv", "A", "!A", 0.6) + gate("t_buf", "A", "A", 1.1)
                    + gate("t_nand2", "AB", "!(A & B)", 1) + gate("t_nor2", "AB", "!(A | B)", 1) + flip_flop + "}\n")
    return path


@pytest.mark.parametrize(("change", "message"), [
    ({"config": "huge"}, "huge"), ({"top": "none"}, "no such block; choose one of .*dynatran"),
    ({"liberty": ["none.lib"]}, "none.lib.*No such file"), ({"clock": 100.0}, "has no delays"),
    ({"timed": True}, "--timing needs"), ({"memory_node": 3}, "choose one of 22, 45"),
    ({"json_path": Path("no/folder.json")}, "does not exist"), ({"skip": "all"}, "skip"),
])
def test_bad_options_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        synth_command(**NOTHING | change)


def test_report_plot_and_table(tmp_path, capsys):
    json_path, plot = tmp_path / "a.json", tmp_path / "a.svg"
    synth_command(**NOTHING | {"top": "post.scale", "json_path": json_path, "plot": plot})
    values = json.loads(json_path.read_text())
    assert {"top", "config", "library", "unit", "area", "gate_equivalents", "cells", "flip_flops", "memory_bits", "memories",
            "modules", "clock_mhz"} <= set(values)
    assert (values["top"], values["unit"]) == ("post.scale", "GE")
    assert values["area"] == pytest.approx(values["gate_equivalents"], rel=1e-3)
    assert set(values["modules"][0]) >= {"name", "count", "area", "own_area", "share", "cells", "flip_flops", "instances"}
    assert f"{values['area']:,.0f}" in capsys.readouterr().out
    assert "<svg" in plot.read_text()


@pytest.mark.parametrize("macros", [[], [{"depth": 256, "width": 8, "reads": 1, "writes": 1}]])
def test_macros_have_a_library_only_where_there_are_some(macros, monkeypatch):
    read = []

    def opensta(command, **_):
        folder = Path(command[-1]).parent
        read.append((folder / "sram.lib").exists())
        assert ("sram.lib" in (folder / "timing.tcl").read_text()) == read[-1]
        return SimpleNamespace(returncode=0, stdout="PATH all 7 a b\n", stderr="")

    monkeypatch.setattr(subprocess, "run", opensta)
    monkeypatch.setattr("acceltran.silicon.timing.timing_tool", lambda: "sta")
    modules = {"top": SimpleNamespace(ports=[("clk", "input", 1), ("o", "output", 8)], instances=[])}
    library = SimpleNamespace(text="", time_ps=1.0, load_ff=1.0, inverter_ff=1.0)
    found = timing("top", modules, {"top": MappedModule({}, macros, Path("top.v"))}, library, clock=100, sram=SramTable())
    assert found["slack_ps"] == 7 and read == [bool(macros)]


@pytest.mark.skipif(timing_tool() is None, reason="needs OpenSTA")
def test_slack_follows_the_clock(timed_library, tmp_path):
    slack = {}
    for clock in (100, 200):
        path = tmp_path / f"{clock}.json"
        synth_command(**NOTHING | {"top": "exponential", "liberty": [timed_library], "clock": clock, "timed": True,
                                   "json_path": path})
        block, = json.loads(path.read_text())["timing"]
        slack[clock] = block["slack_ps"]
        assert block["paths"][0]["slack_ps"] == block["slack_ps"] <= block["register_slack_ps"]
        assert "_DFF_" not in block["register_paths"][0]["end"]
    assert 4000 < slack[100] - slack[200] < 6000  # The period is 5 ns shorter; gates may be larger.


def test_without_opensta_the_rest_is_reported(timed_library, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("acceltran.cli.silicon.synth_command.timing_tool", lambda: None)
    path = tmp_path / "a.json"
    synth_command(**NOTHING | {"liberty": [timed_library], "clock": 100, "timed": True, "json_path": path})
    assert "timing" not in json.loads(path.read_text())
    assert capsys.readouterr().err.count("OpenSTA (sta) is not installed") == 1


def test_areas_are_those_that_are_kept():
    kept = json.loads(AREAS.read_text())
    assert set(kept) == set(GOLDEN_BLOCKS)
    for block, found in golden_areas("mini", ("mac", "sparsity", "exponential", "dynatran")).items():
        assert found["gate_equivalents"] == pytest.approx(kept[block]["gate_equivalents"], rel=0.03), block
        assert found["flip_flops"] == pytest.approx(kept[block]["flip_flops"], rel=0.03), block
