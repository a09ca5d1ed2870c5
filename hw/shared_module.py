"""Components that occur many times and are converted once."""

import hashlib
from dataclasses import is_dataclass

from amaranth.hdl import ClockSignal, Instance, ResetSignal
from amaranth.lib.wiring import In

__all__ = ["ModuleLibrary", "instantiate"]


class ModuleLibrary:
    """Given to `elaborate` as the platform, collects the components that become modules of their own.

    Members
    -------
    pending : list of (module name, component), still to be converted next to the top
    """

    def __init__(self):
        self.pending = []
        self._known = {}

    def drain(self):
        """Yield what is pending, also what its conversion adds, until nothing is left."""
        while self.pending:
            yield self.pending.pop(0)

    def module(self, kind, parameters):
        """Name and signature of the module for this class with these parameters; of a dataclass, its fields count."""
        fields = [entry for name, value in parameters.items()
                  for entry in (vars(value).items() if is_dataclass(value) else [(name, value)])]
        key = (kind, repr(sorted(fields)))
        if key not in self._known:
            component = kind(**parameters)
            name = f"{kind.__name__.lower()}_{hashlib.sha256(key[1].encode()).hexdigest()[:6]}"
            self._known[key] = name, component.signature
            self.pending.append((name, component))
        return self._known[key]


def instantiate(m, platform, name, kind, **parameters):
    """Add submodule `name`, a component `kind` with these parameters, to `m`; returns its interface.

    If `platform` is a `ModuleLibrary`, only an instance of the shared module is added, else the component itself. The
    component must have registers (its module has ``clk`` and ``rst``), in the sync domain only.
    """
    if not isinstance(platform, ModuleLibrary):
        m.submodules[name] = component = kind(**parameters)
        return component
    module, signature = platform.module(kind, parameters)
    interface = signature.create(path=(name,))
    ports = {"i_clk": ClockSignal(), "i_rst": ResetSignal()}
    for path, member, value in signature.flatten(interface):
        ports[f"{'i' if member.flow is In else 'o'}_{'__'.join(map(str, path))}"] = value
    m.submodules[name] = Instance(module, **ports)
    return interface
