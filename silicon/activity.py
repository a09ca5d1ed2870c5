"""Switching activity of every distinct module, from the toggle counts of an RTL simulation."""

from dataclasses import dataclass

from ..sim.errors import SimulationError
from .toggle_counters import ToggleCount

__all__ = ["BANK", "Activity", "bank_accesses", "instance_modules", "module_activity"]

BANK = "acceltran_sram_"
"""How the names of distinct modules of SRAM begin."""


@dataclass(frozen=True)
class Activity:
    """Toggles per bit and clock cycle of the nets that a module drives and of its inputs, over its `instances`."""

    driven: float
    inputs: float
    instances: int


def instance_modules(modules):
    """{path from ``accelerator`` on: name of the distinct module} of every instance of the design."""
    found = {}

    def visit(path, name):
        found[path] = name
        for instance, child in modules[name].instances:
            visit(f"{path}.{instance}", child)

    visit("accelerator", next(reversed(modules)))
    return found


def module_activity(instances, counts, *, cycles, root):
    """{name of the distinct module: Activity}, the mean over its instances.

    What was not counted, such as slices of a crossbar, toggles as often as what it is in.

    Parameters
    ----------
    instances : see `instance_modules`
    counts : {path: ToggleCount}, see `read_toggles`
    cycles : clock cycles of the run; what toggles before and after it, in the few cycles of reset and registers, counts too
    root : path of the accelerator in `counts`

    Raises
    ------
    SimulationError : an instance was counted that is not in the design, or nothing was around a module
    """
    unknown = {path for path in counts if f"{path}.".startswith(f"{root}.")} - {_counted(path, root) for path in instances}
    if unknown:
        raise SimulationError(f"{min(unknown)}: counted, but not in the design")
    sums = {name: [0] * 5 for name in instances.values()}
    for path, name in instances.items():
        one = _nearest(counts, _counted(path, root))
        for n, value in enumerate((one.driven, one.driven_bits, one.inputs, one.input_bits, 1)):
            sums[name][n] += value
    found = {}
    for name, (driven, driven_bits, inputs, input_bits, count) in sums.items():
        if not driven_bits + input_bits:
            raise SimulationError(f"{name}: none of its nets was counted")
        every = (driven + inputs) / (driven_bits + input_bits)
        found[name] = Activity((driven / driven_bits if driven_bits else every) / cycles,
                               (inputs / input_bits if input_bits else every) / cycles, count)
    return found


def _nearest(counts, path):
    """Of an instance, or of the nearest around it of which nets were counted."""
    while path:
        one = counts.get(path, ToggleCount())
        if one.driven_bits + one.input_bits:
            return one
        path = path.rpartition(".")[0]
    return ToggleCount()


def bank_accesses(instances, counts, *, root):
    """{name of the distinct module of a bank: (reads, writes)} of all its copies. A write of any part of a word is one."""
    found = {}
    for path, name in instances.items():
        if name.startswith(BANK):
            one, before = counts[_counted(path, root)], found.get(name, (0, 0))
            found[name] = before[0] + one.reads, before[1] + one.writes
    return found


def _counted(path, root):
    return path.replace("accelerator", root, 1)
