"""The one clock of all simulations, and cycles in the times of their logs."""

__all__ = ["PERIOD", "cycle_at", "end_of"]

PERIOD = 10
"""Nanoseconds: a simulation's time divided by it is the cycle."""

_EDGE = PERIOD // 2


def cycle_at(time):
    """The cycle that ends at the rising edge at `time`, in ns, at which a log was written."""
    return (time - _EDGE) // PERIOD


def end_of(cycle):
    """The time in ns until which everything that `cycle` writes is in the logs."""
    return cycle * PERIOD + _EDGE
