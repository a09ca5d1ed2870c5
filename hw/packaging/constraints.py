"""Timing constraints in SDC, for synthesis, place and route, and static timing analysis."""

from .ports import CLOCK, RESET, ports

__all__ = ["to_constraints"]


def to_constraints(config, *, observe=False):
    """The text of the constraints of the wrapper.

    Parameters
    ----------
    config : AcceleratorConfig
    observe : with the ports for observation
    """
    listed = [port for port in ports(config) if observe or not port.observation]
    inputs, outputs = ([port.name for port in listed if port.driven is driven] for driven in (True, False))
    return f"""\
# Timing of an AccelTran, generated: do not edit. Set the variables before this file is read to have other values; times are in
# the unit of the cell library, for most libraries ns.
if {{![info exists acceltran_period]}} {{ set acceltran_period 10.0 }}
# Shares of the period that are spent outside, before an input and after an output. Ports of AXI are registered or close to it.
if {{![info exists acceltran_input_share]}} {{ set acceltran_input_share 0.3 }}
if {{![info exists acceltran_output_share]}} {{ set acceltran_output_share 0.3 }}

create_clock -name {CLOCK} -period $acceltran_period [get_ports {CLOCK}]

set acceltran_inputs {{
{_list(inputs)}
}}
set acceltran_outputs {{
{_list(outputs)}
}}
set_input_delay [expr {{$acceltran_period * $acceltran_input_share}}] -clock {CLOCK} [get_ports $acceltran_inputs]
set_output_delay [expr {{$acceltran_period * $acceltran_output_share}}] -clock {CLOCK} [get_ports $acceltran_outputs]

# The reset is synchronous: it is timed as any other input, and no path from it is false.
set_input_delay [expr {{$acceltran_period * $acceltran_input_share}}] -clock {CLOCK} [get_ports {RESET}]
"""


def _list(names):
    return "\n".join(f"    {name}" for name in names)
