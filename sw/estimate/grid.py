"""The PE grid in time: when each pair of tiles is multiplied, from the masks of both."""

from typing import NamedTuple

import numpy as np

from .banks import MATRIX, owed, reserve
from .kernel import kernel
from .ones import ones

__all__ = ["GridShape", "GridState", "new_state", "run_steps"]

_READ = 5
"""Cycles from a request to the first word that is read for it, if nothing is under way."""

_SETTLE = 3
"""Cycles from the last pick of a row to its output."""

_FOLLOWED = 8
"""Rows and columns of PEs that are followed."""

_QUEUE = 8
"""Beats of a stream whose way out of the reader's queue is remembered: more than it holds."""

_BEATS = 64
"""Beats of a stream that are remembered: more than its FIFOs hold."""

_STEPS = 8
"""Steps that are remembered: those in the ring of a PE, and as many in its queue."""


class GridShape(NamedTuple):
    """What the grid is built for, as plain numbers.

    Of a large grid only the PEs of the first rows and columns are followed: the others have as much to do.

    Parameters
    ----------
    tile, rows, columns : T, and the PEs that are followed
    all_rows, all_columns : PEs that there are
    window, entries : of a lane; activations that it takes per cycle
    skip : 0 none, 1 activation, 2 both
    slots : operand slots
    lines : of a beat
    a_rows, b_rows : that the expanders make per cycle
    latency : of a buffer
    bank_mask : bits of a slot that number its bank in the activation buffer
    turn : cycles that a row of a transposed tile takes longer
    way : cycles from a row of an output tile to its write
    """

    tile: int
    rows: int
    columns: int
    all_rows: int
    all_columns: int
    window: int
    entries: int
    skip: int
    slots: int
    lines: int
    a_rows: int
    b_rows: int
    latency: int
    bank_mask: int
    turn: int
    way: int

    @classmethod
    def of(cls, config):
        """That of an `AcceleratorConfig`."""
        lines = config.lines_per_beat
        window = config.window if config.skip == "both" else 1
        return cls(
            tile=config.tile, rows=min(_FOLLOWED, config.grid_rows), columns=min(_FOLLOWED, config.grid_columns),
            all_rows=config.grid_rows, all_columns=config.grid_columns, window=window, entries=min(2, window),
            skip=("none", "activation", "both").index(config.skip), slots=config.operand_slots, lines=lines,
            a_rows=min(lines * config.psum_tiles, max(lines, config.tile // 2)), b_rows=lines, latency=config.buffer_latency,
            bank_mask=config.activation_banks - 1,
            turn=config.tile if config.b_memory == "ram" else 0, way=9)


class Stream(NamedTuple):
    """Times of one operand's way, [streams or PEs, ...]; numbers count modulo the sizes.

    Members
    -------
    asked : [3 + 4], of the reader: last request, last mask read, last word read; when the last four requests left it
    tiles : [1], requested so far
    beats : [streams], sent so far
    sent : [streams, queue], when each of the last beats left its output queue
    popped : [PEs, beats], when each left the FIFO
    ended : [PEs, 4], when the last beat of each tile did
    expander : [PEs, 2], last rows that it made, and that were written
    there, free : [PEs, slots, groups], when the lanes see the rows, and when their place may be written again
    """

    asked: np.ndarray
    tiles: np.ndarray
    beats: np.ndarray
    sent: np.ndarray
    popped: np.ndarray
    ended: np.ndarray
    expander: np.ndarray
    there: np.ndarray
    free: np.ndarray


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
    steps : [1 + PEs], handed out so far to queues, and taken by the rings
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


def _stream(shape, streams, rows):
    pes, groups = shape.rows * shape.columns, shape.tile // rows

    def times(*size):
        return np.full(size, -1 << 20, dtype=np.int64)

    return Stream(
        asked=times(7), tiles=np.zeros(1, np.int64), beats=np.zeros(streams, np.int64), sent=times(streams, _QUEUE),
        popped=times(pes, _BEATS), ended=times(pes, 4), expander=times(pes, 2), there=times(pes, shape.slots, groups),
        free=times(pes, shape.slots, groups))


def new_state(shape):
    """A GridState in which nothing has happened yet."""
    pes, tile = shape.rows * shape.columns, shape.tile

    def times(*size):
        return np.full(size, -1 << 20, dtype=np.int64)

    return GridState(
        a=_stream(shape, shape.rows, shape.a_rows), b=_stream(shape, shape.columns, shape.b_rows),
        reader=times(pes, tile), level=np.zeros((pes, tile), np.int64), macs=times(pes, tile, tile),
        takes=times(pes, tile, 2),
        leaves=times(pes, tile, shape.window + 2), entries=np.zeros((pes, tile), np.int64), drained=times(pes, tile),
        closed=times(pes, tile), steps=np.zeros(2, np.int64), handed=times(_STEPS), ringed=times(pes, _STEPS),
        passed=times(pes, _STEPS),
        output=times(pes), ports=times(shape.rows + shape.columns - 1), tally=np.zeros(4, np.int64))


@kernel
def _words(mask, per):
    values = 0
    for row in range(len(mask)):
        values += ones(mask[row])
    return (values + per - 1) // per


@kernel
def _transpose(mask, out):
    size = len(mask)
    for column in range(size):
        word = 0
        for row in range(size):
            word |= (mask[row] >> column & 1) << row
        out[column] = word


@kernel
def _deliver(shape, stream, banks, numbers, masks, least, transposed, rows, a_side, start):
    """Bring the next tile of each stream to the operand slots of its PEs.

    banks, numbers : those of the buffer, and of each stream its bank there, or -1; masks : [streams, T], as they are stored;
    least : words of the longest tile that goes to PEs that are not followed; start : earliest request. Returns when the
    request was taken.
    """
    streams, tile = masks.shape
    pes, per = shape.rows * shape.columns, tile * shape.lines
    groups, words_most = tile // rows, tile // shape.lines
    number = stream.tiles[0]
    stream.tiles[0] += 1
    asked = stream.asked
    place = number % stream.there.shape[1]

    request = max(start, asked[0] + 1)
    mask_read = max(request + 1, asked[1] + 1, asked[3 + number % 4] + 1)
    asked[0], asked[1] = request, mask_read
    most = max(1, least)
    counts = np.zeros((streams, groups), np.int64)
    words = np.zeros(streams, np.int64)
    for s in range(streams):
        total = 0
        for r in range(tile):
            values = ones(masks[s, r])
            counts[s, r // rows] += values
            total += values
        words[s] = max(1, (total + per - 1) // per)
        most = max(most, words[s])

    first = stream.beats.copy()
    issued = asked[2]
    pushes = np.zeros((pes, words_most), np.int64)
    for word in range(most):
        issue = max(issued + 1, mask_read + _READ - 2 + shape.latency)
        for s in range(streams):
            issue = max(issue, stream.sent[s, (stream.beats[s] - 2 - shape.latency) % _QUEUE] + 1)
        wanted = np.uint64(0)
        for s in range(len(numbers)):
            if numbers[s] >= 0 and (words[s] if s < streams else least) > word:
                wanted |= np.uint64(1) << np.uint64(numbers[s])
        if wanted:
            issue = reserve(banks, MATRIX, wanted, issue + owed(banks, MATRIX))
        issued = issue
        for s in range(streams):
            if word >= words[s]:
                continue
            beat = stream.beats[s]
            offer = max(issue + 1 + shape.latency, stream.sent[s, (beat - 1) % _QUEUE] + 1)
            sent = offer
            for member in range(pes // streams):
                pe = s * shape.columns + member if a_side else member * shape.columns + s
                push = max(offer, stream.popped[pe, (beat - 2 * words_most) % _BEATS] + 1)
                if word == 0:
                    push = max(push, stream.ended[pe, (number + 2) % 4] + 1)
                pushes[pe, word] = push
                sent = max(sent, push)
            stream.sent[s, beat % _QUEUE] = sent
            stream.beats[s] += 1
            # What the FIFO of a PE gives depends on the beats before, so that it is worked out beat by beat.
            for member in range(pes // streams):
                pe = s * shape.columns + member if a_side else member * shape.columns + s
                stream.popped[pe, beat % _BEATS] = -1
                _expand(shape, stream, pe, s, beat - first[s], words[s], first[s], pushes, counts, place, number, rows,
                        transposed)
    asked[2] = issued
    asked[3 + number % 4] = issued - 1
    return request


@kernel
def _expand(shape, stream, pe, s, word, words, first, pushes, counts, place, number, rows, transposed):
    """Take one beat from the FIFO of a PE, and make the groups of rows that it completes."""
    groups, per = counts.shape[1], shape.tile * shape.lines
    capacity = 2 * max(shape.lines, rows) * shape.tile
    last, written = stream.expander[pe]
    pop = pushes[pe, word] + 2
    begin = 0
    if word == 0:
        pop = max(pop, last)
    else:
        pop = max(pop, stream.popped[pe, (first + word - 1) % _BEATS] + 1)
    # Groups that the beats before have completed are made already.
    held, done = 0, 0
    for g in range(groups):
        done += counts[s, g]
        if word and done <= word * per:
            begin = g + 1
            held = done
    if word and (word + 1) * per - held > capacity:
        pop = max(pop, last)
    stream.popped[pe, (first + word) % _BEATS] = pop
    if word == words - 1:
        stream.ended[pe, number % 4] = pop
    free_all = 0
    if transposed:
        for g in range(groups):
            free_all = max(free_all, stream.free[pe, place, g])
    have, need = (word + 1) * per, held
    for g in range(begin, groups):
        need += counts[s, g]
        if need > have:
            break
        last = max(last + 1, pop + 1, written)
        written = max(last + 1, free_all if transposed else stream.free[pe, place, g])
        stream.there[pe, place, g] = written + 1 + (shape.turn if transposed else 0)
    stream.expander[pe, 0], stream.expander[pe, 1] = last, written


@kernel
def _lane(shape, state, pe, lane, row, a_there, a_whole, b_masks, b_there, b_whole, transposed, begin, frees):
    """One lane's step; returns when its reader is done with it. `frees` [groups] rises to when B's rows are given up."""
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
def _close(shape, state, pe, lane, finish):
    """The MACs of a lane end an output tile; returns when all have."""
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
    b_state = (b.tiles[0] - 1) % shape.slots
    a_place, b_place = 0, b_state
    commands = starts[2]
    # As many write to a port as if all PEs were followed.
    crowd = min(shape.all_rows, shape.all_columns) // min(shape.rows, shape.columns)
    history = np.zeros(len(last) + 4, np.int64)
    for step in range(len(last)):
        if a_tiles[step, 0] != -2:
            least = 0
            for r in range(shape.all_rows):
                mask = a_masks[a_tiles[step, r]]
                a_banks[r] = a_tiles[step, r] & shape.bank_mask if a_tiles[step, r] >= 0 and mask.any() else -1
                if r < shape.rows:
                    a_now[r] = mask
                else:
                    least = max(least, _words(mask, per))
            ends[0] = _deliver(shape, a, banks, a_banks, a_now, least, False, shape.a_rows, True, starts[0])
        if b_tiles[step, 0] != -2:
            least = 0
            for c in range(shape.all_columns):
                mask = b_masks[b_tiles[step, c]]
                b_banks[c] = b_tiles[step, c] & shape.bank_mask if shared and b_tiles[step, c] >= 0 and mask.any() else -1
                if c >= shape.columns:
                    least = max(least, _words(mask, per))
                    continue
                b_now[c] = mask
                if transposed:
                    _transpose(mask, b_lanes[c])
                else:
                    b_lanes[c] = mask
            ends[1] = _deliver(shape, b, banks, b_banks, b_now, least, transposed, shape.b_rows, False, starts[1])
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
                finish = _lane(shape, state, pe, lane, a_now[r, lane], a.there[pe, a_place, group], a_whole, b_lanes[c],
                               b.there[pe, b_place], b_whole, transposed, begin, frees)
                if last[step]:
                    # The reader ends an output tile when all MACs are on it.
                    finish = max(finish, state.closed[pe, lane] + 2)
                    closed[lane] = state.closed[pe, lane] = _close(shape, state, pe, lane, finish)
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
                        history[output + 3] = max(history[output + 3], row)
                state.output[pe] = row
                if words[output, pe]:
                    port = r + c
                    written = max(row + shape.way, state.ports[port] + words[output, pe] * crowd)
                    state.ports[port] = written
                    end = max(end, written)
        if last[step]:
            output += 1
            commands = max(commands + 1, history[output - 1])
    ends[3] = commands
    return end

