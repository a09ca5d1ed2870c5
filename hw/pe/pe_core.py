"""The core of a PE: operand tiles and steps in, rows of output tiles out."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..arithmetic import popcount, tree_sum
from ..layout import pe_step, tile_beat
from ..shared_module import instantiate
from ..streams.skid_buffer import skidded
from .expander import Expander
from .lane_ports import STEP_RING
from .mac_lane import MacLane
from .operand_slots import OperandSlots
from .operand_writer import OperandWriter

__all__ = ["PECore", "lost_layout"]


def lost_layout(tile):
    """Lost in a cycle: lanes that wait for operands (none of their multipliers fires), multipliers of lanes of which a hold
    register has not been read, lanes without work. The rest of the multipliers that do not fire are lost to imbalance.
    """
    return data.StructLayout({"operands": range(tile + 1), "output": range(tile * tile + 1), "idle": range(tile + 1)})


class PECore(wiring.Component):
    """T lanes of T MACs with sparse operands: C += A * B, a pair of T x T tiles per step, exact.

    Every lane goes its own way through the steps: nothing waits for the end of a tile. Lanes may be as far apart as the
    operand slots and the step ring allow, the MACs of a lane as far as its window, and across output tiles as far as one
    hold register per MAC. With dense operands and `operand_slots` of two or more, a step takes exactly T cycles, output
    tiles included.

    Throughput: see `skip`; at best T cycles per step with "none", ``tile / lines_per_beat`` cycles per new tile of B, as
    many per new tile of A that is dense, down to ``1 / psum_tiles`` of that (two at least) for a sparse one,
    T cycles per output tile. All input streams and the output stream may stall at any time.

    Parameters
    ----------
    form : PEFormat; with `skid`, a row that `o` refuses waits in a skid buffer, so that no lane depends on `o.ready`

    Members
    -------
    a, b : In(stream(tile_beat)), the operand tiles in the order of the steps; b with `transpose` is used transposed
    step : In(stream(pe_step)), a pair of tiles
    o : Out(stream), rows 0 to T-1 of each output tile; `last` with row T-1
    fired : Out(range(T*T + 1)), multiplications in a cycle; registered, two cycles after the picks
    lost : Out(lost_layout(tile)), why the others did not multiply, together with `fired`
    busy : Out(1), registered: some lane has work
    """

    def __init__(self, *, form):
        self._form, self._tile = form, form.tile
        # Up to psum_tiles steps share a tile of B, and each of them needs another of A.
        lines = form.lines_per_beat
        self._rows_per_beat = {"a": min(lines * form.psum_tiles, max(lines, form.tile // 2)), "b": lines}
        self._group_rows = lines
        self._sizes = {"a": form.size, "b": form.b_size}
        self._step = pe_step(form.psum_tiles)
        row = data.StructLayout({"row": data.ArrayLayout(signed(form.accumulator_width), form.tile), "last": 1})
        super().__init__({
            **{x: In(stream.Signature(tile_beat(**size))) for x, size in self._sizes.items()},
            "step": In(stream.Signature(self._step)),
            "o": Out(stream.Signature(row)),
            "fired": Out(range(form.tile**2 + 1)),
            "lost": Out(lost_layout(form.tile)),
            "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        slots = {}
        for x, rows in self._rows_per_beat.items():
            size = self._sizes[x]
            expander = instantiate(m, platform, f"expand_{x}", Expander, **size, rows_per_beat=rows)
            held = {"tile": self._tile, "width": size["width"], "slots": self._form.operand_slots}
            if x == "b" and self._form.lane.in_ram:
                slots[x] = OperandWriter(**held)
            else:
                slots[x] = OperandSlots(**held, rows_per_beat=rows, group_rows=self._group_rows, shared=x == "b")
            m.submodules[f"slots_{x}"] = slots[x]
            connect(m, flipped(getattr(self, x)), expander.i)
            connect(m, expander.o, slots[x].i)
        lanes = [instantiate(m, platform, f"lane_{i}", MacLane, form=self._form.lane) for i in range(self._tile)]
        steps, steps_end = self._queue_steps(m, lanes)
        for i, lane in enumerate(lanes):
            m.d.comb += [lane.steps.eq(steps), lane.steps_end.eq(steps_end)]
            self._feed(m, i, lane, slots["a"], slots["b"])
        self._drain(m, lanes)
        m.d.sync += [
            self.fired.eq(tree_sum(lane.fired for lane in lanes)),
            self.lost.operands.eq(popcount(Cat(lane.lost.operands for lane in lanes))),
            self.lost.output.eq(tree_sum(
                Mux(lane.lost.output, self._tile - lane.fired, 0)[:len(lane.fired)] for lane in lanes
            )),
            self.lost.idle.eq(popcount(Cat(lane.lost.idle for lane in lanes))),
            self.busy.eq(Cat(lane.working for lane in lanes).any()),
        ]
        return m

    def _queue_steps(self, m, lanes):
        """Ring of steps: a place is written again when every lane is past it."""
        ring = Signal(STEP_RING * self._step.size, reset_less=True)
        end = Signal(range(2 * STEP_RING))
        free = [end != lane.steps_position ^ STEP_RING for lane in lanes]
        m.d.comb += self.step.ready.eq(Cat(free).all())
        with m.If(self.step.valid & self.step.ready):
            m.d.sync += [ring.word_select(end[:-1], self._step.size).eq(self.step.payload), end.eq(end + 1)]
        return ring, end

    def _feed(self, m, i, lane, a, b):
        m.d.comb += [
            lane.a_group.eq(i // self._group_rows),
            lane.a_end.eq(a.frontier),
            lane.a_values.eq(a.values.word_select(i, len(lane.a_values))),
            a.progress[i].eq(lane.a_progress),
            lane.b_end.eq(b.frontier),
            b.progress[i].eq(lane.b_progress),
        ]
        if self._form.lane.in_ram:
            m.d.comb += [lane.b_partial.eq(1), *(here.eq(write) for here, write in zip(lane.b_writes, b.writes, strict=True))]
        else:
            m.d.comb += [lane.b_partial.eq(b.partial), lane.b_values.eq(b.values), lane.b_masks.eq(b.masks)]
        m.d.comb += lane.a_masks.eq(
            Cat(a.masks.word_select(s * self._tile + i, self._tile) for s in range(self._form.operand_slots))
        )

    def _drain(self, m, lanes):
        """Read the rows in order into the output register."""
        o, row = self.o, Signal(range(self._tile))
        read = stream.Signature(o.p.shape()).create(path=("read",))
        out = skidded(m, read, self._form.skid)
        valid, take = Cat(lane.row_valid for lane in lanes), Signal(self._tile)
        m.d.comb += [
            read.valid.eq((valid & (1 << row)).any()),
            read.p.row.eq(Array(lane.row for lane in lanes)[row]),
            read.p.last.eq(row == self._tile - 1),
            out.ready.eq(~o.valid | o.ready),
            take.eq((valid & (1 << row)) & read.ready.replicate(self._tile)),
            *(lane.row_taken.eq(take[i]) for i, lane in enumerate(lanes)),
        ]
        with m.If(take.any()):
            m.d.sync += row.eq(row + 1)
        with m.If(out.ready):
            m.d.sync += o.valid.eq(out.valid)
        with m.If(out.valid & out.ready):
            m.d.sync += o.p.eq(out.p)
