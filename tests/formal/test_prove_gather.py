"""The asking side of a GATHER: every index becomes the request for its row, in order, and none comes without a place."""

import pytest
from amaranth.hdl import Mux, Signal
from amaranth.lib import data
from amaranth.lib.fifo import SyncFIFO

from acceltran.hw.memory import row_requester
from support.contracts import Contract, opened, prove, refute, survive
from support.mutation import mutated, with_names
from support.shifted_queue import ShiftedQueue

pytestmark = pytest.mark.prove

BUS, INDEX, CHUNK = 4, 2, 2
"""Bits of a beat and of an index; beats of a chunk."""

BEAT_BITS = 3
"""Of the addresses, in beats."""

ROWS = 5
"""Of a job, at most: in two chunks, the last beat of which is not full."""


def moved(stream):
    return stream.valid & stream.ready


def gather(module, *, less=0):
    """Indices are asked for job by job, in chunks, a place kept for each beat; one index of one job is followed to its row.

    Memory brings the beats that were asked for, at any time.
    """
    counts = {"row_beats": 2, "rows": 3, "columns": 2}
    for old, new in ("free = Signal(", "free = self.free = Signal("), (
            "waiting, within = ", "waiting, within = self.waiting, _ = "):
        module = mutated(module, old, new)
    short = with_names(
        module, StreamQueue=ShiftedQueue, _CHUNK_BITS=CHUNK * BUS, _INDEX_BITS=INDEX, beat_bits=lambda bus_width: BEAT_BITS,
        gather_layout=lambda bus_width: data.StructLayout({"table": BEAT_BITS, "indices": BEAT_BITS} | counts),
    )
    component = opened(short.RowRequester)(tile=1, width=2, bus_width=BUS)
    c, job, o, indices, per_beat = Contract(component), component.job, component.o, component.indices, BUS // INDEX
    tokens, new = job.p.rows, o.valid & ~c.before(o.valid & ~o.ready, "stood")
    asks, takes, begins = new & o.p.index, new & ~o.p.index, moved(job)
    c.assume(~job.valid | (tokens != 0) & (tokens <= ROWS) & (job.p.columns != 0))
    c.still(o, "still")
    c.promise("ready", indices.ready)

    # Requests for the indices of a job, which is over with the last of them.
    left, place = Signal(3), Signal(BEAT_BITS)
    length = Mux(left < CHUNK, left, CHUNK)
    with c.m.If(asks):
        c.m.d.sync += [left.eq(left - o.p.beats), place.eq(place + o.p.beats)]
    with c.m.If(begins):
        c.m.d.sync += [left.eq((tokens + per_beat - 1) >> 1), place.eq(job.p.indices)]
    c.promise("asks", ~asks | (left != 0) & (o.p.beat == place) & (o.p.beats == length))
    c.promise("job", ~job.ready | (left == Mux(asks, o.p.beats, 0)))

    # Beats of indices that memory owes.
    owed = Signal(range(2 * CHUNK + 4))
    c.m.d.sync += owed.eq(owed + Mux(moved(o) & o.p.index, o.p.beats, 0) - indices.valid)
    c.assume(~indices.valid | (owed != 0))

    # The jobs of which beats are to come, and how many indices this one brings.
    job_chosen, chosen, at = c.free(1, "job_chosen"), c.free(1, "chosen"), c.free(range(per_beat), "at")
    c.m.submodules.jobs = jobs = SyncFIFO(width=4, depth=3)
    got, came, mark = Signal(3), Signal(2), Signal()
    rest = jobs.r_data[:3] - got
    c.m.d.comb += [
        came.eq(Mux(indices.valid, Mux(rest < per_beat, rest, per_beat), 0)),
        mark.eq(job_chosen & begins), jobs.w_data[:3].eq(tokens), jobs.w_data[3].eq(mark),
        jobs.w_en.eq(begins), jobs.r_en.eq(indices.valid & (rest <= per_beat)),
    ]
    c.m.d.sync += got.eq(Mux(jobs.r_en, 0, got + came))
    c.promise("jobs", (~begins | jobs.w_rdy) & (~indices.valid | jobs.r_rdy))

    # One index, of a job that is chosen when it begins.
    marked, followed, begun, told = Signal(), Signal(), Signal(), Signal(job.p.shape())
    held, ahead, value = Signal(range(2 * CHUNK * per_beat + 4)), Signal(range(2 * CHUNK * per_beat + 4)), Signal(INDEX)
    c.assume(~(mark & marked))
    c.m.d.sync += held.eq(held + came - takes)
    with c.m.If(mark):
        c.m.d.sync += [marked.eq(1), told.eq(job.p)]
    leaves = followed & takes & (ahead == 0)
    with c.m.If(leaves):
        c.m.d.sync += followed.eq(0)
    with c.m.Elif(followed):
        c.m.d.sync += ahead.eq(ahead - takes)
    with c.m.Elif(chosen & jobs.r_data[3] & ~begun & (at < came)):
        c.m.d.sync += [followed.eq(1), begun.eq(1), value.eq(indices.p.word_select(at, INDEX)), ahead.eq(held + at - takes)]
    c.promise("held", ~takes | (held != 0))
    c.promise("row", ~leaves | (o.p.beat == (told.table + value * told.row_beats)[:BEAT_BITS]))
    c.promise("row_beats", ~leaves | (o.p.beats == (told.columns + 1) >> 1))

    # A place for every beat: free ones, those asked for, those that memory owes, and those that wait add up.
    asked = Mux(o.valid & o.p.index, o.p.beats, 0)
    c.promise("credit", component.free + asked + owed + component.waiting == 2 * CHUNK)
    c.promise("credit", ~(o.valid & o.p.index) | (o.p.beats != 0) & (o.p.beats <= CHUNK))
    c.promise("places", ~indices.valid | (component.waiting < 2 * CHUNK - less))

    # Rows that are still to be requested, of this job and of those before it.
    older, newest = Signal(3), Signal(3)
    with c.m.If(begins):
        c.m.d.sync += [older.eq(older + newest - takes), newest.eq(tokens)]
    with c.m.Elif(takes):
        c.m.d.sync += [older.eq(older - (older != 0)), newest.eq(newest - (older == 0))]
    c.promise("rows", ~takes | ((older | newest) != 0))
    c.promise("ahead", ~asks | (o.p.ahead == (older != 0)))
    c.promise("idle", component.idle == (((older | newest) == 0) & ~o.valid))
    c.at_most((held != 0) & ~o.valid, 3 - less, "row_soon")
    c.at_most((left != 0) & (held == 0) & (owed == 0) & ~o.valid, 1 - less, "ask_soon")
    return c


