"""Cycle model of the lanes of all PEs: reading activations, windows, picks, output tiles, and what keeps a MAC waiting."""

import numpy as np

__all__ = ["LOSSES", "Lanes"]

LOSSES = ("a operand", "b operand", "output", "imbalance", "step", "fill and drain")
"""Why a MAC idles: its lane's window is short of entries since a row of A, or of B, is not there; its hold register is
taken; the other MACs of its lane have more to do; there is no step; nothing is left, or the first is still on its way.
"""

_LOG = np.zeros(1 << 16, dtype=np.int64)
for _bit in range(16):
    _LOG[1 << _bit] = _bit


def _lowest(bits):
    return bits & (~bits + np.uint16(1))


class Lanes:
    """T lanes of T MACs in each of P PEs, for a batch of runs; bit m of a 16-bit word belongs to MAC m of a lane.

    Output tiles are counted. `base` is the oldest one that some MAC of the lane has still to close; plane d of `closed` marks
    the MACs that have closed tile `base` + d. With `psum_tiles` = Q a MAC works on the Q tiles from its oldest open one on.

    Parameters
    ----------
    work : GridWork of the batch
    a_rows, b_rows : rows per beat of the expanders
    a_owner, b_owner : [P], the streams of each PE
    window, psum_tiles, holds : [runs, 1, 1]
    lockstep, every : [runs, 1, 1], skip is not "both"; skip is "none"
    steps : [runs, 1, 1], number of steps

    Members
    -------
    drained : [runs, P, T], rows read from the hold registers
    lost : {cause: [runs]}, idle MAC cycles
    """

    state = (
        "a", "b", "kept_b", "last", "output", "a_masks", "b_masks", "window", "psum", "holds", "lockstep", "every", "steps",
        "position", "rest", "pending", "need", "number", "count", "base", "ended", "closed", "closed_at", "drained", "fired",
        "lost",
    )

    def __init__(self, *, work, a_rows, b_rows, a_owner, b_owner, window, psum_tiles, holds, lockstep, every, steps):
        runs, _, _, tile = work.a_masks.shape
        pes = len(a_owner)
        self._a_rows, self._b_rows, self._tile, self._b_groups = a_rows, b_rows, tile, tile // b_rows
        self._owners = a_owner, b_owner
        self._full = np.uint16((1 << tile) - 1)
        self._entries = int(window.max())
        self._planes = int(psum_tiles.max())
        self.a, self.b, self.last, self.output = work.a, work.b, work.last, work.output
        self.kept_b = work.b_kept
        self.a_masks, self.b_masks = work.a_masks, work.b_masks
        self.window, self.psum, self.holds, self.steps = window, psum_tiles, holds, steps
        self.lockstep, self.every = lockstep, every
        shape = runs, pes, tile
        for name in ("position", "count", "base", "ended", "drained"):
            setattr(self, name, np.zeros(shape, dtype=np.int64))
        self.pending = np.zeros((*shape, self._entries), dtype=np.uint16)
        self.need, self.number = (np.zeros((*shape, self._entries), dtype=np.int64) for _ in range(2))
        self.closed = np.zeros((*shape, self._planes), dtype=np.uint16)
        self.closed_at = np.zeros((*shape, 4), dtype=np.int64)
        self.fired = np.zeros(runs, dtype=np.int64)
        self.lost = np.zeros((runs, len(LOSSES)), dtype=np.int64)
        self.settle()
        self.rest = self._row_of_a(self.position)

    def settle(self):
        """Set what follows from the runs in the batch; to be called when some have left."""
        runs = len(self.a)
        self._runs = np.arange(runs)[:, None, None]
        self._step_base = self._runs * self.a.shape[1]
        self._inner_base = self._runs * self.last.shape[1]
        self._flat = {name: np.ascontiguousarray(getattr(self, name)).reshape(-1)
                      for name in ("a", "b", "kept_b", "last", "output", "a_masks", "b_masks")}

    def _step(self, name, position):
        """A property of the steps at `position`."""
        if name in ("a", "b"):
            return self._flat[name][self._step_base + position]
        return self._flat[name][self._inner_base + np.minimum(position, self.last.shape[1] - 1)]

    def _row_of_a(self, position):
        _, streams, tiles, tile = self.a_masks.shape
        at = np.minimum(self._step("a", position), tiles - 1)
        owner = self._owners[0][:, None]
        rows = self._flat["a_masks"][((self._runs * streams + owner) * tiles + at) * tile + np.arange(tile)]
        return np.where(self.every, self._full, rows)

    def _row_of_b(self, at, k):
        _, streams, tiles, tile = self.b_masks.shape
        owner = self._owners[1][:, None]
        rows = self._flat["b_masks"][((self._runs * streams + owner) * tiles + np.minimum(at, tiles - 1)) * tile + k]
        return np.where(self.lockstep, self._full, rows)

    def needed(self):
        """Oldest tile of A per group of lanes [runs, P, groups], and oldest group of B's rows [runs, P]."""
        runs, pes, tile = self.position.shape
        a = self._step("a", self.position).reshape(runs, pes, -1, self._a_rows).min(axis=-1)
        b = np.where(self.count > 0, self.need[..., 0], self._step("b", self.position) * self._b_groups)
        return a, b.min(axis=-1)

    def oldest_step(self):
        """[runs, P], the step of the lane furthest behind."""
        return self.position.min(axis=-1)

    def cycle(self, now, steps_end, a_end, b_end, transposed):
        """One clock; `a_end`, `b_end` are (tile, group) frontiers [runs, P]."""
        left = self._pick(now)
        self._move(left, *self._offer(steps_end, a_end, b_end, transposed))

    def _pick(self, now):
        """Close output tiles, let every MAC take an entry; returns what is still pending."""
        pending, planes = self.pending, self._planes
        relative = self.number - self.base[..., None]
        allowed, closing, blocked = [], np.uint16(0), np.uint16(0)
        closed = self.closed.copy()
        for d in range(planes):
            here = np.bitwise_or.reduce(np.where(relative == d, pending, np.uint16(0)), axis=-1)
            over = ~here & ~self.closed[..., d] & (self.closed[..., d - 1] if d else self._full) & self._full
            over = np.where((self.ended - self.base > d) & (d < self.psum[...]), over, np.uint16(0))
            free = self.base + d - self.drained < self.holds
            close = np.where(free, over, np.uint16(0))
            blocked = blocked | (over & ~close)
            closed[..., d] |= close
            closing = closing | close
        place = relative - self.psum[..., None]
        allowed = np.where(place < 0, self._full,
                           np.take_along_axis(closed, np.clip(place, 0, planes - 1), axis=-1))
        wanted = pending & allowed
        earlier = np.zeros_like(wanted[..., 0])
        left = np.empty_like(pending)
        for w in range(self._entries):
            left[..., w] = pending[..., w] & (~wanted[..., w] | earlier)
            earlier = earlier | wanted[..., w]

        whole = closed[..., 0] == self._full
        self.closed_now = whole
        shifted = np.concatenate([closed[..., 1:], np.zeros_like(closed[..., :1])], axis=-1)
        self.closed = np.where(whole[..., None], shifted, closed)
        place = (self.base % 4)[..., None]
        np.put_along_axis(self.closed_at, place,
                          np.where(whole[..., None], now + 1, np.take_along_axis(self.closed_at, place, axis=-1)), axis=-1)
        self._old_base = self.base
        self.base = self.base + whole
        self._count_idle(earlier, blocked)
        return left

    def _offer(self, steps_end, a_end, b_end, transposed):
        """What the readers offer: usable bits of their row, and whether the step may end once they are taken."""
        position = self.position
        group = np.arange(self._tile) // self._a_rows
        a, b = self._step("a", position), self._step("b", position)
        (a_tile, a_group), (b_tile, b_group) = ([x[..., None] for x in end] for end in (a_end, b_end))
        there = position < steps_end[..., None]
        a_whole, b_whole = a_tile > a, b_tile > b
        active = there & (a_whole | ((a_tile == a) & (a_group > group)))
        partial = ((1 << (b_group * self._b_rows)) - 1).astype(np.uint16)
        rows = np.where(b_whole, self._full, np.where((b_tile == b) & ~transposed, partial, np.uint16(0)))
        usable = np.where(active, self.rest & rows, np.uint16(0))
        mature = active & a_whole & b_whole & (
            ~self._step("last", position) | (self.ended - self._old_base < self.psum))
        self._lack = there, there & ~active, there & active & (usable == 0) & ~b_whole, usable == 0
        return usable, mature, b

    def _move(self, left, usable, mature, b):
        """Entries leave at the old end, new ones come in; the reader goes on."""
        size, groups = self._entries, self._b_groups
        gone = (self.count > 0) & (left[..., 0] == 0)
        leave = gone.astype(np.int64)
        if size > 1:
            leave = leave + (gone & (self.count > 1) & (left[..., 1] == 0))
        kept = self.count - leave

        first = _lowest(usable)
        second = _lowest(usable ^ first)
        take = [(first != 0) & (kept < self.window), (second != 0) & (kept + 1 < self.window)]
        bits = [np.where(t, x, np.uint16(0)) for t, x in zip(take, (first, second), strict=True)]
        rest = self.rest & ~(bits[0] | bits[1])
        finish = mature & (rest == 0)

        keep = self._step("kept_b", self.position)
        output = self._step("output", self.position)
        moved = []
        for array, gap in ((left, 2), (self.need, 2), (self.number, 2)):
            wide = np.concatenate([array, np.zeros((*array.shape[:-1], gap), dtype=array.dtype)], axis=-1)
            by = leave[..., None]
            moved.append(np.where(by == 0, wide[..., :size],
                                  np.where(by == 1, wide[..., 1:size + 1], wide[..., 2:size + 2])))
        place = np.arange(size)
        for n in range(2):
            k = _LOG[bits[n]]
            at = (place == (kept + n)[..., None]) & take[n][..., None]
            row = self._row_of_b(b, k)
            need = b * groups + np.where(keep, 0, k // self._b_rows)
            for array, value in zip(moved, (row, need, output), strict=True):
                np.copyto(array, value[..., None].astype(array.dtype), where=at)
        self.pending, self.need, self.number = moved
        self.count = kept + take[0] + take[1]

        self.ended = self.ended + (finish & self._step("last", self.position))
        self.position = self.position + finish
        self.rest = np.where(finish, self._row_of_a(self.position), rest)

    def _count_idle(self, firing, blocked):
        """Remember who idles; the cause follows from what the readers lack."""
        self.firing, self.blocked = firing, blocked

    def account(self):
        """Add the idle MACs of this cycle to their causes; to be called after `cycle`."""
        there, no_a, no_b, nothing = self._lack
        idle = ~self.firing & self._full
        total = np.bitwise_count(idle).astype(np.int64)
        held = np.bitwise_count(idle & self.blocked).astype(np.int64)
        rest = total - held
        finished = self.position >= self.steps
        causes = [no_a, no_b, None, there & ~no_a & ~no_b, ~there & ~finished]
        sums = [(rest * c).sum(axis=(1, 2)) if c is not None else held.sum(axis=(1, 2)) for c in causes]
        everything = total.sum(axis=(1, 2))
        sums.append(everything - sum(sums))
        self.lost += np.stack(sums, axis=1)
        self.fired += np.bitwise_count(self.firing).astype(np.int64).sum(axis=(1, 2))
