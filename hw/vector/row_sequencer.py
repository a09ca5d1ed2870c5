"""Hands the tile rows of one kind of vector instruction to the units of that kind."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..instruction_layout import layout
from ..matrix.completion_tracker import CompletionTracker
from ..spec import isa
from ..spec.error_codes import ENGINE_CODE, ErrorCode
from ..spec.widths import SLOT_BITS, TAG_BITS
from ..streams.stream_queue import StreamQueue

__all__ = ["RowSequencer", "timed_instruction"]

_SLOTS = ("x", "r", "o")
_HELD = 4


def timed_instruction(opcode, width):
    """A vector instruction with the threshold that its curve gives."""
    return data.StructLayout({"instruction": layout(opcode), "tau": width - 1})


class RowSequencer(wiring.Component):
    """Tile row after tile row, instruction after instruction, to units in turn; a row waits for the unit whose turn it is.

    Instructions follow each other without waiting for results: up to four are in work. A row is checked in one cycle and
    offered in the next ones. An address outside a buffer or a field without meaning stops the sequencer.

    Parameters
    ----------
    opcode : SOFTMAX or LAYERNORM
    width : W
    tile : T
    units : units of this kind
    command : layout of a unit's command; its fields are those of the instruction, the slots of the row, and `tau`
    activation_tiles, vector_lines : capacities, checked

    Members
    -------
    i : In(stream(timed_instruction)), instructions
    command : Out(stream(command)).array(units)
    finished : In(1).array(units), a unit is done with its oldest row
    done : Out(1), a pulse per instruction, in order, at least a cycle after its last row is finished
    fault : Out({valid, code}), held; only once every instruction before the faulty one is done
    """

    def __init__(self, *, opcode, width, tile, units, command, activation_tiles, vector_lines):
        self._opcode, self._width, self._tile, self._units = isa.Opcode(opcode), width, tile, units
        self._activation_tiles, self._vector_lines = activation_tiles, vector_lines
        super().__init__({
            "i": In(stream.Signature(timed_instruction(opcode, width))),
            "command": Out(stream.Signature(command)).array(units),
            "finished": In(units),
            "done": Out(1),
            "fault": Out(data.StructLayout({"valid": 1, "code": 4})),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.tracker = tracker = CompletionTracker(grid=1, ports=self._units)
        held = Signal(self.i.payload.shape(), reset_less=True)
        instruction = held.instruction
        row, turn = Signal(12), Signal(range(self._units))
        slots = {name: Signal(SLOT_BITS, name=f"{name}_slot", reset_less=True) for name in _SLOTS}
        self._commands(m, held, slots)
        taken = self._hand_out(m, tracker, turn)
        code = self._check(m, instruction, slots)
        in_work = Signal(range(2 * _HELD))
        m.d.sync += in_work.eq(in_work + tracker.open - tracker.done)
        m.d.comb += self.done.eq(tracker.done)

        with m.FSM(name="phase") as phase:
            with m.State("IDLE"):
                m.d.comb += [self.i.ready.eq(tracker.free), tracker.open.eq(self.i.valid & tracker.free)]
                with m.If(tracker.open):
                    m.d.sync += [held.eq(self.i.payload), row.eq(0)]
                    start = self.i.payload.instruction
                    m.d.sync += [slot.eq(start[f"{name}_slot"]) for name, slot in self._used(slots)]
                    m.next = "CHECK"
            with m.State("CHECK"):
                with m.If(code == 0):
                    m.next = "OFFER"
                with m.Else():
                    m.d.comb += [self.fault.valid.eq(in_work == 1), self.fault.code.eq(code - ENGINE_CODE)]
            with m.State("OFFER"):
                with m.If(taken):
                    m.d.comb += [tracker.issued.eq(1), tracker.close.eq(row + 1 == instruction.rows)]
                    m.d.sync += [row.eq(row + 1), turn.eq(Mux(turn == self._units - 1, 0, turn + 1))]
                    m.d.sync += [slot.eq(slot + instruction[f"{name}_pitch"]) for name, slot in self._used(slots)]
                    m.next = "CHECK"
                    with m.If(tracker.close):
                        m.next = "IDLE"
        m.d.comb += self._offering.eq(phase.ongoing("OFFER"))
        return m

    def _used(self, slots):
        names = layout(self._opcode).members
        return [(name, slot) for name, slot in slots.items() if f"{name}_slot" in names]

    def _commands(self, m, held, slots):
        for command in self.command:
            for name in command.payload.shape().members:
                source = slots[name[0]] if name in ("x_slot", "r_slot", "o_slot") else (
                    held.tau if name == "tau" else held.instruction[name])
                m.d.comb += command.payload[name].eq(source)

    def _hand_out(self, m, tracker, turn):
        """Offer the row to the unit whose turn it is, and note whose row it is; high when it is taken."""
        self._offering, taken = Signal(name="offering"), Signal(name="taken")
        for n, command in enumerate(self.command):
            m.submodules[f"rows_{n}"] = rows = StreamQueue(shape=TAG_BITS, depth=8)
            chosen = turn == n
            m.d.comb += [
                command.valid.eq(self._offering & chosen & rows.i.ready),
                rows.i.valid.eq(command.valid & command.ready),
                rows.i.payload.eq(tracker.tag),
                rows.o.ready.eq(self.finished[n]),
                tracker.written[n].eq(self.finished[n]),
                tracker.written_tag[n].eq(rows.o.payload),
            ]
            with m.If(rows.i.valid):
                m.d.comb += taken.eq(1)
        return taken

    def _check(self, m, instruction, slots):
        """The error code of the row, 0 for none."""
        code = Signal(5, name="error_code")
        norm = self._opcode is isa.Opcode.LAYERNORM
        columns = instruction.columns
        needed = [slots["x"], slots["o"]]
        outside = [slot + columns > self._activation_tiles for slot in needed]
        empty = (columns == 0) | (instruction.rows == 0)
        if norm:
            outside.append(instruction.residual & (slots["r"] + columns > self._activation_tiles))
        else:
            valid = instruction.valid_columns
            empty = empty | (valid == 0) | (valid > columns * self._tile)
        with m.If(Cat(outside).any()):
            m.d.comb += code.eq(ErrorCode.SLOT_RANGE)
        if norm:
            with m.If(Cat(instruction[name] + columns > self._vector_lines for name in ("gamma_line", "beta_line")).any()):
                m.d.comb += code.eq(ErrorCode.LINE_RANGE)
        with m.If(empty):
            m.d.comb += code.eq(ErrorCode.ENGINE_FIELD)
        return code
