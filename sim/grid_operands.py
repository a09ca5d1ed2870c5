"""Cycle model of one operand's way: reader, multicast forks, tile FIFOs, expanders, operand slots."""

import numpy as np

__all__ = ["OperandPath"]

_READER_LATENCY = 4
_OUTPUT_QUEUE = 3


def column(values):
    """One value per run, as [runs, 1]."""
    return np.array(values, dtype=np.int64)[:, None]


class OperandPath:
    """A (one stream per grid row) or B (one per grid column), for a batch of runs; every array has the runs first.

    Parameters
    ----------
    counts : [runs, streams, N, T], values in each row of each streamed tile
    total : [runs, 1], tiles per stream
    owner : [P], the stream of each PE
    lines, rows : lines per beat of the stream, rows per beat of the expander
    slots, fifo_tiles, transposed : [runs, 1]
    shared : slots that all lanes read (B)

    Members
    -------
    end_tile, end_group : [runs, P], the frontier of the operand slots
    state : names of the arrays to cut when runs leave the batch
    """

    state = (
        "counts", "below", "beats", "request_beats", "total", "slots", "fifo_tiles", "transposed", "request", "index",
        "arriving", "level", "head_tile", "head_beat", "taken", "beats_in", "beats_out", "heads_in", "heads_out", "read_tile",
        "read_beat", "active", "have", "group", "open_tile", "staged", "end_tile", "end_group",
    )

    def __init__(self, *, counts, total, owner, lines, rows, slots, fifo_tiles, transposed, shared):
        runs, streams, tiles, tile = counts.shape
        self._owner, self._shared = owner, shared
        self._members = np.array([owner == n for n in range(streams)])
        self._groups, self._beat, self._words = tile // rows, lines * tile, tile // lines
        self._capacity = 2 * max(lines, rows) * tile
        self.counts = counts.reshape(runs, streams, tiles, self._groups, rows).sum(axis=-1)
        values = self.counts.sum(axis=-1)
        self.beats = np.maximum(1, -(-values // self._beat))
        self.request_beats = self.beats.max(axis=1)
        self.total, self.slots, self.fifo_tiles, self.transposed = total, slots, fifo_tiles, transposed

        def zeros(size):
            return np.zeros((runs, size), dtype=np.int64)

        self.request, self.index = zeros(1), zeros(1)
        for name in ("arriving", "level", "head_tile", "head_beat"):
            setattr(self, name, zeros(streams))
        for name in ("taken", "beats_in", "beats_out", "heads_in", "heads_out", "read_tile", "read_beat", "active", "have",
                     "group", "open_tile", "staged", "end_tile", "end_group"):
            setattr(self, name, zeros(len(owner)))
        for name in ("taken", "active", "staged"):
            setattr(self, name, getattr(self, name).astype(bool))
        self.settle()

    def settle(self):
        """Set what follows from the runs in the batch; to be called when some have left."""
        runs, _, tiles, _ = self.counts.shape
        self._runs, self._last_tile = np.arange(runs)[:, None], tiles - 1
        self._flat_beats, self._flat_counts = self.beats.reshape(-1), self.counts.reshape(-1)
        streams = self.beats.shape[1]
        self._stream_base = (self._runs * streams + np.arange(streams)) * tiles
        self._pe_base = (self._runs * streams + self._owner) * tiles

    def cycle(self, now, needed):
        """One clock. `needed`, for A [runs, P, groups], the oldest tile that the lanes of a group need; for B [runs, P], the
        oldest group of rows, counted over all tiles.
        """
        ready = self._writable(needed)
        written = self.staged & ready
        self._expand(ready)
        self._advance_slots(written)
        self._deliver(now)

    def _writable(self, needed):
        groups = self._groups
        if not self._shared:
            oldest = np.take_along_axis(needed, self.end_group[..., None], axis=-1)[..., 0]
            return oldest > self.end_tile - self.slots
        start = (self.end_tile - self.slots) * groups
        return needed > np.where(self.transposed, start + groups - 1, start + self.end_group)

    def _expand(self, ready):
        """Expander, and the read side of the FIFO in front of it."""
        groups, beat = self._groups, self._beat
        tile = np.minimum(self.open_tile, self._last_tile)
        need = self._flat_counts[(self._pe_base + tile) * groups + self.group]
        issue = self.active & (need <= self.have) & (~self.staged | ready)
        finish = issue & (self.group == groups - 1)
        left = self.have - np.where(issue, need, 0)
        first = self.read_beat == 0
        accept = np.where(first, ~self.active | finish, left <= self._capacity - beat)
        accept &= (self.beats_out & self.heads_out).astype(bool)

        self.staged = np.where(~self.staged | ready, issue, self.staged)
        starts = accept & first
        self.have = np.where(starts, beat, np.where(finish, 0, left) + np.where(accept, beat, 0))
        self.group = np.where(finish, 0, self.group + issue)
        self.active = (self.active & ~finish) | starts
        self.open_tile = np.where(starts, self.read_tile, self.open_tile)
        self._read(accept)

    def _read(self, accept):
        last = self.read_beat + 1 >= self._flat_beats[self._pe_base + np.minimum(self.read_tile, self._last_tile)]
        ends = accept & last
        self.read_tile = self.read_tile + ends
        self.read_beat = np.where(ends, 0, self.read_beat + accept)
        self._accepted, self._ended = accept, ends

    def _advance_slots(self, written):
        full = written & (self.end_group == self._groups - 1)
        self.end_tile = self.end_tile + full
        self.end_group = np.where(full, 0, self.end_group + written)

    def _deliver(self, now):
        """Reader, its output queues, forks, and the write side of the FIFOs."""
        owner = self._owner
        valid = self.level > 0
        first = self.head_beat == 0
        room = (self.beats_in < self.fifo_tiles * self._words - 1) & (
            ~first[:, owner] | (self.heads_in < self.fifo_tiles - 1))
        offered = valid[:, owner] & ~self.taken
        push = offered & room
        had = self.taken | room
        pop = valid & np.stack([had[:, members].all(axis=1) for members in self._members], axis=1)
        self.taken = np.where(valid[:, owner], had & ~pop[:, owner], self.taken)

        head_beats = self._flat_beats[self._stream_base + np.minimum(self.head_tile, self._last_tile)]
        ends = pop & (self.head_beat + 1 >= head_beats)
        self._fifo("beats", push, self._accepted)
        self._fifo("heads", push & first[:, owner], self._ended)
        self.head_tile = self.head_tile + ends
        self.head_beat = np.where(ends, 0, self.head_beat + pop)

        roomy = (self.level + self.arriving < _OUTPUT_QUEUE).all(axis=1, keepdims=True)
        issue = roomy & (self.request < self.total) & (now >= _READER_LATENCY)
        request = np.minimum(self.request, self._last_tile)
        present = self._flat_beats[self._stream_base + request] > self.index
        self.level = self.level + self.arriving - pop
        self.arriving = (issue & present).astype(np.int64)
        done = issue & (self.index + 1 >= np.take_along_axis(self.request_beats, request, axis=1))
        self.index = np.where(done, 0, self.index + issue)
        self.request = self.request + done

    def _fifo(self, name, push, pop):
        """A buffered FIFO: memory in front of an output register."""
        inside, out = getattr(self, f"{name}_in"), getattr(self, f"{name}_out")
        move = (inside > 0) & ((out == 0) | pop)
        setattr(self, f"{name}_in", inside + push - move)
        setattr(self, f"{name}_out", np.where(move, 1, out - pop))
