"""Cycle model of the PE array: a batch of explored points, cycle by cycle."""

from dataclasses import dataclass

import numpy as np

from ..hw.pe.lane_ports import STEP_RING
from .grid_lanes import LOSSES, Lanes
from .grid_operands import OperandPath, column
from .grid_work import batch_work

__all__ = ["GridResult", "run_points"]

_SETTLE = 3
_POST_STAGES = 6


@dataclass(frozen=True, kw_only=True)
class GridResult:
    """What one point takes.

    Members
    -------
    point : GridPoint
    cycles : from the first request to the last write
    first_output : cycles to the last write of every PE's first output tile
    multiplications : done
    lost : share of all multiplier cycles that went by idle, by cause (`LOSSES`)
    """

    point: object
    cycles: int
    first_output: int
    multiplications: int
    lost: dict

    @property
    def cycles_per_step(self):
        """Cycles per pair of tiles once the first output tile is out."""
        p = self.point
        return (self.cycles - self.first_output) / (p.steps - p.k // p.tile)

    @property
    def utilisation(self):
        """Share of multiplier cycles in which a multiplication was done."""
        p = self.point
        return self.multiplications / (self.cycles * p.rows * p.columns * p.tile**2)


class _Outputs:
    """Rows out of the hold registers, through post-process and compressor, to the shared write ports."""

    state = ("drain", "write_rows", "pointer", "offered", "stages", "ranked", "placed", "writing", "turn", "written")

    def __init__(self, points, pes):
        first = points[0]
        runs, self._tile = len(points), first.tile
        self.drain = column([p.drain for p in points])
        self.write_rows = column([p.write_lines for p in points])
        row, place = np.divmod(np.arange(pes), first.columns)
        port = {
            "diagonal": row + place, "balanced": (2 * row + place) % (2 * max(first.rows, first.columns)),
            "own": np.arange(pes),
        }[first.ports]
        self._members = [np.flatnonzero(port == n) for n in np.unique(port)]
        for name in ("pointer", "stages", "placed", "written"):
            setattr(self, name, np.zeros((runs, pes), dtype=np.int64))
        for name in ("offered", "ranked", "writing"):
            setattr(self, name, np.zeros((runs, pes), dtype=bool))
        self.turn = np.zeros((runs, len(self._members)), dtype=np.int64)

    def cycle(self, row_valid):
        """One clock; `row_valid` [runs, P, T]. Returns the rows taken, [runs, P, T]."""
        granted = self._grant()
        emits = (self.placed + self.drain) % self.write_rows == 0
        go = self.ranked & (~self.writing | granted | ~emits)
        room = ~self.ranked | go
        end = (self.stages >> _POST_STAGES - 1 & 1).astype(bool)
        enable = ~end | room
        taken = self.offered & enable
        advance = ~self.offered | enable
        place = np.arange(self._tile) - self.pointer[..., None]
        chosen = (place >= 0) & (place < self.drain[..., None])
        valid = (row_valid | ~chosen).all(axis=-1) & advance

        self.written = self.written + np.where(granted & self.writing, self.write_rows, 0)
        self.writing = np.where(go & emits, True, self.writing & ~granted)
        self.placed = self.placed + np.where(go, self.drain, 0)
        self.ranked = np.where(room, end, self.ranked)
        self.stages = np.where(enable, (self.stages << 1 | taken) & (1 << _POST_STAGES) - 1, self.stages)
        self.offered = np.where(advance, valid, self.offered)
        self.pointer = (self.pointer + np.where(valid, self.drain, 0)) % self._tile
        return chosen & valid[..., None]

    def _grant(self):
        """Round robin per port; a PE that is not served waits."""
        granted = np.zeros(self.writing.shape, dtype=bool)
        for n, members in enumerate(self._members):
            if len(members) == 1:
                granted[:, members] = True
                continue
            asks = self.writing[:, members]
            order = (np.arange(len(members)) - self.turn[:, n:n + 1]) % len(members)
            rank = np.where(asks, order, len(members))
            best = rank.argmin(axis=1)
            served = np.zeros_like(asks)
            served[np.arange(len(asks)), best] = asks.any(axis=1)
            granted[:, members] = served
            self.turn[:, n] = np.where(asks.any(axis=1), (best + 1) % len(members), self.turn[:, n])
        return granted


class _Batch:
    """Points of one grid, tile size and `lines_per_beat`, in lockstep."""

    state = ("alive", "first_output", "steps", "queued", "queue_size", "handed", "step_taken", "steps_end", "outputs_due")

    def __init__(self, points):
        first = points[0]
        for p in points:
            if _kind(p) != _kind(first):
                raise ValueError("points of one batch share grid, tile, lines_per_beat, rows per beat and ports")
        work = batch_work(points)
        pes = first.rows * first.columns
        a_owner, b_owner = np.divmod(np.arange(pes), first.columns)
        self.alive = np.arange(len(points))
        self.first_output = np.zeros(len(points), dtype=np.int64)
        self.steps = column([p.steps for p in points])
        ends = [np.take_along_axis(x, self.steps, axis=1) for x in (work.a, work.b)]
        common = {"lines": first.lines_per_beat, "fifo_tiles": column([p.fifo_tiles for p in points])}
        self.a = OperandPath(
            counts=work.a_counts, total=ends[0], owner=a_owner, rows=first.rows_per_beat[0], shared=False,
            transposed=column([False for _ in points]),
            slots=column([p.a_slots or p.operand_slots for p in points]), **common)
        self.b = OperandPath(
            counts=work.b_counts, total=ends[1], owner=b_owner, rows=first.rows_per_beat[1], shared=True,
            transposed=column([p.transpose for p in points]).astype(bool),
            slots=column([p.b_slots or p.operand_slots for p in points]), **common)

        def lanes(values):
            return column(values)[..., None]

        self.lanes = Lanes(
            work=work, a_rows=first.rows_per_beat[0], b_rows=first.rows_per_beat[1], a_owner=a_owner, b_owner=b_owner,
            window=lanes([p.window if p.skip == "both" else 1 for p in points]),
            psum_tiles=lanes([p.psum_tiles for p in points]), holds=lanes([p.holds for p in points]),
            lockstep=lanes([p.skip != "both" for p in points]).astype(bool),
            every=lanes([p.skip == "none" for p in points]).astype(bool), steps=self.steps[..., None])
        self.outputs = _Outputs(points, pes)
        self.outputs_due = column([p.steps // (p.k // p.tile) * p.tile for p in points])
        shape = len(points), pes
        self.queued, self.steps_end = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        self.step_taken = np.zeros(shape, dtype=bool)
        self.queue_size, self.handed = column([p.step_queue for p in points]), column([0 for _ in points])
        self.points = points

    def run(self):
        """Simulate until every run is finished; yields (number of the point, result)."""
        now = 0
        limit = 200 + 40 * max(p.bound for p in self.points)
        while len(self.alive):
            self._cycle(now)
            now += 1
            written = self.outputs.written.min(axis=1)
            self.first_output += written < self.points[0].tile
            finished = written >= self.outputs_due[:, 0]
            if finished.any():
                for n in np.flatnonzero(finished):
                    yield int(self.alive[n]), self._result(n, now)
                self._keep(~finished)
            if now > limit:
                raise RuntimeError(f"no end after {now} cycles: {self.points[self.alive[0]]}")

    def _result(self, n, cycles):
        p, lanes = self.points[self.alive[n]], self.lanes
        whole = cycles * p.rows * p.columns * p.tile**2
        return GridResult(
            point=p, cycles=cycles, first_output=int(self.first_output[n]) + 1, multiplications=int(lanes.fired[n]),
            lost={cause: int(count) / whole for cause, count in zip(LOSSES, lanes.lost[n], strict=True)})

    def _cycle(self, now):
        lanes, a, b = self.lanes, self.a, self.b
        needed_a, needed_b = lanes.needed()
        oldest = lanes.oldest_step()
        row_valid = (lanes.base > lanes.drained) & (
            now >= _SETTLE + np.take_along_axis(lanes.closed_at, (lanes.drained % 4)[..., None], axis=-1)[..., 0])
        lanes.cycle(now, self.steps_end, (a.end_tile, a.end_group), (b.end_tile, b.end_group), b.transposed[..., None])
        lanes.account()
        lanes.drained = lanes.drained + self.outputs.cycle(row_valid)
        a.cycle(now, needed_a)
        b.cycle(now, needed_b)
        self._hand_steps(oldest)

    def _hand_steps(self, oldest):
        """Step tokens: to the queue of every PE, from there into its ring."""
        accept = (self.queued > 0) & (self.steps_end - oldest < STEP_RING)
        offered = self.handed < self.steps
        room = self.queued < self.queue_size
        push = offered & ~self.step_taken & room
        had = self.step_taken | room
        done = offered & had.all(axis=1, keepdims=True)
        self.step_taken = np.where(offered, had & ~done, self.step_taken)
        self.handed = self.handed + done
        self.queued = self.queued + push - accept
        self.steps_end = self.steps_end + accept

    def _keep(self, which):
        for part in (self, self.a, self.b, self.lanes, self.outputs):
            for name in part.state:
                value = getattr(part, name, None)
                if value is not None:
                    setattr(part, name, value[which])
        for part in (self.a, self.b, self.lanes):
            part.settle()


def _kind(point):
    return point.rows, point.columns, point.tile, point.lines_per_beat, point.rows_per_beat, point.ports


def run_points(points, finished=None):
    """Simulate points; those of one grid, tile and `lines_per_beat` run side by side.

    Parameters
    ----------
    points : list of GridPoint
    finished : called with each GridResult as it is there

    Returns
    -------
    list of GridResult, in the order of the points
    """
    batches = {}
    for n, p in enumerate(points):
        batches.setdefault(_kind(p), []).append(n)
    results = [None] * len(points)
    for numbers in batches.values():
        for n, result in _Batch([points[n] for n in numbers]).run():
            results[numbers[n]] = result
            if finished:
                finished(result)
    return results
