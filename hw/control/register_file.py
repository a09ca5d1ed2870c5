"""The register file: storage and read path, made from the register map."""

from amaranth.hdl import Const, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..spec.isa import LoopOrder
from ..spec.registers import ADDRESS_BITS, COUNTERS, CURVE_STRIDE, KNOTS, REGISTERS, by_name, config_values, counters_of
from .axi_lite import register_bus_signature

__all__ = ["RegisterFile", "register_layout"]


def register_layout(name):
    """The register called `name` as a structure of its fields."""
    register = by_name(name)
    return data.FlexibleLayout(register.width, {f.name: data.Field(f.bits, f.offset) for f in register.parts})


class RegisterFile(wiring.Component):
    """Every register but the curves' knots and the counters, which answer through windows.

    The bus is answered `latency` cycles after the access. Narrow registers ignore the upper bits of a write.

    Parameters
    ----------
    config : AcceleratorConfig
    loop_orders : loop orders that are built, for CONFIG_LOOP_ORDERS

    Members
    -------
    bus : In(register_bus_signature())
    values : Out(struct), the registers that keep what is written, by lower-case name
    status, error : In, what STATUS and the ERROR registers show
    start, reset, scrub : Out(1), one cycle after the write to CONTROL
    event : In(IRQ_STATUS), pulses that set interrupts
    clear_events : In(1), clears all pending interrupts
    irq : Out(1), level, a register
    counter, counter_high, counter_read : Out, a counter register is being read; `counter_data` : In(32) a cycle later
    curve, knot, curve_write, curve_data : Out, access to a knot; `curve_read_data` : In(W - 1) a cycle later
    tau : In(W - 1).array(curves)
    """

    latency = 2

    def __init__(self, *, config, loop_orders=tuple(LoopOrder)):
        self._constants = config_values(config, loop_orders)
        self._curves, self._counters = config.prune_curves, len(counters_of(config.memory_ports))
        self._registers = [r for r in REGISTERS if r.count == 1 and r.built(config)]
        stored = [r.name for r in self._registers if r.access in ("rw", "w1s")]
        super().__init__({
            "bus": In(register_bus_signature(address_bits=ADDRESS_BITS)),
            "values": Out(data.StructLayout({name.lower(): register_layout(name) for name in stored})),
            "status": In(register_layout("STATUS")),
            "error": In(data.StructLayout({name.removeprefix("ERROR_").lower(): by_name(name).width for name in
                                           ("ERROR_CODE", "ERROR_INSTRUCTION", "ERROR_ENGINE")})),
            "start": Out(1),
            "reset": Out(1),
            "scrub": Out(1),
            "event": In(register_layout("IRQ_STATUS")),
            "clear_events": In(1),
            "irq": Out(1),
            "counter": Out(range(self._counters)),
            "counter_high": Out(1),
            "counter_read": Out(1),
            "counter_data": In(32),
            "curve": Out(range(self._curves)),
            "knot": Out(range(KNOTS)),
            "curve_write": Out(1),
            "curve_data": Out(config.width - 1),
            "curve_read_data": In(config.width - 1),
            "tau": In(config.width - 1).array(self._curves),
        })

    def elaborate(self, platform):
        m = Module()
        bus = self.bus

        # Storage: each read-write register, the interrupts, and the pulses of CONTROL.
        written, writable = Signal(32), Signal()
        m.d.comb += written.eq(bus.write_data)
        pending = Signal(register_layout("IRQ_STATUS"))
        cleared = Signal(len(pending.as_value()))
        stored = [r for r in self._registers if r.access in ("rw", "w1s")]
        values = Signal(self.values.shape(), init={
            r.name.lower(): {f.name: r.reset >> f.offset & ((1 << f.bits) - 1) for f in r.parts} for r in stored})
        m.d.comb += self.values.eq(values)
        m.d.sync += [self.start.eq(0), self.reset.eq(0), self.scrub.eq(0)]
        with m.Switch(bus.address):
            for register in (r for r in self._registers if r.access != "ro"):
                with m.Case(register.offset // 4):
                    m.d.comb += writable.eq(~values.access_lock.locked if register.lockable else 1)
                    with m.If(bus.write & writable):
                        if register.access in ("rw", "w1s"):
                            for part in register.parts:
                                kept = values[register.name.lower()][part.name]
                                given = written[part.offset: part.offset + part.bits]
                                m.d.sync += kept.eq(given if register.access == "rw" else kept | given)
                        elif register.name == "IRQ_STATUS":
                            m.d.comb += cleared.eq(written)
                        else:
                            command = register_layout(register.name)(written[:register.width])
                            m.d.sync += [
                                self.start.eq(command.start), self.reset.eq(command.reset), self.scrub.eq(command.scrub)]
        with m.If(self.clear_events):
            m.d.sync += pending.eq(0)
        with m.Else():
            m.d.sync += pending.as_value().eq((pending.as_value() & ~cleared) | self.event.as_value())
        m.d.sync += self.irq.eq((pending.as_value() & values.irq_enable.as_value()).any())

        # Read path: select a word, join the windows a cycle later.
        word, readable = Signal(32, reset_less=True), Signal()
        sources = {
            **{name: Const(value, 32) for name, value in self._constants.items()},
            **{r.name: values[r.name.lower()].as_value() for r in stored},
            "CONTROL": Const(0, 32), "STATUS": self.status.as_value(), "IRQ_STATUS": pending.as_value(),
            "ERROR_CODE": self.error.code, "ERROR_INSTRUCTION": self.error.instruction,
            "ERROR_ENGINE": self.error.engine,
        }
        m.d.sync += word.eq(0)
        with m.Switch(bus.address):
            for name, source in sources.items():
                with m.Case(by_name(name).offset // 4):
                    m.d.comb += readable.eq(1)
                    m.d.sync += word.eq(source)
        is_counter, is_curve, is_tau = self._windows(m)
        with m.If(is_tau):
            with m.Switch(bus.address[:(self._curves - 1).bit_length()]):
                for c in range(self._curves):
                    with m.Case(c):
                        m.d.sync += word.eq(self.tau[c])

        # Answer.
        accessed, allowed, from_counter, from_curve = (
            Signal(name=name) for name in ("accessed", "allowed", "from_counter", "from_curve"))
        m.d.sync += [
            accessed.eq(bus.read | bus.write),
            allowed.eq((bus.write & (writable | is_curve)) | (bus.read & (readable | is_counter | is_curve | is_tau))),
            from_counter.eq(is_counter),
            from_curve.eq(is_curve),
            bus.acknowledge.eq(accessed),
            bus.error.eq(~allowed),
            bus.read_data.eq(word | self.counter_data & from_counter.replicate(32)
                             | self.curve_read_data & from_curve.replicate(len(self.curve_read_data))),
        ]
        with m.If(~allowed):
            m.d.sync += bus.read_data.eq(0)
        return m

    def _windows(self, m):
        """Decode the windows and drive their ports; returns whether the address lies in counters, curves or taus."""
        bus, bits = self.bus, (CURVE_STRIDE - 1).bit_length()
        is_counter, is_curve, is_tau = (Signal(name=name) for name in ("is_counter", "is_curve", "is_tau"))
        first = by_name(f"{COUNTERS[0][0].upper()}_LO").offset // 4
        counter = Signal(len(bus.address))
        curve_index, knot = Signal(len(bus.address)), Signal(bits)
        tau, curve = by_name("TAU"), by_name("CURVE")
        m.d.comb += [
            counter.eq(bus.address - first),
            is_counter.eq((bus.address >= first) & (bus.address < first + 2 * self._counters)),
            self.counter_high.eq(counter[0]),
            self.counter.eq(counter[1:]),
            self.counter_read.eq(bus.read & is_counter),
            is_tau.eq((bus.address >= tau.offset // 4) & (bus.address < tau.offset // 4 + self._curves)),
            knot.eq(bus.address),
            curve_index.eq((bus.address - curve.offset // 4)[bits:]),
            is_curve.eq((bus.address >= curve.offset // 4) & (curve_index < self._curves) & (knot < KNOTS)),
            self.knot.eq(knot),
            self.curve.eq(curve_index),
            self.curve_write.eq(bus.write & is_curve),
            self.curve_data.eq(bus.write_data),
        ]
        return is_counter, is_curve, is_tau
