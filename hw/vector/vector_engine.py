"""The vector engine: hands tile rows of SOFTMAX and LAYERNORM instructions to the row-streaming units."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..buffer.tile_reader import TileReader, read_port
from ..instruction_layout import layout
from ..layout import tile_write, vector_line, vector_values
from ..shared_module import instantiate
from ..spec import isa
from ..spec.widths import LINE_ADDRESS_BITS
from ..streams.skid_buffer import skidded
from ..streams.stream_queue import StreamQueue
from .layernorm_unit import LayerNormUnit, layernorm_command
from .row_sequencer import RowSequencer, timed_instruction
from .softmax_unit import SoftmaxUnit, softmax_command

__all__ = ["VectorEngine"]

_IN_FLIGHT = 8
_KINDS = ("softmax", "layernorm")


class VectorEngine(wiring.Component):
    """A row sequencer for each kind of instruction, so that softmax, layer-norm and the instructions of one kind overlap.

    Instructions wait in a queue of two in front of their sequencer. They are reported in order, whatever their kind.

    Parameters
    ----------
    config : AcceleratorConfig

    Members
    -------
    instruction : In(stream(512)); done : Out(1) pulse per finished instruction, in order
    error : Out({valid, code}), held, once every instruction before the faulty one is done
    read : Out(read_port), one per operand: x of each softmax unit, then x and residual of each slice of each layer-norm
        unit, named ``read_0`` ...
    line_request, line : streams to the vector buffer, one per slice of each layer-norm unit
    write : Out(stream(tile_write)), one per softmax unit, then one per slice of each layer-norm unit
    curve, tau : threshold look-up
    busy, stalled : Out(1)
    unit_busy : Out(units), softmax units first
    """

    def __init__(self, *, config):
        self._config = c = config
        size = {"tile": c.tile, "width": c.width, "lines_per_beat": c.lines_per_beat}
        self._size = size
        self.units = c.softmax_units + c.layernorm_units
        slices = c.layernorm_units * c.layernorm_slices
        self.readers, self.writers = c.vector_readers, c.softmax_units + slices
        super().__init__({
            "instruction": In(stream.Signature(512)), "done": Out(1),
            "error": Out(data.StructLayout({"valid": 1, "code": 4})),
            **{f"read_{n}": Out(read_port(**size, lanes=1)) for n in range(self.readers)},
            "line_request": Out(stream.Signature(LINE_ADDRESS_BITS)).array(slices),
            "line": In(stream.Signature(vector_line(c.tile, c.width, c.scale_bits))).array(slices),
            "write": Out(stream.Signature(tile_write(**size))).array(self.writers),
            "curve": Out(6), "tau": In(c.width - 1),
            "busy": Out(1), "stalled": Out(1), "unit_busy": Out(self.units),
        })

    def elaborate(self, platform):
        m = Module()
        c = self._config
        softmax_units = [instantiate(m, platform, f"softmax_{n}", SoftmaxUnit, **self._size)
                         for n in range(c.softmax_units)]
        layernorm_units = [instantiate(m, platform, f"layernorm_{n}", LayerNormUnit, **self._size, max_inner=c.max_inner,
                                       slices=c.layernorm_slices) for n in range(c.layernorm_units)]
        self._connect_units(m, platform, softmax_units, layernorm_units)
        units = (*softmax_units, *layernorm_units)

        common = {"width": c.width, "tile": c.tile, "activation_tiles": c.activation_tiles, "vector_lines": c.vector_lines}
        sequencers = (
            RowSequencer(opcode=isa.Opcode.SOFTMAX, command=softmax_command(c.width), units=c.softmax_units, **common),
            RowSequencer(opcode=isa.Opcode.LAYERNORM, command=layernorm_command(c.width), units=c.layernorm_units, **common),
        )
        for name, sequencer, group in zip(_KINDS, sequencers, (softmax_units, layernorm_units), strict=True):
            m.submodules[f"{name}_sequencer"] = sequencer
            m.d.comb += sequencer.finished.eq(Cat(unit.done for unit in group))
            for n, unit in enumerate(group):
                connect(m, sequencer.command[n], unit.command)

        m.submodules.order = order = StreamQueue(shape=1, depth=_IN_FLIGHT)
        holding = self._accept(m, order, sequencers)
        self._retire(m, order, sequencers)
        moved = Cat(w.valid & w.ready for w in self.write).any()
        m.d.comb += [
            self.busy.eq(holding | order.o.valid),
            self.stalled.eq(self.busy & ~moved & ~self.unit_busy.any()),
            self.unit_busy.eq(Cat(unit.busy for unit in units)),
        ]
        return m

    def _accept(self, m, order, sequencers):
        """Take an instruction, look its threshold up, and queue it for its sequencer."""
        c = self._config
        word, holding, known = Signal(512, reset_less=True), Signal(), Signal()
        opcodes = (isa.Opcode.SOFTMAX, isa.Opcode.LAYERNORM)
        is_norm = data.View(layout(opcodes[1]), word).opcode == int(opcodes[1])
        tau = Signal(c.width - 1, reset_less=True)
        passed = Signal()
        m.d.comb += [
            self.instruction.ready.eq(~holding & order.i.ready),
            order.i.valid.eq(passed), order.i.payload.eq(is_norm),
            self.curve.eq(Mux(is_norm, data.View(layout(opcodes[1]), word).curve,
                              data.View(layout(opcodes[0]), word).curve)),
        ]
        with m.If(self.instruction.valid & self.instruction.ready):
            m.d.sync += [word.eq(self.instruction.payload), holding.eq(1), known.eq(0)]
        with m.If(holding):
            m.d.sync += [known.eq(1), tau.eq(self.tau)]
        with m.If(passed):
            m.d.sync += holding.eq(0)
        for number, (name, opcode, sequencer) in enumerate(zip(_KINDS, opcodes, sequencers, strict=True)):
            shape = timed_instruction(opcode, c.width)
            m.submodules[f"{name}_queue"] = queue = StreamQueue(shape=shape, depth=2)
            m.d.comb += [
                queue.i.valid.eq(holding & known & (is_norm == number)),
                queue.i.payload.instruction.eq(word), queue.i.payload.tau.eq(tau),
            ]
            with m.If(queue.i.valid & queue.i.ready):
                m.d.comb += passed.eq(1)
            connect(m, queue.o, sequencer.i)
        return holding

    def _retire(self, m, order, sequencers):
        """Report instructions, and an error, in order."""
        finished = [Signal(range(_IN_FLIGHT + 1), name=f"{name}_finished") for name in _KINDS]
        for number, (sequencer, count) in enumerate(zip(sequencers, finished, strict=True)):
            oldest = order.o.valid & (order.o.payload == number)
            retire = oldest & (count != 0)
            m.d.sync += count.eq(count + sequencer.done - retire)
            with m.If(retire):
                m.d.comb += [self.done.eq(1), order.o.ready.eq(1)]
            with m.If(oldest & (count == 0) & sequencer.fault.valid):
                m.d.comb += self.error.eq(sequencer.fault)

    def _connect_units(self, m, platform, softmax_units, layernorm_units):
        """Readers, vector lines and writes of each unit."""
        port = 0

        def reader(name, request, tiles):
            nonlocal port
            component = instantiate(m, platform, name, TileReader, **self._size, lanes=1, latency=self._config.buffer_latency)
            m.d.comb += [
                component.request.valid.eq(request.valid),
                component.request.payload.slots[0].eq(request.payload),
                component.request.payload.active.eq(1),
                request.ready.eq(component.request.ready),
            ]
            connect(m, skidded(m, component.o[0], self._config.long_wires, f"{name}_skid"), tiles)
            connect(m, component.port, flipped(getattr(self, f"read_{port}")))
            port += 1

        for n, unit in enumerate(softmax_units):
            reader(f"softmax_x_{n}", unit.x_request, unit.x)
            connect(m, unit.o, flipped(self.write[n]))
        for n, unit in enumerate(layernorm_units):
            for piece in range(len(unit.x)):
                reader(f"layernorm_x_{n}_{piece}", unit.x_request[piece], unit.x[piece])
                reader(f"layernorm_r_{n}_{piece}", unit.r_request[piece], unit.r[piece])
                number = n * len(unit.x) + piece
                connect(m, unit.vector_request[piece], flipped(self.line_request[number]))
                line, vector = self.line[number], unit.vector[piece]
                m.d.comb += [
                    vector.valid.eq(line.valid), vector.payload.eq(vector_values(line.payload)), line.ready.eq(vector.ready),
                ]
                connect(m, unit.o[piece], flipped(self.write[len(softmax_units) + number]))
