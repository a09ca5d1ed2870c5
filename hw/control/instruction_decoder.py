"""Instruction decoder: names the engine of an instruction, and refuses what the accelerator was not built for."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..instruction_layout import header_layout, layout
from ..spec.error_codes import ErrorCode, ErrorSource
from ..spec.isa import INSTRUCTIONS, Buffer, Engine, Function, LoopOrder, Opcode
from ..spec.widths import NUMBER_BITS
from .layouts import ERROR_REPORT, INSTRUCTION_BITS, dispatched, engine_bits

__all__ = ["InstructionDecoder"]


class InstructionDecoder(wiring.Component):
    """Decodes an instruction per cycle into a register.

    After HALT, after its own error, and while `stop` is high it swallows what the fetch still delivers.

    Parameters
    ----------
    functions : activation functions that are built
    loop_orders : loop orders that are built
    curves : threshold curves
    memory_ports : ports to main memory; with several, a LOAD to the weight buffer has one row, or none
    clusters : with several, the clusters that an instruction names are there, and are those that it can be for

    Members
    -------
    i : In(stream({instruction, number, error, refused})), from the fetch
    exhausted : In(1), the fetch has handed out everything
    stop : In(1)
    o : Out(stream(dispatched())), to the dispatcher; never HALT
    halted : Out(1), HALT was decoded and everything before it handed over
    ended : Out(1), no further instruction is wanted
    report : Out(ERROR_REPORT)
    """

    def __init__(self, *, functions, loop_orders=tuple(LoopOrder), curves, memory_ports=1, clusters=1):
        self._striped = memory_ports > 1
        self._functions = [int(Function.NONE), *(int(Function[f.upper()]) for f in functions)]
        self._orders, self._curves, self._clusters = sorted(map(int, loop_orders)), curves, clusters
        super().__init__({
            "i": In(stream.Signature(data.StructLayout({
                "instruction": engine_bits(), "number": NUMBER_BITS, "error": 1, "refused": 1}))),
            "exhausted": In(1),
            "stop": In(1),
            "o": Out(stream.Signature(dispatched())),
            "halted": Out(1),
            "ended": Out(1),
            "report": Out(ERROR_REPORT),
        })

    def elaborate(self, platform):
        m = Module()
        engine, legal, known = Signal(2), Signal(), Signal()
        opcode = self._decode(m, engine, legal, known)
        o, report, reported, accepted = self.o.payload, self.report, Signal(), Signal()
        m.d.comb += [
            self.ended.eq(self.halted | reported),
            self.i.ready.eq(~self.o.valid | self.o.ready | self.ended | self.stop),
            accepted.eq(self.i.valid & self.i.ready & ~self.ended & ~self.stop),
        ]

        def fail(code, number):
            m.d.sync += [reported.eq(1), report.valid.eq(1), report.code.eq(code), report.number.eq(number),
                         report.engine.eq(ErrorSource.CONTROL)]

        m.d.sync += report.valid.eq(0)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(accepted):
            m.d.sync += [o.instruction.eq(self.i.payload.instruction), o.number.eq(self.i.payload.number),
                         o.engine.eq(engine), o.sync.eq(opcode == Opcode.SYNC)]
            with m.If(self.i.payload.error | ~known | ~legal):
                fail(Mux(self.i.payload.refused, ErrorCode.FETCH_WINDOW, Mux(self.i.payload.error, ErrorCode.FETCH_BUS,
                         Mux(known, ErrorCode.BAD_FIELD, ErrorCode.ILLEGAL_OPCODE))), self.i.payload.number)
            with m.Elif(opcode == Opcode.HALT):
                m.d.sync += self.halted.eq(1)
            with m.Else():
                m.d.sync += self.o.valid.eq(1)
        with m.Elif(self.exhausted & ~self.o.valid & ~self.ended & ~self.stop):
            fail(ErrorCode.PROGRAM_END, self.i.payload.number)
        return m

    def _decode(self, m, engine, legal, known):
        """Drive the decisions about the instruction at the input; returns its opcode."""
        instruction = self.i.payload.instruction
        header = data.View(header_layout(), instruction[:header_layout().size])
        padding = Const(0, INSTRUCTION_BITS - len(instruction))
        m.d.comb += [legal.eq(1), known.eq(0)]
        with m.Switch(header.opcode):
            for each in INSTRUCTIONS:
                fields = {f.name: data.View(layout(each.opcode), Cat(instruction, padding))[f.name]
                          for f in each.fields}
                with m.Case(each.opcode):
                    m.d.comb += [known.eq(1), engine.eq(header.engine if each.engine is None else each.engine)]
                    checks = [header.engine.matches(*Engine)] if each.engine is None else []
                    if "function" in fields:
                        checks += [fields["function"].matches(*self._functions),
                                   fields["order"].matches(*self._orders)]
                    if "curve" in fields:
                        checks.append(fields["curve"] <= self._curves)
                    if "buffer" in fields:
                        checks.append(fields["buffer"].matches(*Buffer))
                        if self._striped:
                            checks.append((fields["buffer"] != Buffer.WEIGHT) | (fields["rows"] <= 1))
                    if self._clusters > 1:
                        checks.append(self._named(each.opcode, header.clusters, fields))
                    for check in checks:
                        with m.If(~check):
                            m.d.comb += legal.eq(0)
        return header.opcode

    def _named(self, opcode, clusters, fields):
        """Whether an instruction can be for the clusters that it names; 0 are all."""
        everyone, there = clusters == 0, clusters < 1 << self._clusters
        if opcode == Opcode.STORE:
            return ~everyone & there & ((clusters & (clusters - 1)) == 0)
        if opcode == Opcode.LOAD:
            return everyone | (there & (fields["buffer"] == Buffer.ACTIVATION))
        if opcode == Opcode.MATMUL:
            return everyone | (there & fields["b_buffer"])
        return there if opcode in (Opcode.GATHER, Opcode.SOFTMAX, Opcode.LAYERNORM) else everyone
