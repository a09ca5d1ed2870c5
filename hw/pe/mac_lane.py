"""One lane of a PE: a row of A against all of B."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..arithmetic import popcount
from ..shared_module import instantiate
from .lane_ports import connect_lane, lane_ports
from .mac import Mac
from .precompute_sparsity import PrecomputeSparsity
from .ring import ring_position

__all__ = ["LOST", "MacLane"]

LOST = data.StructLayout({"operands": 1, "output": 1, "idle": 1})
"""Why the multipliers of a lane that did not fire in a cycle did not, at most one bit: it waits for operands; a hold register
has not been read; it has no work. With none of them, the work of the lane does not fill all its multipliers."""


class MacLane(wiring.Component):
    """`PrecomputeSparsity` and the T MACs it feeds, one per column of the output tile.

    Parameters
    ----------
    form : LaneFormat

    Members
    -------
    steps ... b_masks or b_writes : as in `lane_ports`
    a_progress, b_progress : as in `PrecomputeSparsity`
    b_values : In, every column of B, all slots, as from `OperandSlots`; with `b_memory` "registers"
    row : Out, the finished row of the output tile, while `row_valid`
    row_valid : Out(1), all MACs hold their element
    row_taken : In(1), the row has been read; only with `row_valid`
    fired : Out(range(tile + 1)), multiplications; registered, one cycle after the picks
    lost : Out(LOST), why the others of the T multipliers did not fire, together with `fired`
    working : as in `PrecomputeSparsity`
    """

    def __init__(self, *, form):
        self._form, self._tile = form, form.tile
        self._mac = {"width": form.width, "b_width": form.b_width, "accumulator_width": form.accumulator_width,
                     "rows": form.rows, "psum_tiles": form.psum_tiles, "b_memory": form.b_memory}
        position = ring_position(form.tile, form.group_rows, form.slots)
        super().__init__({
            **lane_ports(form),
            **({} if form.in_ram else {"b_values": In(form.rows * form.tile * form.b_width)}),
            "a_progress": Out(position),
            "b_progress": Out(position),
            "row": Out(form.tile * form.accumulator_width),
            "row_valid": Out(1),
            "row_taken": In(1),
            "fired": Out(range(form.tile + 1)),
            "lost": Out(LOST),
            "working": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.sparsity = sparsity = PrecomputeSparsity(form=self._form)
        connect_lane(m, self, sparsity)
        for name in ("a_progress", "b_progress", "working"):
            m.d.comb += getattr(self, name).eq(getattr(sparsity, name))

        picks = list(sparsity.picks)
        for j in range(self._tile):
            mac = instantiate(m, platform, f"mac_{j}", Mac, **self._mac)
            m.d.comb += [
                mac.pick.eq(picks[j % len(picks)]),
                mac.write.eq(self.b_writes[j]) if self._form.in_ram else
                mac.column.eq(self.b_values.word_select(j, len(mac.column))),
                self.row.word_select(j, len(mac.hold)).eq(mac.hold),
            ]

        settled = Signal(Mac.latency)
        m.d.sync += settled.eq(Mux(self.row_taken, 0, Cat(sparsity.full, settled)))
        m.d.comb += [self.row_valid.eq(settled[-1]), sparsity.drained.eq(self.row_taken)]

        fires = Cat(pick.fire for pick in picks)
        waiting = Signal(LOST)  # With the picks.
        m.d.sync += [
            waiting.operands.eq(sparsity.starved),
            waiting.output.eq(sparsity.blocked & ~sparsity.starved),
            waiting.idle.eq(~(sparsity.working | sparsity.blocked)),
            self.fired.eq(popcount(fires) * (self._tile // len(picks))),
            self.lost.eq(waiting),
        ]
        return m
