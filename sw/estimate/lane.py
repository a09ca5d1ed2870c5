"""A lane in time: which entries come into its window, and when each MAC takes them."""

from .kernel import kernel

__all__ = ["close_output", "lane_step"]


@kernel
def lane_step(shape, state, pe, lane, row, a_there, a_whole, b_masks, b_there, b_whole, transposed, begin, frees):
    """One step of a lane: its reader, its window, its MACs.

    Parameters
    ----------
    shape, state, pe, lane : GridShape, GridState, which lane
    row : of A's mask
    a_there, a_whole : when the lane's row of A is in its slot, and when the whole tile is
    b_masks, b_there, b_whole : mask rows of B, when each group of them is there, and when all are
    transposed : B can only be used when it is whole
    begin : earliest cycle
    frees : [groups], raised to when B's rows are given up

    Returns
    -------
    when the reader is done with the step
    """
    tile, window, groups = shape.tile, shape.window, len(b_there)
    takes, leaves, macs = state.takes[pe, lane], state.leaves[pe, lane], state.macs[pe, lane]
    size = len(leaves)
    count = state.entries[pe, lane]
    span = tile * begin
    since, begin, starved = begin, max(begin, a_there), 0
    older, newer = takes[0], takes[1]
    full = (1 << tile) - 1
    level = state.level[pe, lane]
    last_leave, last_leave_2 = leaves[(count - 1) % size], leaves[(count - 2) % size]
    group = 0
    bits = row if shape.skip else full
    last_take = begin
    fired = 0
    k = -1
    while bits:
        k += 1
        if not bits & 1:
            bits >>= 1
            continue
        bits >>= 1
        here = k // shape.b_rows
        able = max(since, leaves[(count - window) % size], older + 1, newer if shape.entries == 2 else newer + 1)
        take = max(able, begin, b_whole if transposed else b_there[here])
        starved += max(0, take - max(able, last_leave + 1))
        while group < here:
            frees[group] = max(frees[group], last_leave + 1, take + 1)
            group += 1
        older, newer = newer, take
        pending = b_masks[k] if shape.skip == 2 else full
        done = take + 1
        if pending == full and level >= 0:
            done = max(take + 1, level)
            level = done + 1
            fired += tile
        else:
            if level >= 0:
                macs[:] = level
                level = -1
            for j in range(tile):
                if pending >> j & 1:
                    pick = max(take + 1, macs[j])
                    macs[j] = pick + 1
                    done = max(done, pick)
                    fired += 1
        leave = max(done, last_leave, last_leave_2 + 1)
        last_leave_2, last_leave = last_leave, leave
        leaves[count % size] = leave
        count += 1
        last_take = take
    finish = max(last_take, a_whole, b_whole)
    starved += max(0, finish - max(last_take, last_leave) - 1)
    while group < groups:
        frees[group] = max(frees[group], last_leave + 1, finish + 1)
        group += 1
    takes[0], takes[1] = older, newer
    state.entries[pe, lane] = count
    state.level[pe, lane] = level
    state.tally[0] += fired
    state.tally[1] += tile * starved
    state.tally[3] += tile * (finish + 1) - span
    return finish


@kernel
def close_output(shape, state, pe, lane, finish):
    """The MACs of a lane end an output tile, whose last step was read at `finish`; returns when all have."""
    macs, level, free = state.macs[pe, lane], state.level[pe, lane], state.drained[pe, lane] + 1
    if level >= 0:
        able = max(finish + 1, level)
        close = max(able, free)
        state.tally[2] += shape.tile * (close - able)
        state.level[pe, lane] = close
        return close
    first, last = 1 << 60, 0
    for j in range(shape.tile):
        able = max(finish + 1, macs[j])
        close = max(able, free)
        state.tally[2] += close - able
        macs[j] = close
        first, last = min(first, close), max(last, close)
    if first == last:
        state.level[pe, lane] = last
    return last
