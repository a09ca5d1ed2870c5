"""The module that others instantiate: the accelerator under the port names that AXI tools know, in Verilog-2001."""

from .ports import CLOCK, INTERRUPT, MANAGER, RESET, SUBORDINATE, ports, readers

__all__ = ["TOP", "WRAPPER", "to_wrapper"]

TOP = "acceltran"
"""Name of the module."""

WRAPPER = "acceltran.v"

_HEAD = f"""\
// AccelTran with the ports of an AXI component, generated: do not edit. All of it has one clock. {RESET} is active low and
// synchronous; one cycle of it is enough. {MANAGER} is an AXI4 manager for main memory, {SUBORDINATE} an AXI4-Lite
// subordinate with the registers of registers.md, {INTERRUPT} a level. Signals of AXI4 that are missing have the
// standard's default.
"""

_READERS = """\
// {names} read weights from main memory, as AXI4 managers without write channels.
"""


def to_wrapper(config, *, observe=False):
    """The Verilog of the wrapper.

    Parameters
    ----------
    config : AcceleratorConfig
    observe : with the ports by which a simulation watches the accelerator at work
    """
    all_ports = ports(config)
    lines = [f"    input  wire {_range(1)} {CLOCK}", f"    input  wire {_range(1)} {RESET}"]
    lines += [f"    {port.direction:6} wire {_range(port.bits)} {port.name}" for port in all_ports
              if observe or not port.observation]
    connections = [f"        .clk({CLOCK})", f"        .rst(!{RESET})"]
    connections += [f"        .{port.inner}({port.name if observe or not port.observation else ''})" for port in all_ports]
    declared, connected = ",\n".join(lines), ",\n".join(connections)
    head = _HEAD + (_READERS.format(names=", ".join(names)) if (names := readers(config)) else "")
    return f"{head}module {TOP} (\n{declared}\n);\n    accelerator core (\n{connected}\n    );\nendmodule\n"


def _range(bits):
    return f"{f'[{bits - 1}:0]' if bits > 1 else '':8}"
