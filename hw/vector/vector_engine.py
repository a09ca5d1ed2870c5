"""The vector engine: hands tile rows of SOFTMAX and LAYERNORM instructions to the row-streaming units."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .. import isa
from ..arithmetic import tree_sum
from ..buffer.tile_reader import TileReader, read_port
from ..control.errors import ENGINE_CODE, ErrorCode
from ..layout import LINE_ADDRESS_BITS, SLOT_BITS, line_layout, tile_write
from .layernorm_unit import LayerNormUnit
from .softmax_unit import SoftmaxUnit

__all__ = ["VectorEngine"]

_SOFTMAX = isa.layout(isa.Opcode.SOFTMAX)
_LAYERNORM = isa.layout(isa.Opcode.LAYERNORM)


class VectorEngine(wiring.Component):
    """Runs one instruction at a time; its tile rows go to the units in turn.

    Parameters
    ----------
    config : AcceleratorConfig

    Members
    -------
    instruction : In(stream(512)); done : Out(1) pulse per finished instruction
    error : Out({valid, code})
    read : Out(read_port), one per operand: x of each softmax unit, then x and residual of each layer-norm unit,
        named ``read_0`` ...
    line_request, line : streams to the vector buffer, one per layer-norm unit
    write : Out(stream(tile_write)).array(units)
    curve, tau : threshold look-up
    busy, stalled : Out(1)
    unit_busy : Out(units), softmax units first
    """

    def __init__(self, *, config):
        self._config = c = config
        size = {"tile": c.tile, "width": c.width, "lines_per_beat": c.lines_per_beat}
        self._size = size
        self.units = c.softmax_units + c.layernorm_units
        self.readers = c.softmax_units + 2 * c.layernorm_units
        super().__init__({
            "instruction": In(stream.Signature(512)), "done": Out(1),
            "error": Out(data.StructLayout({"valid": 1, "code": 4})),
            **{f"read_{n}": Out(read_port(**size, lanes=1)) for n in range(self.readers)},
            "line_request": Out(stream.Signature(LINE_ADDRESS_BITS)).array(c.layernorm_units),
            "line": In(stream.Signature(line_layout(c.tile, c.width))).array(c.layernorm_units),
            "write": Out(stream.Signature(tile_write(**size))).array(self.units),
            "curve": Out(6), "tau": In(c.width - 1),
            "busy": Out(1), "stalled": Out(1), "unit_busy": Out(self.units),
        })

    def elaborate(self, platform):
        m = Module()
        c = self._config
        softmax_units = [SoftmaxUnit(**self._size) for _ in range(c.softmax_units)]
        layernorm_units = [LayerNormUnit(**self._size, max_inner=c.max_inner) for _ in range(c.layernorm_units)]
        self._connect_units(m, softmax_units, layernorm_units)
        units = (*softmax_units, *layernorm_units)

        word = Signal(512, reset_less=True)
        softmax, layernorm = data.View(_SOFTMAX, word), data.View(_LAYERNORM, word)
        is_softmax = softmax.opcode == int(isa.Opcode.SOFTMAX)
        tau = Signal(c.width - 1, reset_less=True)
        row = Signal(12)
        slots = {name: Signal(SLOT_BITS, name=f"{name}_slot", reset_less=True) for name in ("x", "r", "o")}
        m.d.comb += self.curve.eq(Mux(is_softmax, softmax.curve, layernorm.curve))
        offers = self._commands(m, softmax_units, layernorm_units, softmax, layernorm, slots, tau)

        outstanding = Signal(range(len(units) * 8 + 1))
        started, finished = Signal(), Signal(range(len(units) + 1))
        m.d.comb += finished.eq(tree_sum([unit.done for unit in units]))
        m.d.sync += outstanding.eq(outstanding + started - finished)
        rows = Mux(is_softmax, softmax.rows, layernorm.rows)
        turn = Signal(range(max(c.softmax_units, c.layernorm_units)))

        with m.FSM(name="phase") as phase:
            with m.State("IDLE"):
                m.d.comb += self.instruction.ready.eq(1)
                with m.If(self.instruction.valid):
                    m.d.sync += word.eq(self.instruction.payload)
                    m.next = "START"
            with m.State("START"):
                m.d.sync += [
                    tau.eq(self.tau), row.eq(0), turn.eq(0),
                    slots["x"].eq(Mux(is_softmax, softmax.x_slot, layernorm.x_slot)),
                    slots["r"].eq(layernorm.r_slot),
                    slots["o"].eq(Mux(is_softmax, softmax.o_slot, layernorm.o_slot)),
                ]
                m.next = "CHECK"
            with m.State("CHECK"):
                with m.If(~self._faults(m, is_softmax, softmax, layernorm, slots)):
                    m.next = "OFFER"
            with m.State("OFFER"):
                chosen = self._offer(m, is_softmax, turn, offers)
                with m.If(chosen):
                    m.d.comb += started.eq(1)
                    m.d.sync += [
                        row.eq(row + 1),
                        turn.eq(Mux(turn == Mux(is_softmax, c.softmax_units, c.layernorm_units) - 1, 0, turn + 1)),
                        slots["x"].eq(slots["x"] + Mux(is_softmax, softmax.x_pitch, layernorm.x_pitch)),
                        slots["r"].eq(slots["r"] + layernorm.r_pitch),
                        slots["o"].eq(slots["o"] + Mux(is_softmax, softmax.o_pitch, layernorm.o_pitch)),
                    ]
                    m.next = "CHECK"
                    with m.If(row + 1 == rows):
                        m.next = "DRAIN"
            with m.State("DRAIN"):
                with m.If(outstanding == 0):
                    m.d.comb += self.done.eq(1)
                    m.next = "IDLE"
        moved = Cat(w.valid & w.ready for w in self.write).any()
        m.d.comb += [
            self.busy.eq(~phase.ongoing("IDLE")),
            self.stalled.eq(self.busy & ~moved & ~self.unit_busy.any()),
            self.unit_busy.eq(Cat(unit.busy for unit in units)),
        ]
        return m

    def _connect_units(self, m, softmax_units, layernorm_units):
        """Readers, vector lines and writes of each unit."""
        port = 0

        def reader(name, request, tiles):
            nonlocal port
            m.submodules[name] = component = TileReader(**self._size, lanes=1)
            m.d.comb += [
                component.request.valid.eq(request.valid),
                component.request.payload.slots[0].eq(request.payload),
                component.request.payload.active.eq(1),
                request.ready.eq(component.request.ready),
            ]
            connect(m, component.o[0], tiles)
            connect(m, component.port, flipped(getattr(self, f"read_{port}")))
            port += 1

        for n, unit in enumerate(softmax_units):
            m.submodules[f"softmax_{n}"] = unit
            reader(f"softmax_x_{n}", unit.x_request, unit.x)
            connect(m, unit.o, flipped(self.write[n]))
        for n, unit in enumerate(layernorm_units):
            m.submodules[f"layernorm_{n}"] = unit
            reader(f"layernorm_x_{n}", unit.x_request, unit.x)
            reader(f"layernorm_r_{n}", unit.r_request, unit.r)
            connect(m, unit.vector_request, flipped(self.line_request[n]))
            connect(m, flipped(self.line[n]), unit.vector)
            connect(m, unit.o, flipped(self.write[len(softmax_units) + n]))

    def _commands(self, m, softmax_units, layernorm_units, softmax, layernorm, slots, tau):
        """Every unit sees its kind's fields; the ones that differ by tile row come from `slots`."""
        for units, fields in ((softmax_units, softmax), (layernorm_units, layernorm)):
            for unit in units:
                command = unit.command.payload
                for name in command.shape().members:
                    source = slots[name[0]] if name in ("x_slot", "r_slot", "o_slot") else (
                        tau if name == "tau" else fields[name])
                    m.d.comb += command[name].eq(source)
        return softmax_units, layernorm_units

    def _offer(self, m, is_softmax, turn, offers):
        """Offer the command to the unit whose turn it is; high when it is taken."""
        taken = Const(0, 1)
        for units, kind in zip(offers, (is_softmax, ~is_softmax), strict=True):
            for n, unit in enumerate(units):
                valid = kind & (turn == n)
                m.d.comb += unit.command.valid.eq(valid)
                taken = taken | (valid & unit.command.ready)
        return taken

    def _faults(self, m, is_softmax, softmax, layernorm, slots):
        """Report an address outside a buffer or a field without meaning; high if there is one."""
        c = self._config
        columns = Mux(is_softmax, softmax.columns, layernorm.columns)
        slot_fault = Cat(
            slots["x"] + columns > c.activation_tiles,
            slots["o"] + columns > c.activation_tiles,
            ~is_softmax & layernorm.residual & (slots["r"] + columns > c.activation_tiles),
        ).any()
        line_fault = ~is_softmax & (
            (layernorm.gamma_line + columns > c.vector_lines) | (layernorm.beta_line + columns > c.vector_lines)
        )
        field_fault = (columns == 0) | Mux(
            is_softmax,
            (softmax.rows == 0) | (softmax.valid_columns == 0) | (softmax.valid_columns > columns * c.tile),
            layernorm.rows == 0,
        )
        for fault, code in (
            (slot_fault, ErrorCode.SLOT_RANGE), (line_fault, ErrorCode.LINE_RANGE), (field_fault, ErrorCode.ENGINE_FIELD),
        ):
            with m.If(fault):
                m.d.comb += [self.error.valid.eq(1), self.error.code.eq(code - ENGINE_CODE)]
        return slot_fault | line_fault | field_fault
