"""Tile rows through a unit of the vector engine, row by row: what its readers bring, and what it takes."""

import numpy as np

from .banks import VECTOR, owed, reserve
from .kernel import kernel
from .ones import ones

__all__ = ["passes"]

_AHEAD = 5
"""Words that a reader and its row expander hold."""

_READ = 3
"""Cycles from the read of a word to its rows."""


@kernel
def passes(banks, bank_mask, masks, slots, lengths, slices, lines, begin, gap):
    """Read tiles in two passes, a row of each slice in a cycle.

    Parameters
    ----------
    banks, bank_mask : of the activation buffer, and the bits of a slot that number a bank
    masks : [operands, columns, T], of what is read
    slots : [operands, columns], where
    lengths : [2], columns in each pass
    slices : columns at once
    lines : of a word
    begin : the first word may be asked for
    gap : cycles between the last row of the first pass and the first one of the second, at least

    Returns
    -------
    cycles in which the last row of each pass enters
    """
    operands, _, tile = masks.shape
    streams = operands * slices
    per = tile * lines
    ends = np.zeros(2, np.int64)
    used = np.full((streams, 8), -1 << 40, np.int64)
    count = np.zeros(streams, np.int64)
    last = np.full(streams, begin - 1, np.int64)
    there = np.zeros(streams, np.int64)
    now = begin
    for number in range(2):
        if number:
            now = max(now, ends[0] + gap)
        for first in range(0, lengths[number], slices):
            seen = np.zeros(streams, np.int64)
            words = np.zeros(streams, np.int64)
            for row in range(tile):
                for operand in range(operands):
                    for n in range(slices):
                        column, s = first + n, operand * slices + n
                        if column >= lengths[number]:
                            continue
                        seen[s] += ones(masks[operand, column, row])
                        # A tile without values, too, is a word, which is not read.
                        while words[s] < max(1, (seen[s] + per - 1) // per):
                            cycle = max(last[s] + 1, used[s, (count[s] - _AHEAD) % 8] + 1)
                            if seen[s]:
                                bank = np.uint64(slots[operand, column] & bank_mask)
                                cycle = reserve(banks, VECTOR, np.uint64(1) << bank, cycle + owed(banks, VECTOR))
                            last[s] = cycle
                            there[s] = cycle + _READ
                            words[s] += 1
                            count[s] += 1
                        now = max(now, there[s])
                for s in range(streams):
                    if words[s]:
                        used[s, (count[s] - 1) % 8] = now
                now += 1
        ends[number] = now - 1
    return ends
