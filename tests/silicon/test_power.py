"""Power of mapped modules, against hand calculations with a tiny library."""

from types import SimpleNamespace

import pytest

from acceltran.silicon.activity import Activity
from acceltran.silicon.errors import SynthesisError
from acceltran.silicon.liberty import read_library
from acceltran.silicon.mapper import MappedModule
from acceltran.silicon.modules import DistinctModule
from acceltran.silicon.power import module_power
from acceltran.silicon.timing import THRESHOLDS

EDGES = " ".join(f'{edge} (scalar) {{ values ("{value}"); }}' for edge, value in (
    ("cell_rise", 20), ("cell_fall", 20), ("rise_transition", 5), ("fall_transition", 5)))
TOGGLE = ('internal_power () {{ related_pin : "{}"; rise_power (o) {{ values ("9, 9", "3, 7", "9, 9"); }} '
          'fall_power (o) {{ index_2 ("0, 8"); values ("9, 9", "1, 5", "9, 9"); }} }}')
CLOCK = 'internal_power () { rise_power (p) { values ("4, 4"); } fall_power (p) { values ("2, 2"); } }'
CHECK = " ".join(f'{edge}_constraint (scalar) {{ values ("10"); }}' for edge in ("rise", "fall"))


def gate(name, function, *pins):
    inputs = " ".join(f"pin ({pin}) {{ direction : input; capacitance : 2; }}" for pin in pins)
    arcs = " ".join(f'timing () {{ related_pin : "{pin}"; {EDGES} }} {TOGGLE.format(pin)}' for pin in pins)
    return (f'cell ({name}) {{ area : 1; cell_leakage_power : 7; {inputs} pin (Y) {{ direction : output; '
            f'function : "{function}"; {arcs} }} }}\n')


def library_text(*, time, load, leakage):
    """Supply of 2 V; energies are in the unit of load times volts squared."""
    return f"""library (tiny) {{ delay_model : table_lookup; time_unit : "1{time}"; capacitive_load_unit (1, {load});
  voltage_unit : "1V"; leakage_power_unit : "1{leakage}"; {THRESHOLDS}
  operating_conditions (typical) {{ process : 1; temperature : 25; voltage : 2; }} default_operating_conditions : typical;
  power_lut_template (p) {{ variable_1 : input_transition_time; index_1 ("1, 100"); }}
  power_lut_template (o) {{ variable_1 : input_transition_time; variable_2 : total_output_net_capacitance;
    index_1 ("1, 10, 100"); index_2 ("0, 8"); }}
  {gate("INV", "!A", "A")} {gate("NAND2", "!(A & B)", "A", "B")}
  cell (DFF) {{ area : 6; cell_leakage_power : 10; ff ("IQ", "IQN") {{ clocked_on : "CK"; next_state : "D"; }}
    pin (CK) {{ direction : input; clock : true; capacitance : 5; {CLOCK} }}
    pin (D) {{ direction : input; capacitance : 1; timing () {{ related_pin : "CK"; timing_type : setup_rising; {CHECK} }} }}
    pin (Q) {{ direction : output; function : "IQ"; timing () {{ related_pin : "CK"; timing_type : rising_edge; {EDGES} }}
      {TOGGLE.format("CK")} }} }} }}
"""


CHILD = """module child_a(clk, \\x$1 , z);
  DFF \\f$2  (
    .CK(clk),
    .D(\\x$1 [1]),
    .Q(z)
  );
endmodule
"""
TOP = """module top_b(clk, \\input , q);
  INV _1_ (
    .A(\\input ),
    .Y(n)
  );
  INV _2_ (
    .A(z),
    .Y(q)
  );
  child_a c (
    .clk(clk),
    .\\x$1 ({ n, \\input  }),
    .z(z)
  );
  NAND2 _3_ (
    .A(n),
    .B(z),
    .Y(unused)
  );
endmodule
"""
PORTS = {"child_a": (("\\clk", "input", 1), ("\\x$1", "input", 2), ("\\z", "output", 1)),
         "top_b": (("\\clk", "input", 1), ("\\input", "input", 1), ("\\q", "output", 1))}
MODULES = {"child_a": DistinctModule("child_a", "", PORTS["child_a"], ()),
           "top_b": DistinctModule("top_b", "", PORTS["top_b"], (("c", "child_a"),))}


def measure(tmp_path, **units):
    (tmp_path / "tiny.lib").write_text(library_text(**units))
    mapped = {}
    for name, text in (("child_a", CHILD), ("top_b", TOP)):
        (tmp_path / f"{name}.v").write_text(text)
        mapped[name] = MappedModule({}, [], tmp_path / f"{name}.v")
    steps = []
    activity = {"child_a": Activity(0.25, 0.125, 1), "top_b": Activity(0.5, 0.75, 1)}
    power = module_power(MODULES, mapped, read_library([tmp_path / "tiny.lib"], power=True), activity, lambda: steps.append(1))
    assert len(steps) == 2
    return power


@pytest.mark.parametrize(("units", "energy", "watt"), [
    ({"time": "ps", "load": "ff", "leakage": "nW"}, 1e-15, 1e-9), ({"time": "ns", "load": "pf", "leakage": "pW"}, 1e-12, 1e-12),
])
def test_power_by_hand(tmp_path, units, energy, watt):
    power = measure(tmp_path, **units)
    child, top = power["child_a"], power["top_b"]
    # The clock pin rises and falls once a cycle: 4 + 2. Q toggles 0.25 times at (3 + 1) / 2 each.
    assert child.internal == pytest.approx((6 + 0.25 * 2) * energy, rel=1e-4, abs=0)
    # The clock pin, 5 units of load, and D, 1 unit at the module's input; 2 V.
    assert child.switching == pytest.approx((5 + 0.5 * 1 * 0.125) * 2**2 * energy, rel=1e-4, abs=0)
    assert child.leakage == pytest.approx(10 * watt, rel=1e-4, abs=0)
    # (3 + 1) / 2, and half a unit for each unit of load: one inverter drives the NAND, the other two gates nothing.
    assert top.internal == pytest.approx(0.5 * (2 + 2 + 2 + 0.5 * 2) * energy, rel=1e-4, abs=0)
    # One pin at the input of the module, three others.
    assert top.switching == pytest.approx(0.5 * 2 * 2**2 * (0.75 + 3 * 0.5) * energy, rel=1e-4, abs=0)
    assert top.leakage == pytest.approx(21 * watt, rel=1e-4, abs=0)


def test_a_library_without_a_voltage_is_refused():
    library = SimpleNamespace(name="tiny", text="library (tiny) { }", time_ps=1, load_ff=1)
    with pytest.raises(SynthesisError, match="tiny: has no operating_conditions"):
        module_power({}, {}, library, {})
