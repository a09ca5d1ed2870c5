"""The one clock of all simulations, and cycles in the times of their logs."""

__all__ = ["PERIOD", "cycle_at", "edge_of"]

PERIOD = 10
"""Nanoseconds: a simulation's time divided by it is the cycle."""

_EDGE = PERIOD // 2


def cycle_at(time):
    """The cycle whose rising edge, at which logs are written, is at `time` in ns."""
    return (time - _EDGE) // PERIOD


def edge_of(cycle):
    """The time in ns of the rising edge of `cycle`, at which what it writes is logged."""
    return cycle * PERIOD + _EDGE