def test_row_requester_keeps_a_place_for_every_beat():
    prove(gather(row_requester), "credit", "places", together=True)


def test_row_requester_uses_every_place():
    refute(gather(row_requester, less=1), "places")


def test_row_requester_asks():
    prove(gather(row_requester), "still", "ready", "asks", "job")


@pytest.mark.parametrize("promise", ["row", "row_beats", "held", "ahead", "idle"])
def test_row_requester_for_a_while(promise):
    survive(gather(row_requester), promise, cycles=12)


@pytest.mark.parametrize(("promise", "old", "new"), [
    ("still", "with m.If(~o.valid | o.ready):", "with m.If(1):"),
    ("ready", "self.indices.ready.eq(1)", "self.indices.ready.eq(waiting != 0)"),
    ("asks", "beat.eq(beat + beats)", "beat.eq(beat + 1)"),
    ("asks", "Mux(left < chunk, left, chunk)", "chunk"),
    ("job", "self.job.ready.eq(taken.ready & (left == 0))", "self.job.ready.eq(taken.ready)"),
    ("credit", "(left != 0) & (free >= beats)", "left != 0"),
    ("places", "(left != 0) & (free >= beats)", "(left != 0) & (free != 0)"),
    ("places", "free + beats_freed - Mux(asked, beats, 0)", "free + beats_freed - asked"),
    ("held", "index.valid.eq((waiting != 0) & (left != 0))", "index.valid.eq(left != 0)"),
    ("row", "(within == per_beat - 1) | (left == 1)", "within == per_beat - 1"),
    ("row", "row.payload.eq(table + held * pitch)", "row.payload.eq(table + held)"),
    ("row", "m.d.sync += [table.eq(job.table), pitch.eq(job.row_beats)]",
     "m.d.sync += [table.eq(self.job.payload.table), pitch.eq(job.row_beats)]"),
    ("row_beats", "job.columns * self._line_bits + bus - 1", "job.columns * self._line_bits"),
    ("ahead", "ask & (jobs.level == 2)", "ask & (jobs.level != 0)"),
    ("idle", "~jobs.o.valid & ~o.valid", "~jobs.o.valid"),
])
def test_row_requester_fault(promise, old, new):
    refute(gather(mutated(row_requester, old, new)), promise)
