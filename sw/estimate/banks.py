"""The read ports of a tile buffer's banks: one word of each in a cycle."""

from typing import NamedTuple

import numpy as np

from .kernel import kernel

__all__ = ["MATRIX", "VECTOR", "Banks", "new_banks", "owed", "reserve"]

MATRIX, VECTOR = 0, 1
"""The engines that read."""

_SPAN = 1 << 18
"""Cycles between the engines' reads that are kept apart."""


class Banks(NamedTuple):
    """Which banks are read in which cycle.

    The engines' instructions are followed one after the other, though they run side by side. What comes to a bank that the
    other engine has taken waits for a cycle, as if both took turns; then it takes the bank all the same, and the other engine
    owes that cycle, once, however many banks are taken in it.

    Members
    -------
    cycle : by cycle modulo their number, that cycle
    used : [cycles, engines and one more], a bit for each bank, and whether the cycle is owed
    debts : [engines], cycles that each has still to wait
    """

    cycle: np.ndarray
    used: np.ndarray
    debts: np.ndarray


def new_banks():
    """Banks that nobody has read."""
    return Banks(np.full(_SPAN, -1, np.int64), np.zeros((_SPAN, 3), np.uint64), np.zeros(2, np.int64))


@kernel
def owed(banks, engine):
    """Cycles that an engine has to wait, which are paid with that."""
    debt = banks.debts[engine]
    banks.debts[engine] = 0
    return debt


@kernel
def reserve(banks, engine, wanted, cycle):
    """The first cycle from `cycle` on in which an engine reads all the banks `wanted`, a bit for each."""
    waited = False
    while True:
        place = cycle & (_SPAN - 1)
        used = banks.used[place]
        if banks.cycle[place] != cycle:
            banks.cycle[place] = cycle
            used[:] = 0
        if not used[engine] & wanted:
            others = used[1 - engine] & wanted
            if waited or not others:
                used[engine] |= wanted
                if others and not used[2]:
                    used[2] = 1
                    banks.debts[1 - engine] += 1
                return cycle
            waited = True
        cycle += 1
