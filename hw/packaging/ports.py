"""The ports of a generated accelerator: what tools call them outside, and the module `accelerator` inside."""

from dataclasses import dataclass

from amaranth.hdl import Shape
from amaranth.lib.wiring import In

from ..accelerator import accelerator_signature

__all__ = ["CLOCK", "INTERRUPT", "MANAGER", "OBSERVATION", "RESET", "SUBORDINATE", "Port", "ports", "readers"]

CLOCK, RESET, INTERRUPT = "aclk", "aresetn", "interrupt"
MANAGER, SUBORDINATE = "m_axi", "s_axi"

OBSERVATION = ("timeline", "activity")
"""Ports by which a simulation watches the accelerator at work."""

_OUTER = {"m_axi": MANAGER, "s_axil": SUBORDINATE, "irq": INTERRUPT, **{name: name for name in OBSERVATION}}
"""By the member of the signature; a new one has to be named here before there is a package again."""


def readers(config):
    """Names of the managers beside `MANAGER`, inside and outside: they have read channels only."""
    return [f"{MANAGER}_{number}" for number in range(1, config.memory_ports)]


@dataclass(frozen=True)
class Port:
    """A port of the wrapper but clock and reset.

    Parameters
    ----------
    name, inner : outside, and on the module `accelerator`
    bits : width
    driven : the accelerator reads it
    interface, signal : ``m_axi`` and ``awaddr`` of ``m_axi_awaddr``; of a port that stands alone its name, and None
    """

    name: str
    inner: str
    bits: int
    driven: bool
    interface: str
    signal: str | None

    @property
    def direction(self):
        """As Verilog says it."""
        return "input" if self.driven else "output"

    @property
    def observation(self):
        """Whether it is there to watch only."""
        return self.interface in OBSERVATION


def ports(config):
    """Every Port of the accelerator of `config`, those for observation last."""
    members = accelerator_signature(config).create()
    outer, found = _OUTER | {name: name for name in readers(config)}, []
    for (member, *path), flow, _ in members.signature.flatten(members):
        interface, signal = outer[member], "_".join(map(str, path)) or None
        found.append(Port(name="_".join([interface, *map(str, path)]), inner="__".join([member, *map(str, path)]),
                          bits=Shape.cast(flow.shape).width, driven=flow.flow is In, interface=interface, signal=signal))
    return found
