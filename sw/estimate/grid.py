"""The PE grid in time: when each pair of tiles is multiplied, from the masks of both."""

from typing import NamedTuple

import numpy as np

from .kernel import kernel
from .lane import close_output, lane_step
from .operand_stream import Stream, deliver, new_stream, words_of

__all__ = ["GridState", "new_state", "run_steps"]

_SETTLE = 3
"""Cycles from the last pick of a row to its output."""

_STEPS = 8
"""Steps that are remembered: those in the ring of a PE, and as many in its queue."""


class GridState(NamedTuple):
    """What goes on from product to product, [PEs, ...].

    Members
    -------
    a, b : Stream
    reader : [PEs, T], when a lane begins its next step
    level : [PEs, T], when all MACs of a lane may pick again, -1 where they are apart
    macs : [PEs, T, T], when each may, where they are
    takes : [PEs, T, 2], the last two entries taken
    leaves : [PEs, T, window + 2], when the last entries left
    entries : [PEs, T], taken so far
    drained, closed : [PEs, T], when the hold registers of a lane were read, and when its MACs had ended an output tile
    steps : [1], handed out so far
    handed : [steps], when
    ringed, passed : [PEs, steps], when each got into the ring, and when the last lane was past it
    output : [PEs], the last row that left
    ports : [ports], when each is free
    tally : [4], multiplier cycles: multiplications, waits for operands, waits for a hold register, all of lanes with a step
    """

    a: Stream
    b: Stream
    reader: np.ndarray
    level: np.ndarray
    macs: np.ndarray
    takes: np.ndarray
    leaves: np.ndarray
    entries: np.ndarray
    drained: np.ndarray
    closed: np.ndarray
    steps: np.ndarray
    handed: np.ndarray
    ringed: np.ndarray
    passed: np.ndarray
    output: np.ndarray
    ports: np.ndarray
    tally: np.ndarray


def new_state(shape):
    """A GridState in which nothing has happened yet."""
    pes, tile = shape.rows * shape.columns, shape.tile

    def times(*size):
        return np.full(size, -1 << 20, dtype=np.int64)

    return GridState(
        a=new_stream(shape, shape.rows, shape.a_rows), b=new_stream(shape, shape.columns, shape.b_rows),
        reader=times(pes, tile), level=np.zeros((pes, tile), np.int64), macs=times(pes, tile, tile),
        takes=times(pes, tile, 2),
        leaves=times(pes, tile, shape.window + 2), entries=np.zeros((pes, tile), np.int64), drained=times(pes, tile),
        closed=times(pes, tile), steps=np.zeros(1, np.int64), handed=times(_STEPS), ringed=times(pes, _STEPS),
        passed=times(pes, _STEPS),
        output=times(pes), ports=times(shape.rows + shape.columns - 1), tally=np.zeros(4, np.int64))


@kernel
def _transpose(mask, out):
    size = len(mask)
    for column in range(size):
        word = 0
        for row in range(size):
            word |= (mask[row] >> column & 1) << row
        out[column] = word


