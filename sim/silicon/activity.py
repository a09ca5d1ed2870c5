"""Switching activity of every distinct module, from the toggle counts of an RTL simulation."""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from ..verilator import SimulationError

__all__ = ["BANK", "COPIES", "Activity", "Scope", "bank_accesses", "module_activity", "read_saif", "traced_instances"]

COPIES = 2
"""Of equal instances in one module so many are traced."""

BANK = "acceltran_sram_"
"""How the names of distinct modules of SRAM begin."""

_SCOPE = re.compile(r"\(INSTANCE (\S+)")
_NET = re.compile(r"\((\S+) \(T0 \d+\) \(T1 (\d+)\).*\(TC (\d+)\)")
_DURATION = re.compile(r"\(DURATION (\d+)\)")
_CLOCK = re.compile(r"(^|_)clk$")
_BIT = re.compile(r"\[(\d+)\]$")


@dataclass
class Scope:
    """What a SAIF file says about one instance, without those in it.

    Members
    -------
    toggles, bits : of all nets but clocks
    clock : toggles of its clock
    high : {enable: [time that each bit was high]}, for a bank's enables
    """

    toggles: int = 0
    bits: int = 0
    clock: int = 0
    high: dict = field(default_factory=lambda: defaultdict(list))


@dataclass(frozen=True)
class Activity:
    """Toggles per bit and clock cycle of a module's own nets, over its traced `instances`."""

    toggles: float
    instances: int


def traced_instances(modules, copies=COPIES):
    """What of the design to trace.

    Of equal instances in a module (lanes, MACs, rows of PEs) the first `copies` stand for all; of banks none is left out,
    so that their accesses can be counted.

    Returns
    -------
    traced : {path from ``accelerator`` on: name of the distinct module}
    untraced : paths of the other instances; what is in these is not listed
    """
    traced, untraced = {}, []

    def visit(path, name):
        traced[path] = name
        seen = Counter()
        for instance, child in modules[name].instances:
            seen[child] += 1
            below = f"{path}.{instance}"
            if seen[child] <= copies or any(_is_bank(name) for _, name in modules[child].instances):
                visit(below, child)
            else:
                untraced.append(below)

    visit("accelerator", next(reversed(modules)))
    return traced, untraced


def read_saif(path):
    """(duration, {dotted path: Scope}) of a SAIF file; both in its unit of time.

    Raises
    ------
    SimulationError : it is no complete SAIF file
    """
    duration, scopes, above, in_nets = None, {}, [], False
    with open(path) as lines:
        for word in map(str.strip, lines):
            if net := _NET.match(word):
                _add(scopes[".".join(above)], net[1].replace("\\", ""), int(net[2]), int(net[3]))
            elif opened := _SCOPE.match(word):
                above.append(opened[1].replace("\\", ""))
                scopes.setdefault(".".join(above), Scope())
            elif word == "(NET":
                in_nets = True
            elif word == ")" and in_nets:
                in_nets = False
            elif word == ")" and above:
                above.pop()
            elif found := _DURATION.match(word):
                duration = int(found[1])
    if duration is None or above or not scopes:
        raise SimulationError(f"{path}: is no complete SAIF file")
    return duration, scopes


def _add(scope, net, high, toggles):
    name = _BIT.sub("", net)
    if _CLOCK.search(name):
        scope.clock = toggles
        return
    scope.toggles += toggles
    scope.bits += 1
    if name in ("read_enable", "write_enable"):
        scope.high[name].append(high)


def module_activity(traced, scopes, *, cycles, root):
    """{name of the distinct module: Activity}, the mean over its traced instances.

    A module without nets of its own in the trace takes the mean of all.

    Parameters
    ----------
    traced : see `traced_instances`
    scopes : see `read_saif`
    cycles : clock cycles of the run; what toggles before and after it, in the few cycles of reset and registers, counts too
    root : path of the accelerator in `scopes`
    """
    sums = {name: [0, 0, 0] for name in traced.values()}
    for path, name in traced.items():
        scope = scopes.get(path.replace("accelerator", root, 1), Scope())
        for n, value in enumerate((scope.toggles, scope.bits, 1)):
            sums[name][n] += value
    every = [sum(column) for column in zip(*sums.values(), strict=True)]
    if not every[1]:
        raise SimulationError(f"no net of {root} in the trace")
    return {name: Activity((toggles / bits if bits else every[0] / every[1]) / cycles, count)
            for name, (toggles, bits, count) in sums.items()}


def bank_accesses(traced, scopes, *, period, root):
    """{name of the distinct module of a bank: (reads, writes)} of all its copies, from how long their enables were high.

    A write of any part of a word counts as one.
    """
    found = {}
    for path, name in traced.items():
        if _is_bank(name):
            high = scopes[path.replace("accelerator", root, 1)].high
            reads, writes = (max(high[enable], default=0) / period for enable in ("read_enable", "write_enable"))
            before = found.get(name, (0, 0))
            found[name] = before[0] + reads, before[1] + writes
    return found


def _is_bank(name):
    return name.startswith(BANK)
