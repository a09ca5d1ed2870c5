"""A clock domain whose reset is held for some cycles after that of the ports."""

from amaranth.hdl import ClockDomain, ClockSignal, DomainRenamer, ResetSignal, Signal

__all__ = ["held_reset"]


def held_reset(m, domain, cycles):
    """Add `domain` to `m`, with the clock of sync and its reset, held for `cycles` more; returns its renamer and "it is held".

    One cycle of reset is then enough for logic whose own resets come out of registers one after the other, and for pipelines
    without reset, which become empty meanwhile. While sync is in reset "it is held" may still be low.

    Parameters
    ----------
    m : Module
    domain : name
    cycles : at least one
    """
    m.domains += ClockDomain(domain, local=True)
    left = Signal(range(cycles + 1), init=cycles, name=f"{domain}_left")
    held = left != 0
    with m.If(held):
        m.d.sync += left.eq(left - 1)
    m.d.comb += [ClockSignal(domain).eq(ClockSignal()), ResetSignal(domain).eq(ResetSignal() | held)]
    return DomainRenamer(domain), held
