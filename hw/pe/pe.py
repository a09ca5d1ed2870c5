"""A processing element: packed operand tiles in, packed output tiles out."""

from amaranth.hdl import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..layout import pe_output, pe_step, tile_beat
from ..post_process.post_process import PostProcess
from ..registered_reset import registered_reset
from ..spec.widths import TAG_BITS
from ..streams.stream_queue import StreamQueue
from .pe_core import PECore, lost_layout
from .tile_fifo import TileFifo

__all__ = ["PE"]


class PE(wiring.Component):
    """T lanes of T multipliers with their operand FIFOs, post-process and compressor.

    Every port begins or ends in a register or FIFO, so that a PE can be built, simulated and placed as a block of its own.
    The reset takes effect one cycle later, and lasts `Mac.latency` cycles at least: the stages of a multiplier have none.

    Parameters
    ----------
    form : PEFormat

    Members
    -------
    a, b : In(stream(tile_beat)), operand tiles
    step : In(stream(pe_step)), one per pair of tiles
    command : In(stream(pe_command)), one per output tile
    o : Out(stream(pe_output)), writes of output tiles to the activation buffer
    fired : Out, multiplications done, two cycles after they were picked
    lost : Out(lost_layout(tile)), why the others were not
    busy : Out(1), some lane works
    """

    def __init__(self, *, form):
        self._form, self._step = form, pe_step(form.psum_tiles)
        super().__init__({
            "a": In(stream.Signature(tile_beat(**form.size))),
            "b": In(stream.Signature(tile_beat(**form.b_size))),
            "step": In(stream.Signature(self._step)),
            "command": In(stream.Signature(form.command)),
            "o": Out(stream.Signature(pe_output(**form.size))),
            "fired": Out(range(form.tile**2 + 1)),
            "lost": Out(lost_layout(form.tile)),
            "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.logic = registered_reset(m, "pe")(self._logic(platform))
        return m

    def _logic(self, platform):
        m, form = Module(), self._form

        # Operands wait in FIFOs of two tiles, so that PEs on one multicast stream drift apart without stalling it.
        m.submodules.core = core = PECore(form=form)
        for name, size, port, operand in (("a_fifo", form.size, self.a, core.a), ("b_fifo", form.b_size, self.b, core.b)):
            m.submodules[name] = fifo = TileFifo(**size)
            connect(m, flipped(port), fifo.i)
            connect(m, fifo.o, operand)
        m.submodules.steps = steps = StreamQueue(shape=self._step, depth=4)
        connect(m, flipped(self.step), steps.i)
        connect(m, steps.o, core.step)
        m.d.comb += [self.fired.eq(core.fired), self.lost.eq(core.lost), self.busy.eq(core.busy)]

        # Finished rows are requantised, pruned and packed; tag and discard follow each tile to its writes.
        m.submodules.post = post = PostProcess(
            **form.size, scale_bits=form.scale_bits, accumulator_width=form.accumulator_width, functions=form.functions,
            skid=form.skid,
        )
        m.submodules.commands = commands = StreamQueue(shape=form.command, depth=2)
        m.submodules.tags = tags = StreamQueue(
            shape=data.StructLayout({"tag": TAG_BITS, "discard": 1}), depth=4
        )
        connect(m, flipped(self.command), commands.i)
        connect(m, core.o, post.i)
        m.d.comb += [
            post.command.valid.eq(commands.o.valid & tags.i.ready),
            post.command.payload.eq(commands.o.payload.post),
            tags.i.valid.eq(commands.o.valid & post.command.ready),
            tags.i.payload.tag.eq(commands.o.payload.tag),
            tags.i.payload.discard.eq(commands.o.payload.discard),
            commands.o.ready.eq(post.command.ready & tags.i.ready),
        ]
        # A finished word waits for its write port while the next is collected.
        m.submodules.words = words = StreamQueue(
            shape=pe_output(**form.size), depth=2 if form.lines_per_beat == 1 else 1
        )
        connect(m, words.o, flipped(self.o))
        m.d.comb += [
            words.i.valid.eq(post.o.valid & ~tags.o.payload.discard),
            words.i.payload.write.eq(post.o.payload),
            words.i.payload.tag.eq(tags.o.payload.tag),
            post.o.ready.eq(words.i.ready | tags.o.payload.discard),
            tags.o.ready.eq(post.o.valid & post.o.ready & post.o.payload.last),
        ]
        return m
