"""Cell libraries are read from Liberty files."""

import gzip

import pytest

from acceltran.hw.spec.errors import ConfigError
from acceltran.silicon.liberty import GATE_EQUIVALENTS, read_library

GATES = """/* Two gates {{{ */
library ("tiny") {
  time_unit : "1ns";
  capacitive_load_unit (1.0, "pf");
  lu_table_template (t) { variable_1 : input_net_transition; index_1 ("1, 2"); }
  cell ("tiny_nand2_1") {
    area : 2.5;
    leakage_power () { value : 1; }
    pin ("A") { direction : "input"; internal_power () { rise_power (t) { values ("1, 2"); } } }
    pin ("B") { direction : "input"; }
    pin ("Y") { direction : "output"; function : "(!A) | (!B)";
      timing () { related_pin : "A"; cell_rise (t) { values ("1, \\
        2"); } } }
  }
  cell ("tiny_nand2_4") { area : 5; pin (A) { direction : input; } pin (B) { direction : input; }
    pin (Y) { direction : output; function : "!(A*B)"; } }
  cell ("tiny_and2_1") { area : 1; pin (A) { direction : input; } pin (B) { direction : input; }
    pin (Y) { direction : output; function : "A&B"; } }
  cell ("tiny_inv_1") { area : 1; pin (A) { direction : input; capacitance : 0.5; }
    pin (Y) { direction : output; function : "(!A)"; } }
  cell ("tiny_clkbuf_1") { area : 1; pin (A) { direction : input; } pin (Y) { direction : output; function : "A"; } }
  cell ("tiny_buf_2") { area : 2; pin (A) { direction : input; } pin (X) { direction : output; function : "A"; } }
  cell ("tiny_buf_1") { area : 1; dont_use : true; pin (A) { direction : input; }
    pin (Y) { direction : output; function : "A"; } }
  cell ("tiny_tie") { area : 1; pin (Y) { direction : output; function : "1"; } }
}
"""
FLIP_FLOPS = """library (tiny_seq) {
  lu_table_template (t) { variable_1 : other; }
  lu_table_template (u) { variable_1 : input_net_transition; }
  cell (tiny_dff) { area : 10; ff (IQ, IQN) { clocked_on : "CK"; next_state : "D"; }
    pin (CK) { direction : input; } pin (D) { direction : input; } pin (Q) { direction : output; function : "IQ"; } }
  cell (tiny_dffr) { area : 9; ff (IQ, IQN) { clocked_on : "CK"; next_state : "D"; clear : "!R"; }
    pin (CK) { direction : input; } pin (D) { direction : input; } pin (Q) { direction : output; function : "IQ"; } }
  cell (tiny_latch) { area : 9; latch (IQ, IQN) { enable : "G"; data_in : "D"; }
    pin (G) { direction : input; } pin (D) { direction : input; } pin (Q) { direction : output; function : "IQ"; } }
}
"""


@pytest.fixture
def files(tmp_path):
    gates, flip_flops = tmp_path / "gates.lib", tmp_path / "flip_flops.lib.gz"
    gates.write_text(GATES)
    flip_flops.write_bytes(gzip.compress(FLIP_FLOPS.encode()))
    return gates, flip_flops


def test_files_together_are_one_library(files):
    library = read_library(files)
    assert (library.name, library.unit, library.timed) == ("tiny", "um2", True)
    assert library.areas == {"tiny_nand2_1": 2.5, "tiny_nand2_4": 5.0, "tiny_and2_1": 1.0, "tiny_buf_2": 2.0, "tiny_inv_1": 1.0,
                             "tiny_dff": 10.0}
    assert library.flip_flops == ("tiny_dff",)
    assert library.nand2 == 2.5
    assert (library.inverter, library.inverter_ff, library.time_ps, library.load_ff) == ("tiny_inv_1", 500, 1000, 1000)
    assert library.buffer == ("tiny_buf_2", "A", "X")


def test_the_reduced_text_keeps_units_templates_and_delays(files, tmp_path):
    text = read_library(files).text
    assert 'time_unit : "1ns"' in text and "cell_rise" in text
    assert text.count("lu_table_template (t)") == 1 and text.count("lu_table_template (u)") == 1
    assert "power" not in text and "tiny_latch" not in text
    assert text.count("{") == text.count("}")
    again = tmp_path / "again.lib"
    again.write_text(text)
    assert read_library([again]).areas == read_library(files).areas


def test_gate_equivalents_have_nand2_as_one():
    library = read_library([GATE_EQUIVALENTS])
    assert (library.unit, library.nand2, library.timed) == ("GE", 1.0, False)
    assert library.flip_flops == ("GE_DFF",)


def test_bad_files_are_refused(files, tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        read_library([tmp_path / "none.lib"])
    other = tmp_path / "other.lib"
    for content in (b"module nothing; endmodule", b"\x1f\x8bbroken", b"\xff\xfe"):
        other.write_bytes(content)
        with pytest.raises(ConfigError, match="give a .lib or .lib.gz file"):
            read_library([other])
    with pytest.raises(ConfigError, match="no plain flip-flop"):
        read_library(files[:1])
    with pytest.raises(ConfigError, match="no plain NAND2"):
        read_library(files[1:])
    other.write_text(GATES.rstrip().removesuffix("}"))
    assert read_library([other, files[1]]).nand2 == 2.5
    other.write_text(GATES[: GATES.index("cell_rise (t)") + 15])
    with pytest.raises(ConfigError, match="does not end"):
        read_library([other, files[1]])
