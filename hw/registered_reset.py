"""A clock domain whose reset comes out of a register."""

from amaranth.hdl import ClockDomain, ClockSignal, DomainRenamer, ResetSignal, Signal

__all__ = ["registered_reset"]


def registered_reset(m, domain, reset=None):
    """Add `domain` to `m`, with the clock of sync and `reset` (the reset of sync) one cycle later; returns its renamer.

    The register is the root of a reset tree of its own, and keeps the logic behind it independent of the ports. It is set
    from power-up on.

    Parameters
    ----------
    m : Module
    domain : name
    reset : condition, evaluated in sync
    """
    m.domains += ClockDomain(domain, local=True)
    register = Signal(name=f"{domain}_reset", init=1, reset_less=True)
    m.d.sync += register.eq(ResetSignal() if reset is None else reset)
    m.d.comb += [ClockSignal(domain).eq(ClockSignal()), ResetSignal(domain).eq(register)]
    return DomainRenamer(domain)
