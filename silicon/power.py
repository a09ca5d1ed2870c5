"""Power of mapped modules at measured activities."""

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np

from .cell_energy import cell_energies

__all__ = ["ModulePower", "module_power"]

_CELL = re.compile(r"^  (\w+) (?:\\\S+ |\w+) ?\(\n((?:    \.[^\n]*\n)*)  \);", re.MULTILINE)
_PIN = re.compile(r"^    \.(\w+)\(([^\n]*?)\),?$", re.MULTILINE)
_BIT = re.compile(r"^\\?(\S+?) ?(?:\[\d+\])?$")


@dataclass(frozen=True)
class ModulePower:
    """Of one module without those in it: joules per clock cycle and watts."""

    internal: float
    switching: float
    leakage: float


def module_power(modules, mapped, library, activity, done=lambda: None):
    """{name: ModulePower} of the distinct `modules`.

    A pin at an input of a module toggles as often as its inputs in the simulation do on average, every other as often as the
    nets that it drives, clock pins twice a cycle. ``C * V**2 / 2`` for each toggle of a pin is switching energy, charged to
    the module that the pin is in; what the library says of a cell at its load is internal energy.

    Parameters
    ----------
    mapped : see `map_modules`
    library : Library with power tables, see `read_library`
    activity : {name: Activity}
    done : called after each module

    Raises
    ------
    SynthesisError : the library has no supply voltage
    """
    volts, cells = cell_energies(library)
    found = {}
    for name, module in modules.items():
        inputs = {port.removeprefix("\\") for port, direction, _ in module.ports if direction == "input"}
        found[name] = _power(mapped[name].netlist.read_text(), inputs, cells, volts, activity[name])
        done()
    return found


def _power(netlist, inputs, cells, volts, activity):
    instances = [(cells[kind], dict(_PIN.findall(pins))) for kind, pins in _CELL.findall(netlist) if kind in cells]
    loads = Counter()
    for cell, pins in instances:
        for pin, (farads, _) in cell.inputs.items():
            loads[pins.get(pin)] += farads
    internal = switching = leakage = 0.0
    for cell, pins in instances:
        leakage += cell.leakage
        for pin, (farads, joules) in cell.inputs.items():
            if pin == cell.clock:
                toggles = 2.0
            elif pin in pins and _BIT.match(pins[pin])[1] in inputs:
                toggles = activity.inputs
            else:
                toggles = activity.driven
            switching += 0.5 * farads * volts**2 * toggles
            internal += joules * toggles
        for pin, (at, joules) in cell.outputs.items():
            internal += float(np.interp(loads[pins.get(pin)], at, joules)) * activity.driven
    return ModulePower(internal, switching, leakage)
