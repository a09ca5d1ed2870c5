"""Toggles of the simulated RTL, per distinct module."""

import pytest

from acceltran.silicon.activity import bank_accesses, instance_modules, module_activity
from acceltran.silicon.modules import DistinctModule
from acceltran.silicon.toggle_counters import COUNTER_SOURCE, LOG, ToggleCount, read_toggles, with_toggle_counters
from acceltran.sim.cocotb_run import run_cocotb
from acceltran.sim.design import SIMULATION_SOURCES
from acceltran.sim.errors import SimulationError
from acceltran.sim.verilator import QUICK, build


def module(name, *instances):
    return DistinctModule(name, "", (), instances)


MODULES = {one.name: one for one in (
    module("lane_a"), module("empty_b"), module("acceltran_sram_4x1x2_c"),
    module("bank_d", ("macro$1", "acceltran_sram_4x1x2_c")),
    module("accelerator_e", ("lane_0", "lane_a"), ("lane_1", "lane_a"), ("empty", "empty_b"), ("bank_0", "bank_d"),
           ("bank_1", "bank_d")),
)}
COUNTS = {
    "system.dut": ToggleCount(driven=30, driven_bits=2, inputs=5, input_bits=1),
    "system.dut.lane_0": ToggleCount(driven=8, driven_bits=1),
    "system.dut.lane_1": ToggleCount(driven=4, driven_bits=1),
    "system.dut.bank_0.macro$1": ToggleCount(reads=6, writes=3),
    "system.dut.bank_1.macro$1": ToggleCount(reads=1, writes=2),
}


def test_activity_is_the_mean_over_the_instances():
    activity = module_activity(instance_modules(MODULES), COUNTS, cycles=40, root="system.dut")
    assert (activity["lane_a"].driven, activity["lane_a"].instances) == (12 / 2 / 40, 2)
    assert (activity["accelerator_e"].driven, activity["accelerator_e"].inputs) == (30 / 2 / 40, 5 / 40)
    assert activity["lane_a"].inputs == activity["lane_a"].driven
    assert activity["empty_b"].driven == activity["accelerator_e"].driven  # It is in there.


def test_counts_that_do_not_belong_are_refused():
    instances = instance_modules(MODULES)
    with pytest.raises(SimulationError, match="accelerator_e: none of its nets was counted"):
        module_activity(instances, {"elsewhere": ToggleCount(1, 1)}, cycles=40, root="system.dut")
    with pytest.raises(SimulationError, match=r"system\.dut\.lane_7: counted, but not in the design"):
        module_activity(instances, {**COUNTS, "system.dut.lane_7": ToggleCount()}, cycles=40, root="system.dut")


def test_accesses_of_all_copies_of_a_bank():
    assert bank_accesses(instance_modules(MODULES), COUNTS, root="system.dut") == {"acceltran_sram_4x1x2_c": (7, 5)}


VERILOG = """
module \\toggle.child (x, y);
  input [4199:0] x;
  wire [4199:0] x;
  output y;
  wire y;
  assign y = ^x;
endmodule

module toggle(clk, rst, n, o);
  input clk;
  wire clk;
  input rst;
  wire rst;
  input [1:0] n;
  wire [1:0] n;
  output o;
  wire o;
  reg signed [2:0] \\count$1  = 3'h0;
  always @(posedge clk)
    \\count$1  <= \\count$1  + 1;
  \\toggle.child child$2 (.x({ 4198'd0, n }), .y(o));
  acceltran_sram #(.DEPTH(4), .WIDTH(8), .LANES(2)) bank (
    .clk(clk), .read_enable(n[0]), .read_address(n), .read_data(), .write_enable(n), .write_address(n), .write_data(8'd0));
endmodule

module system(input wire clk, input wire rst, input wire [1:0] n, output wire o);
  toggle dut(.clk(clk), .rst(rst), .n(n), .o(o));
endmodule
"""


def test_counters_in_a_simulation(tmp_path):
    """n counts 0, 1, 2, 3 for 40 cycles: its low bit toggles 40 times, its high bit 20, their parity 20."""
    counted = with_toggle_counters(VERILOG, clock="system.clk")
    simulator = build(counted, "system", sources=[*SIMULATION_SOURCES[:3], COUNTER_SOURCE], **QUICK)
    run_cocotb(simulator, "support.toggle_runs", tmp_path)
    counts = read_toggles(tmp_path / LOG)
    dut, child = counts["system.dut"], counts["system.dut.child$2"]
    assert (dut.inputs, dut.input_bits, child.inputs, child.input_bits) == (60, 2, 60, 4200)
    assert (child.driven, child.driven_bits) == (20, 1)
    # The register of three bits: 1 + 1/2 + 1/4 toggles per cycle; o once every other cycle.
    assert dut.driven_bits == 4 and abs(dut.driven - (40 * 1.75 + 20)) <= 8
    assert (counts["system.dut.bank"].reads, counts["system.dut.bank"].writes) == (20, 30)


@pytest.mark.parametrize("text", [None, "", "system.dut.acceltran_driven_0 3\n", "system.dut.other_0 3 4\n"])
def test_other_files_are_refused(tmp_path, text):
    if text is not None:
        (tmp_path / LOG).write_text(text)
    with pytest.raises(SimulationError, match="toggles"):
        read_toggles(tmp_path / LOG)
