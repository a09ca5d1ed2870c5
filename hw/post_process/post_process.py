"""Post-process of a PE: from rows of exact sums to packed tiles in the buffer."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..interpolator import Interpolator
from ..layout import post_command, tile_write, vector_values
from ..spec.activations import ACTIVATIONS, function_format
from ..spec.isa import Function
from ..spec.shifts import FUNCTION_SHIFTS, SHIFTS
from ..streams.stream_queue import StreamQueue
from .activation_function import ActivationFunction
from .compressor import Compressor
from .dynatran import DynaTran
from .requantise import Requantise

__all__ = ["PostProcess"]


class PostProcess(wiring.Component):
    """Bias, shift, activation function, shift, DynaTran and compression, one row per cycle.

    The golden function is `sw.golden.post_process.post_process` on the rows, then `sw.golden.tiles.pack_tile`.

    Stages: add the bias | shift to the table's binary point (to the result, without one) | table, `Interpolator.latency`
    stages | add what the table gives | shift to the result | prune, queue of two | count | place. GeLU and tanh share
    their multipliers; the widths after the first shift are those of `function_format` with tables and W without, where
    the stages from table to second shift are not built either.

    A command is taken while none is held or as the last row of its predecessor is, one cycle ahead of its first row;
    so tiles follow each other without a gap when commands are early. Its bias is shifted on the way into the register.
    The pipeline has one enable: it stops while two pruned rows wait for the compressor, so that ``i.ready`` comes from
    registers. Combinational paths between ports: ``i``'s ``valid`` and ``last`` to ``command.ready``.

    Parameters
    ----------
    tile : T
    width : bits of a value, W
    scale_bits : of the scale of a column, by which the sums of narrow weights have more fraction bits than those of others
    accumulator_width : bits of a sum, bias included
    lines_per_beat : lines in a buffer word
    functions : those to build, of "relu", "gelu", "tanh"
    skid : of the compressor

    Members
    -------
    i : In(stream), ``row`` of T sums, ``last`` on row T-1 of a tile
    command : In(stream(post_command)), one per tile
    o : Out(stream(tile_write)), see `Compressor`

    Attributes
    ----------
    latency : enabled cycles from a row at `i` to the compressor; a write appears two cycles later
    """

    def __init__(self, *, tile, width, accumulator_width, lines_per_beat, functions, scale_bits=0, skid=False):
        self._scaled = bool(scale_bits)
        self._tile, self._width, self._accumulator_width = tile, width, accumulator_width
        self._lines_per_beat = lines_per_beat
        self._tables = [Function(entry.code) for entry in ACTIVATIONS if entry.tail and entry.name in functions]
        self._functions, self._skid = tuple(functions), skid
        self.latency = 3 + (Interpolator.latency + 2 if self._tables else 0)
        super().__init__({
            "i": In(stream.Signature(data.StructLayout({
                "row": data.ArrayLayout(signed(accumulator_width), tile), "last": 1,
            }))),
            "command": In(stream.Signature(post_command(tile, width, scale_bits))),
            "o": Out(stream.Signature(tile_write(tile, width, lines_per_beat))),
        })

    def elaborate(self, platform):
        m = Module()
        last_stage = self.latency - 1
        enable = Signal()
        command, biases, valid, first, last = self._control(m, enable)

        def along(name, value, stage):
            """A parameter at `stage`: it follows the first row of its tile, the command stays for T rows."""
            if stage > self._tile:
                value = along(name, value, stage - self._tile)
            held = Signal(value.shape(), name=f"{name}_{stage}", reset_less=True)
            with m.If(enable & first[stage - 1]):
                m.d.sync += held.eq(value)
            return held

        is_table = Cat(command.function == f for f in self._tables).any()
        amounts = [along("amount", (command.shift - SHIFTS.start)[:7], 1)] * self._tile
        if self._scaled:
            amounts = [along(f"amount_{c}", _scaled_amount(command.shift, scale), 1)
                       for c, scale in enumerate(command.bias.scales)]
        function = along("function", command.function, 2)
        result_shift = Mux(is_table, command.function_shift, 0) - FUNCTION_SHIFTS.start
        result_amount = along("result_amount", result_shift[:6], last_stage - 1) if self._tables else None
        tau, slot = along("tau", command.tau, last_stage), along("slot", command.slot, last_stage)

        m.submodules.dynatran = dynatran = DynaTran(tile=self._tile, width=self._width)
        m.submodules.compressor = compressor = Compressor(
            tile=self._tile, width=self._width, lines_per_beat=self._lines_per_beat, skid=self._skid)
        for c in range(self._tile):
            m.d.comb += dynatran.i[c].eq(self._column(m, c, enable, biases[c], amounts[c], function, result_amount))
        m.submodules.rows = rows = StreamQueue(shape=compressor.i.payload.shape(), depth=2)
        m.d.comb += [
            dynatran.tau.eq(tau),
            rows.i.payload.row.eq(dynatran.o), rows.i.payload.slot.eq(slot), rows.i.payload.last.eq(last[last_stage]),
            rows.i.valid.eq(valid[last_stage]),
            enable.eq(~valid[last_stage] | rows.i.ready),
        ]
        connect(m, rows.o, compressor.i)
        connect(m, compressor.o, flipped(self.o))
        return m

    def _control(self, m, enable):
        """Hold the command of the tile that enters, its bias shifted; follow the rows, in lists over the stages."""
        command, held, start = Signal.like(self.command.payload, name="held", reset_less=True), Signal(), Signal(init=1)
        taken = Signal()
        m.d.comb += [
            self.i.ready.eq(held & enable),
            taken.eq(self.i.valid & self.i.ready),
            self.command.ready.eq(~held | (taken & self.i.payload.last)),
        ]
        with m.If(self.command.ready):
            m.d.sync += held.eq(self.command.valid)
        width = self._accumulator_width
        biases = [Signal(signed(width), name=f"bias_{c}", reset_less=True) for c in range(self._tile)]
        with m.If(self.command.ready & self.command.valid):
            m.d.sync += command.eq(self.command.payload)
            given, shift = self.command.payload.bias, self.command.payload.bias_shift
            shifts = [shift + scale for scale in given.scales] if self._scaled else [shift] * self._tile
            for bias, value, shift in zip(biases, vector_values(given), shifts, strict=True):
                m.d.sync += bias.eq((value << shift)[:width])
        with m.If(taken):
            m.d.sync += start.eq(self.i.payload.last)

        stages = [(taken, taken & start, self.i.payload.last)]
        for n in range(1, self.latency):
            stage = tuple(Signal(name=f"{name}_{n}") for name in ("valid", "first", "last"))
            with m.If(enable):
                m.d.sync += [here.eq(before) for here, before in zip(stage, stages[-1], strict=True)]
            stages.append(stage)
        return command, biases, *zip(*stages, strict=True)

    def _column(self, m, c, enable, bias, amount, function, result_amount):
        """The arithmetic of one column, from the sum at the input to the unpruned result."""
        def stage(name, value, shape):
            register = Signal(shape, name=f"{name}_{c}", reset_less=True)
            with m.If(enable):
                m.d.sync += register.eq(value)
            return register

        wide, between = self._accumulator_width, function_format(self._width).bits
        total = stage("total", _long_sum(self.i.payload.row[c], bias), signed(wide + 1))

        scale = Requantise(input_width=wide + 1, output_width=between if self._tables else self._width,
                           left=-SHIFTS.start, right=SHIFTS.stop - 1)
        activation = ActivationFunction(width=self._width, functions=self._functions)
        m.submodules[f"scale_{c}"], m.submodules[f"activation_{c}"] = scale, activation
        m.d.comb += [
            scale.x.eq(total), scale.amount.eq(amount),
            activation.x.eq(stage("scaled", scale.o, scale.o.shape())),
            activation.code.eq(function),
            activation.enable.eq(enable),
        ]
        if not self._tables:
            return activation.o[:self._width].as_signed()

        result = Requantise(input_width=between, output_width=self._width,
                            left=-FUNCTION_SHIFTS.start, right=FUNCTION_SHIFTS.stop - 1)
        m.submodules[f"result_{c}"] = result
        m.d.comb += [result.x.eq(stage("activated", activation.o, activation.o.shape())), result.amount.eq(result_amount)]
        return stage("result", result.o, signed(self._width))


def _scaled_amount(shift, scale):
    """Amount for `Requantise` of a column: more than the longest shift leaves nothing of a sum either."""
    amount = shift + scale - SHIFTS.start
    return Mux(amount < len(SHIFTS), amount, len(SHIFTS) - 1)[:7]


def _long_sum(a, b):
    """Sum of two signed values of one width, the upper half for both carries: half the carry chain."""
    half = len(a) // 2
    low = a[:half] + b[:half]
    high = [a[half:].as_signed() + b[half:].as_signed() + carry for carry in (0, 1)]
    return Cat(low[:half], Mux(low[half], high[1][:len(a) - half + 1], high[0][:len(a) - half + 1])).as_signed()
