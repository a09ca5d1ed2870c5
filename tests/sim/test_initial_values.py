"""What registers and memories hold at power-up changes no result: in Icarus, in four states, under both standards."""

import pytest

from acceltran.sim.design import accelerator_verilog
from support.initial_values import with_random, without
from support.testbenches import NANO, ODD, icarus, smallest, write

SAMPLE = """\
module sample(input clk, output reg [3:0] q);
  reg [1:0] p = 2'h1;
  output reg r = 0;
  reg [7:0] storage [3:0];
  initial begin
    storage[0] = 8'h00;
  end
  initial p = 2'h2;
  always @(posedge clk)
    q <= p == 2'h1;
endmodule
"""


def test_the_script_strips_what_it_should():
    assert without(SAMPLE).splitlines() == [
        "module sample(input clk, output reg [3:0] q);", "  reg [1:0] p;", "  output reg r;", "  reg [7:0] storage [3:0];",
        "  always @(posedge clk)", "    q <= p == 2'h1;", "endmodule"]


@pytest.fixture(scope="module", params=["nano", pytest.param("odd", marks=pytest.mark.slow)])
def design(request, tmp_path_factory):
    """A configuration, the smallest encoder on it, and a folder."""
    config = {"nano": NANO, "odd": ODD}[request.param]
    return config, smallest(config), tmp_path_factory.mktemp(config.name)


def test_v1_nothing_in_the_design_has_an_initial_value(design):
    """Tables are logic: no memory is filled, no register is set before the reset."""
    verilog = accelerator_verilog(design[0])
    assert "initial" not in verilog and "readmem" not in verilog and without(verilog) == verilog


def passes(design, verilog, standard, name):
    config, (program, golden), folder = design
    code, lines = icarus(write(folder / name, program, golden, verilog), standard)()
    assert code == 0
    assert lines[-1].startswith("PASS: all 1 outputs equal"), "\n".join(lines[-5:])


@pytest.mark.parametrize("standard", ["2005", pytest.param("2012", marks=pytest.mark.slow)])
def test_v6_four_states_without_any_initial_value(design, standard):
    passes(design, without(accelerator_verilog(design[0])), standard, f"without-{standard}")


@pytest.mark.parametrize("standard", [pytest.param("2005", marks=pytest.mark.slow), "2012"])
def test_v2_with_initial_values_of_any_kind(design, standard):
    """As wrong as they can be, in the form that makes an event under that standard."""
    verilog = with_random(accelerator_verilog(design[0]), 1, declared=standard == "2005")
    assert verilog.count("= 1'h1;\n") > 100 and verilog.count("= 1'h0;\n") > 100
    passes(design, verilog, standard, f"with-{standard}")
