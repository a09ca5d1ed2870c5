"""Pre-compute sparsity of one lane: which pair of operands each of its MACs multiplies next."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .activation_reader import ActivationReader, entry_layout
from .lane_ports import connect_lane, lane_ports
from .ring import ring_position

__all__ = ["PrecomputeSparsity", "pick_layout"]


def pick_layout(width, rows, psum_tiles):
    """What a MAC does in a cycle: with `fire` multiply `a` by row `row` (slot * T + k) of its column of B, for partial sum
    `psum`; with `close` first move the partial sum whose turn it is to the hold register and start it from zero.
    """
    return data.StructLayout({"a": signed(width), "row": range(rows), "psum": range(psum_tiles), "fire": 1, "close": 1})


class PrecomputeSparsity(wiring.Component):
    """Hands the activations of one row to the MACs of the lane.

    Activations enter a window, two per cycle (one with a window of one), with their value, their row of B and a pending
    bit for every MAC that needs them: B's mask row with `skip` "both", else one bit for the whole lane, which then works
    in lockstep. Each MAC takes the oldest entry that is pending for it; up to two entries leave per cycle, from the old
    end, when nothing is pending. The window runs on across steps and output tiles. A MAC that has no entry left from before
    the end of its output tile, while the lane has read that tile to its end, *closes* it: that costs no cycle, but needs its
    hold register.

    Latency: two cycles from an activation to `picks`. Throughput: one pick per MAC and cycle.

    Parameters
    ----------
    form : LaneFormat

    Members
    -------
    steps ... b_masks or b_writes : as in `lane_ports`
    a_progress, b_progress : Out(ring_position), the oldest operands that the lane has still to pick
    picks : Out(pick_layout), registered, for each MAC, or a single one for the whole lane
    full : Out(1), all hold registers are taken or will be by the last `close` among `picks`
    drained : In(1), the hold registers have been read
    working, starved, blocked : Out(1), there is a step or an entry to work on; there is a step, but no entry and no operand;
        a MAC cannot close its output tile because of its hold register
    """

    def __init__(self, *, form):
        self._form = form
        self._tile, self._width, self._slots, self._rows = form.tile, form.width, form.slots, form.group_rows
        self._psum_tiles = form.psum_tiles
        self._window, self._pickers = form.window, form.tile if form.skip == "both" else 1
        position = ring_position(form.tile, form.group_rows, form.slots)
        super().__init__({
            **lane_ports(form),
            "a_progress": Out(position),
            "b_progress": Out(position),
            "picks": Out(pick_layout(form.width, form.rows, form.psum_tiles)).array(self._pickers),
            "full": Out(1),
            "drained": In(1),
            "working": Out(1),
            "starved": Out(1),
            "blocked": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.reader = reader = ActivationReader(form=self._form)
        connect_lane(m, self, reader)
        m.d.comb += self.a_progress.eq(reader.a_position)

        layout = entry_layout(self._tile, self._width, self._slots, self._psum_tiles)
        window = [Signal(layout, name=f"entry_{n}") for n in range(self._window)]  # A MAC multiplies by it, if only zeros.
        pending = [Signal(self._pickers, name=f"pending_{n}") for n in range(self._window)]
        valid = Signal(self._window)

        left = self._pick(m, reader, window, pending)
        self._shift(m, reader, window, pending, valid, left)

        bits = (self._tile - 1).bit_length()
        row, progress = window[0].row, self.b_progress
        with m.If(valid[0]):
            group = row[:bits] >> (self._rows.bit_length() - 1)
            m.d.comb += [progress.slot.eq(row[bits:]), progress.lap.eq(window[0].lap)]
            m.d.comb += progress.group.eq(Mux(window[0].release, group, 0))
        with m.Else():
            m.d.comb += progress.eq(reader.b_position)
        m.d.comb += [
            self.working.eq((reader.steps_position != self.steps_end) | valid[0]),
            self.starved.eq(reader.lacking & ~valid[0]),
        ]
        return m

    def _pick(self, m, reader, window, pending):
        """Choose for every MAC; returns what is still pending afterwards."""
        count = self._pickers
        output = Signal(count)  # One bit of the number of each MAC's output tile.
        held, over, close, fire = Signal(count), Signal(count), Signal(count), Signal(count)
        here, some = Signal(count), Signal(count)
        left = [Signal(count, name=f"left_{n}") for n in range(len(window))]

        earlier, of_output = 0, 0
        for n, (entry, want) in enumerate(zip(window, pending, strict=True)):
            of_output = of_output | (want & Mux(entry.output, output, ~output))
            m.d.comb += left[n].eq(want & (earlier | ~fire))
            earlier = earlier | want
        m.d.comb += [
            some.eq(earlier),
            here.eq(of_output),
            over.eq(Mux(reader.output, ~output, output) & ~here),
            close.eq(over & ~held),
            fire.eq(here | (some & close)),
            self.full.eq(held.all()),
            self.blocked.eq((over & held).any()),
        ]
        m.d.sync += [reader.started.eq(output == reader.output.replicate(count)), output.eq(output ^ close)]
        m.d.sync += held.eq(Mux(self.drained, 0, held | close))

        for p, pick in enumerate(self.picks):
            chosen = Cat(window[-1].a, window[-1].row, window[-1].psum)
            for entry, want in zip(reversed(window[:-1]), reversed(pending[:-1]), strict=True):
                chosen = Mux(want[p], Cat(entry.a, entry.row, entry.psum), chosen)
            m.d.sync += Cat(pick.a, pick.row, pick.psum, pick.fire, pick.close).eq(Cat(chosen, fire[p], close[p]))
        return left

    def _shift(self, m, reader, window, pending, valid, left):
        """Let finished entries leave at the old end and new ones in behind the others."""
        size = self._window
        most = len(reader.entry)
        leave = Signal(most)
        for n in range(most):
            gone = valid[n] & ~left[n].any()
            m.d.comb += leave[n].eq(gone & leave[n - 1] if n else gone)

        kept = Signal(size)
        m.d.comb += kept.eq(valid >> (leave[0] + leave[1] if most == 2 else leave[0]))
        m.d.comb += [reader.room[n].eq(~kept[size - 1 - n]) for n in range(most)]
        take = reader.offer & reader.room
        for n in range(size):
            moved, moved_pending = window[n], left[n]
            for by in range(1, min(most, size - 1 - n) + 1):
                moved = Mux(leave[by - 1], window[n + by], moved)
                moved_pending = Mux(leave[by - 1], left[n + by], moved_pending)
            with m.If(kept[n]):
                m.d.sync += [window[n].eq(moved), pending[n].eq(moved_pending), valid[n].eq(1)]
            with m.Else():
                m.d.sync += [pending[n].eq(0), valid[n].eq(0)]
                for new in reversed(range(min(most, n + 1))):
                    with m.If(take[new] & (kept[n - new - 1] if n > new else 1)):
                        m.d.sync += [window[n].eq(reader.entry[new]), pending[n].eq(reader.pending[new]), valid[n].eq(1)]
