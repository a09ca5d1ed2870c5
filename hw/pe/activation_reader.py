"""The end of a lane that reads activations: which entries go into the window next."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..layout import pe_step
from .lane_ports import lane_ports
from .ring import next_slot, ring_position

__all__ = ["ActivationReader", "entry_layout", "words"]


def entry_layout(tile, width, slots, psum_tiles):
    """A window entry: the activation, its row of B (slot * T + k) and lap, whether B's rows are given up behind it, its
    partial sum, and one bit of the number of output tiles that ended before it.
    """
    return data.StructLayout({"a": signed(width), "row": range(slots * tile), "psum": range(psum_tiles), "lap": 1,
                              "release": 1, "output": 1})


def words(bits, size):
    """The words of `size` bits in a plain vector, for indexing by a value."""
    return Array(bits.word_select(n, size) for n in range(len(bits) // size))


class ActivationReader(wiring.Component):
    """Walks through the steps of a lane, and in each through the row of A in order of k.

    Per cycle it offers the next `entries` activations whose row of B is there already; the window takes as many as it
    has room for. A step ends in the cycle in which its last activation is taken, once both tiles are complete; one
    without activations costs one cycle. An output tile ends only when all MACs have started on it, so that one bit of
    its number tells them apart.

    Parameters
    ----------
    form : LaneFormat

    Members
    -------
    steps ... b_masks or b_writes : as in `lane_ports`
    a_position, b_position : Out(ring_position), the tiles of this step
    offer : Out(entries), ``offer[n]`` only together with ``offer[n - 1]``
    room : In(entries), ``room[n]`` only together with ``room[n - 1]``; an entry is taken where both are set
    entry, pending : the entries, and the MACs that need them (one bit with `skip` other than "both")
    output : Out(1), one bit of the number of output tiles that ended
    started : In(1), in the cycle before all MACs were on the output tile of that cycle
    lacking : Out(1), there is a step, but it can neither offer an entry nor end
    """

    def __init__(self, *, form):
        self._tile, self._width, self._rows, self._slots = form.tile, form.width, form.group_rows, form.slots
        self._skip, self._entries, self._step = form.skip, form.entries, pe_step(form.psum_tiles)
        self._ram = form.in_ram
        position = ring_position(form.tile, form.group_rows, form.slots)
        super().__init__({
            **lane_ports(form),
            "a_position": Out(position),
            "b_position": Out(position),
            "offer": Out(form.entries),
            "room": In(form.entries),
            "entry": Out(entry_layout(form.tile, form.width, form.slots, form.psum_tiles)).array(form.entries),
            "pending": Out(form.tile if form.skip == "both" else 1).array(form.entries),
            "output": Out(1),
            "started": In(1),
            "lacking": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        tile, a, b = self._tile, self.a_position, self.b_position
        step = Signal(self._step)
        active, resumed, finish, begins = Signal(), Signal(), Signal(), Signal()
        a_complete, b_complete = Signal(), Signal()
        rest, remaining, usable, left = Signal(tile, reset_less=True), Signal(tile), Signal(tile), Signal(tile)

        m.d.comb += [
            step.eq(words(self.steps, self._step.size)[self.steps_position[:-1]]),
            a_complete.eq((self.a_end.slot != a.slot) | (self.a_end.lap != a.lap)),
            b_complete.eq((self.b_end.slot != b.slot) | (self.b_end.lap != b.lap)),
            active.eq((self.steps_position != self.steps_end) & (a_complete | (self.a_end.group > self.a_group))),
        ]

        row_mask = Const(-1, tile) if self._skip == "none" else words(self.a_masks, tile)[a.slot]
        m.d.comb += remaining.eq(Mux(resumed, rest, row_mask))
        for k in range(tile):
            there = b_complete | (self.b_partial & (self.b_end.group > k // self._rows))
            m.d.comb += usable[k].eq(remaining[k] & active & there)
        taken = self._offer(m, usable)

        m.d.comb += [
            left.eq(remaining & ~taken),
            finish.eq(active & a_complete & b_complete & ~left.any() & (~step.last | (self.started & ~begins))),
            self.lacking.eq((self.steps_position != self.steps_end) & ~self.offer[0] & ~(a_complete & b_complete)),
        ]
        m.d.sync += begins.eq(finish & step.last)
        with m.If(active):
            m.d.sync += [resumed.eq(~finish), rest.eq(left)]
        with m.If(finish):
            m.d.sync += [self.steps_position.eq(self.steps_position + 1), self.output.eq(self.output ^ step.last)]
            for place, release in ((a, step.a_release), (b, step.b_release)):
                with m.If(release):
                    next_slot(m, place, self._slots)

        for entry in self.entry:
            m.d.comb += [
                entry.psum.eq(step.psum), entry.lap.eq(b.lap), entry.release.eq(step.b_release), entry.output.eq(self.output),
            ]
        return m

    def _offer(self, m, usable):
        """Offer the lowest ones of `usable`; returns the ones that are taken, as a mask."""
        taken = Const(0, self._tile)
        index = range(self._tile)
        for n in range(self._entries):
            k = Signal(index, name=f"k_{n}")
            above = Signal(self._tile, name=f"above_{n}")
            with m.Switch(usable):
                for bit in index:
                    with m.Case("-" * (self._tile - 1 - bit) + "1" + "0" * bit):
                        m.d.comb += k.eq(bit)
            entry = self.entry[n]
            m.d.comb += [
                above.eq(usable & (usable - 1)),
                self.offer[n].eq(usable.any()),
                entry.row.eq(Cat(k, self.b_position.slot)),
                entry.a.eq(words(self.a_values, self._width)[Cat(k, self.a_position.slot)]),
                self.pending[n].eq(self._mask(m, n, entry.row) if self._skip == "both" else 1),
            ]
            taken = taken | Mux(self.room[n], usable & ~above, 0)
            usable = above
        return taken

    def _mask(self, m, n, row):
        """Row `row` of B's mask, for entry `n`."""
        if not self._ram:
            return words(self.b_masks, self._tile)[row]
        bits = []
        for c, column in enumerate(self.b_writes):
            m.submodules[f"mask_{n}_{c}"] = copy = Memory(shape=1, depth=self._slots * self._tile, init=[])
            write, read = copy.write_port(), copy.read_port(domain="comb")
            m.d.comb += [
                write.en.eq(column.enable), write.addr.eq(column.row), write.data.eq(column.mask), read.addr.eq(row),
            ]
            bits.append(read.data)
        return Cat(bits)
