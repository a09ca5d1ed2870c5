"""A processing element: packed operand tiles in, packed output tiles out."""

from amaranth.hdl import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..layout import pe_command, pe_output, pe_step, tile_beat
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
    The reset takes effect one cycle later.

    Parameters
    ----------
    tile, width, accumulator_width, lines_per_beat, skip, window, operand_slots, psum_tiles, b_memory,
        functions : see AcceleratorConfig
    skid : whether finished rows and packed lines that are refused wait in skid buffers, so that no stall crosses the PE

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

    def __init__(self, *, tile, width, accumulator_width, lines_per_beat, skip, window, operand_slots, psum_tiles,
                 b_memory, functions, skid=False):
        self._tile, self._width, self._lines = tile, width, lines_per_beat
        self._accumulator_width, self._functions = accumulator_width, functions
        self._core = {"skip": skip, "window": window, "operand_slots": operand_slots, "psum_tiles": psum_tiles,
                      "b_memory": b_memory}
        self._skid = skid
        self._step = pe_step(psum_tiles)
        beat = stream.Signature(tile_beat(tile, width, lines_per_beat))
        super().__init__({
            "a": In(beat), "b": In(beat),
            "step": In(stream.Signature(self._step)),
            "command": In(stream.Signature(pe_command(tile, width))),
            "o": Out(stream.Signature(pe_output(tile, width, lines_per_beat))),
            "fired": Out(range(tile * tile + 1)),
            "lost": Out(lost_layout(tile)),
            "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.logic = registered_reset(m, "pe")(self._logic(platform))
        return m

    def _logic(self, platform):
        m = Module()
        size = {"tile": self._tile, "width": self._width, "lines_per_beat": self._lines}

        # Operands wait in FIFOs of two tiles, so that PEs on one multicast stream drift apart without stalling it.
        m.submodules.core = core = PECore(**size, accumulator_width=self._accumulator_width, skid=self._skid, **self._core)
        for name, port, operand in (("a_fifo", self.a, core.a), ("b_fifo", self.b, core.b)):
            m.submodules[name] = fifo = TileFifo(**size)
            connect(m, flipped(port), fifo.i)
            connect(m, fifo.o, operand)
        m.submodules.steps = steps = StreamQueue(shape=self._step, depth=4)
        connect(m, flipped(self.step), steps.i)
        connect(m, steps.o, core.step)
        m.d.comb += [self.fired.eq(core.fired), self.lost.eq(core.lost), self.busy.eq(core.busy)]

        # Finished rows are requantised, pruned and packed; tag and discard follow each tile to its writes.
        m.submodules.post = post = PostProcess(
            **size, accumulator_width=self._accumulator_width, functions=self._functions, skid=self._skid
        )
        m.submodules.commands = commands = StreamQueue(shape=pe_command(self._tile, self._width), depth=2)
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
            shape=pe_output(self._tile, self._width, self._lines), depth=2 if self._lines == 1 else 1
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
