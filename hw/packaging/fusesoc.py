"""The core file for FuseSoC (CAPI2): what belongs together, and how it is linted, simulated and synthesised."""

from ..spec.version import version_text
from .smoke_testbench import SMOKE_TESTBENCH
from .wrapper import TOP

__all__ = ["TESTBENCH", "core_name", "to_core"]

TESTBENCH = "testbench.v"
"""The file of the further testbench, module ``testbench``."""


def core_name(config):
    """The name of the file."""
    return f"{TOP}_{config.name}.core"


def to_core(config, sources, waivers, testbench=()):
    """The text of the core file.

    Parameters
    ----------
    config : AcceleratorConfig
    sources : names of the Verilog files, in their order
    waivers : name of the file for Verilator
    testbench : names of the files of a further testbench, `TESTBENCH` among them, or none
    """
    text = f"""\
CAPI=2:
# Generated with the accelerator: do not edit.
name: "::{TOP}_{config.name}:{version_text()}"
description: "AccelTran, an accelerator for transformer encoders, configuration {config.name}"

filesets:
  rtl:
    file_type: verilogSource
    files:
{_list(sources)}
  waivers:
    file_type: vlt
    files:
{_list([waivers])}
  smoke:
    file_type: verilogSource
    files:
{_list([SMOKE_TESTBENCH])}
"""
    if testbench:
        text += f"""\
  testbench:
    files:
{_list([_testbench_file(name) for name in testbench])}
"""
    text += """
parameters:
  stop:
    datatype: bool
    paramtype: plusarg
    default: true
    description: "A failed simulation ends with an exit code other than 0"
"""
    if testbench:
        text += """\
  folder:
    datatype: str
    paramtype: plusarg
    default: .
    description: "Where the files are that the testbench reads"
"""
    text += f"""
targets:
  default:
    filesets: [rtl]
    toplevel: {TOP}
  lint:
    description: "Verilator's linter, with all warnings"
    filesets: [waivers, rtl]
    toplevel: {TOP}
    flow: lint
    flow_options:
      tool: verilator
      verilator_options: [-Wall]
  sim:
    description: "Smoke test in Icarus: registers, a program of one instruction, an error, a soft reset"
    filesets: [rtl, smoke]
    toplevel: {SMOKE_TESTBENCH.removesuffix('.v')}
    parameters: [stop]
    flow: sim
    flow_options: &icarus
      tool: icarus
      iverilog_options: [-g2005]
      vvp_options: [-N]
"""
    if testbench:
        text += f"""\
  testbench:
    description: "A program and what it has to give, in Icarus"
    filesets: [rtl, testbench]
    toplevel: {TESTBENCH.removesuffix('.v')}
    parameters: [stop, folder]
    flow: sim
    flow_options: *icarus
"""
    return text + f"""\
  synth:
    description: "Yosys for Lattice ECP5, to a netlist in JSON"
    filesets: [rtl]
    toplevel: {TOP}
    flow: generic
    flow_options:
      tool: yosys
      arch: ecp5
      output_format: json
"""


def _testbench_file(name):
    return f"{name}: {{file_type: {'verilogSource' if name.endswith('.v') else 'user'}, copyto: {name}}}"


def _list(names):
    return "\n".join(f"      - {name}" for name in names)
