"""A component alone in a simulation, some of its ports under other names."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out, connect, flipped

__all__ = ["Renamed"]


class Renamed(wiring.Component):
    """`inner` as it is, with the ports in `names` called otherwise: simulators take no name that is a word of Verilog.

    Parameters
    ----------
    inner : Component
    names : {its name: the new one}
    """

    def __init__(self, inner, **names):
        self._inner, self._names = inner, names
        super().__init__({names.get(name, name): member for name, member in inner.signature.members.items()})

    def elaborate(self, platform):
        m = Module()
        m.submodules.inner = self._inner
        for name, member in self._inner.signature.members.items():
            inner, outer = getattr(self._inner, name), getattr(self, self._names.get(name, name))
            if member.is_signature:
                connect(m, flipped(outer), inner)
                continue
            for here, there in zip(*((one if member.dimensions else [one]) for one in (inner, outer)), strict=True):
                m.d.comb += there.eq(here) if member.flow is Out else here.eq(there)
        return m