@kernel
def _write(shape, state, words):
    """Output tiles through the write ports, a word of each in a cycle; returns when the last is through.

    Parameters
    ----------
    words : [PEs], that a tile has, 0 where it is discarded. Each is there with the last of its rows, which share them evenly
    """
    ready = np.zeros(shape.tile * min(shape.rows, shape.columns), np.int64)
    end = 0
    for port in range(len(state.ports)):
        count = 0
        for r in range(max(0, port - shape.columns + 1), min(shape.rows, port + 1)):
            pe = r * shape.columns + port - r
            for word in range(words[pe]):
                ready[count] = state.drained[pe, (word + 1) * shape.tile // words[pe] - 1] + shape.way
                count += 1
        time = state.ports[port]
        for when in np.sort(ready[:count]):
            time = max(time + shape.crowd, when)
        state.ports[port] = time
        end = max(end, time)
    return end


@kernel
def run_steps(shape, state, banks, shared, a_masks, b_masks, a_tiles, b_tiles, transposed, last, words, wanted, starts, ends):
    """The steps of one product, one after the other, on all PEs.

    Parameters
    ----------
    shape, state : GridShape, GridState
    banks, shared : Banks of the activation buffer; B comes from there, too
    a_masks, b_masks : [tiles + 1, T], rows of masks as they are stored, the last one empty
    a_tiles, b_tiles : [steps, streams], number of the mask that each stream brings, -2 in the first if it brings none
    transposed : B is used transposed
    last : [steps], the step ends an output tile
    words : [outputs, PEs], writes of each output tile, 0 where it is discarded
    wanted : [steps, 2] the step is the last to use its tile of A, of B
    starts : earliest request of A and of B, earliest step
    ends : [6], when A's and B's last requests were taken, the last step, the commands; the first step in a ring, and the end of
        the last one

    Returns
    -------
    when the last write is through
    """
    tile, pes = shape.tile, shape.rows * shape.columns
    a, b = state.a, state.b
    output, end = 0, 0
    b_lanes = np.zeros((shape.columns, tile), np.int64)
    a_now = np.zeros((shape.rows, tile), np.int64)
    b_now = np.zeros((shape.columns, tile), np.int64)
    a_banks, b_banks = np.full(shape.all_rows, -1, np.int64), np.full(shape.all_columns, -1, np.int64)
    per = tile * shape.lines
    groups_a, groups_b = a.there.shape[2], b.there.shape[2]
    closed = np.zeros(tile, np.int64)
    frees = np.zeros(groups_b, np.int64)
    frees_a = np.zeros(groups_a, np.int64)
    ends[3] = starts[2]
    begun = np.zeros(len(words), np.int64)
    for step in range(len(last)):
        if a_tiles[step, 0] != -2:
            least = 0
            for r in range(shape.all_rows):
                mask = a_masks[a_tiles[step, r]]
                a_banks[r] = a_tiles[step, r] & shape.bank_mask if a_tiles[step, r] >= 0 and mask.any() else -1
                if r < shape.rows:
                    a_now[r] = mask
                else:
                    least = max(least, words_of(mask, per))
            ends[0] = deliver(shape, a, banks, a_banks, a_now, least, False, shape.a_rows, True, starts[0])
        if b_tiles[step, 0] != -2:
            least = 0
            for c in range(shape.all_columns):
                mask = b_masks[b_tiles[step, c]]
                b_banks[c] = b_tiles[step, c] & shape.bank_mask if shared and b_tiles[step, c] >= 0 and mask.any() else -1
                if c >= shape.columns:
                    least = max(least, words_of(mask, per))
                    continue
                b_now[c] = mask
                if transposed:
                    _transpose(mask, b_lanes[c])
                else:
                    b_lanes[c] = mask
            ends[1] = deliver(shape, b, banks, b_banks, b_now, least, transposed, shape.b_rows, False, starts[1])
        a_place, b_place = (a.tiles[0] - 1) % shape.slots, (b.tiles[0] - 1) % shape.slots

        number = state.steps[0]
        state.steps[0] += 1
        ring = number % _STEPS
        handed = max(starts[2], state.handed[(number - 1) % _STEPS] + 1)
        for pe in range(pes):
            handed = max(handed, state.ringed[pe, (number - 4) % _STEPS] + 1)
        state.handed[ring] = handed
        ends[2] = handed
        for pe in range(pes):
            r, c = pe // shape.columns, pe % shape.columns
            ringed = max(handed + 1, state.ringed[pe, (number - 1) % _STEPS] + 1, state.passed[pe, (number - 4) % _STEPS] + 1)
            state.ringed[pe, ring] = ringed
            a_whole, b_whole = a.there[pe, a_place].max(), b.there[pe, b_place].max()
            frees[:] = 0
            frees_a[:] = 0
            passed = 0
            for lane in range(tile):
                group = lane // shape.a_rows
                begin = max(state.reader[pe, lane], ringed + 1)
                finish = lane_step(shape, state, pe, lane, a_now[r, lane], a.there[pe, a_place, group], a_whole, b_lanes[c],
                               b.there[pe, b_place], b_whole, transposed, begin, frees)
                if last[step]:
                    # The reader ends an output tile when all MACs are on it.
                    finish = max(finish, state.closed[pe, lane] + 2)
                    closed[lane] = state.closed[pe, lane] = close_output(shape, state, pe, lane, finish)
                state.reader[pe, lane] = finish + 1
                passed = max(passed, finish)
                frees_a[group] = max(frees_a[group], finish + 1)
            state.passed[pe, ring] = passed
            ends[5] = max(ends[5], passed)
            if not step:
                ends[4] = ringed if not pe else min(ends[4], ringed)
            if wanted[step, 0]:
                a.free[pe, a_place] = frees_a
            if wanted[step, 1]:
                b.free[pe, b_place] = frees
            if last[step]:
                row = state.output[pe]
                for lane in range(tile):
                    row = max(row + 1, closed[lane] + _SETTLE)
                    state.drained[pe, lane] = row
                    if lane == 0:
                        begun[output] = max(begun[output], row)
                state.output[pe] = row
        if last[step]:
            end = max(end, _write(shape, state, words[output]))
            # A PE works on one command, and two wait there: the next is taken with the first row of the third before it.
            ends[3] = max(ends[3] + 1, begun[output - 3] if output > 2 else 0)
            output += 1
    return end

