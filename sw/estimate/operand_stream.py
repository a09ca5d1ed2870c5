"""One operand's way in time: reader, forks, the FIFOs, expanders and operand slots of the PEs."""

from typing import NamedTuple

import numpy as np

from .banks import MATRIX, owed, reserve
from .kernel import kernel
from .ones import ones

__all__ = ["Stream", "deliver", "new_stream", "words_of"]

_READ = 5
"""Cycles from a request to the first word that is read for it, if nothing is under way."""

_QUEUE = 8
"""Beats of a stream whose way out of the reader's queue is remembered: more than it holds."""

_BEATS = 64
"""Beats of a stream that are remembered: more than its FIFOs hold."""


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


def new_stream(shape, streams, rows):
    """A Stream of which nothing has moved yet: so many streams, so many rows per cycle out of its expanders."""
    pes, groups = shape.rows * shape.columns, shape.tile // rows

    def times(*size):
        return np.full(size, -1 << 20, dtype=np.int64)

    return Stream(
        asked=times(7), tiles=np.zeros(1, np.int64), beats=np.zeros(streams, np.int64), sent=times(streams, _QUEUE),
        popped=times(pes, _BEATS), ended=times(pes, 4), expander=times(pes, 2), there=times(pes, shape.slots, groups),
        free=times(pes, shape.slots, groups))


@kernel
def words_of(mask, per):
    """Buffer words of a packed tile, `per` values each; none without values."""
    values = 0
    for row in range(len(mask)):
        values += ones(mask[row])
    return (values + per - 1) // per


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
def deliver(shape, stream, banks, numbers, masks, least, transposed, rows, a_side, start):
    """Bring the next tile of each stream to the operand slots of its PEs.

    Parameters
    ----------
    shape, stream : GridShape, Stream
    banks, numbers : Banks of the activation buffer, and of each stream its bank there, or -1
    masks : [streams, T], rows of masks as they are stored
    least : words of the longest tile that goes to PEs that are not followed
    transposed : the tile is used transposed
    rows : per cycle out of the expander
    a_side : a stream goes to the PEs of a grid row, not of a grid column
    start : earliest request

    Returns
    -------
    when the request was taken
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
                _expand(shape, stream, pe, s, beat - first[s], words[s], first[s], pushes, counts, place, number, rows,
                        transposed)
    asked[2] = issued
    asked[3 + number % 4] = issued - 1
    return request
