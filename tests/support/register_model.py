"""Registers of an accelerator in Python, for tests of drivers."""

from acceltran.hw.spec.registers import REGISTERS, by_name, config_values, counters_of, pack
from acceltran.sw.host import Bus, driver

__all__ = ["ModelBus"]

OFFSETS = {register.offset + 4 * word: (register, word) for register in REGISTERS for word in range(register.count)}


class ModelBus(Bus):
    """Registers and main memory; a program runs when CONTROL.start is written, on the accelerator in Python.

    `log` has the accesses in order, registers by name and word. Counters are their number in the list beyond 32 bits.
    """

    poll_seconds = 0.0

    def __init__(self, config, memory_bytes=1 << 20):
        self.config = config
        self.values = {by_name(name).offset: value for name, value in config_values(config).items()}
        self.values[by_name("STATUS").offset] = driver.IDLE
        self.memory, self.log, self.ended, self.high = bytearray(memory_bytes), [], [], 0
        self.on_start, self.busy_polls = lambda bus: None, 0

    def _name(self, offset):
        register, word = OFFSETS[offset]
        return register.name if register.count == 1 else (register.name, word)

    def get(self, name):
        return self.values.get(by_name(name).offset, 0)

    def set(self, name, value):
        self.values[by_name(name).offset] = value

    def read_register(self, offset):
        name = self._name(offset)
        self.log.append(("read", name))
        assert OFFSETS[offset][0].access != "wo" and OFFSETS[offset][0].built(self.config), name
        if name == "STATUS" and self.busy_polls:
            self.busy_polls -= 1
            return pack(by_name("STATUS"), resetting=1)
        for number, (counter, _) in enumerate(counters_of(self.config.memory_ports)):
            if name == f"{counter.upper()}_LO":
                self.high = number + 1
                return 1000 + number
            if name == f"{counter.upper()}_HI":
                return self.high
        return self.values.get(offset, 0)

    def write_register(self, offset, value):
        name = self._name(offset)
        self.log.append(("write", name, value))
        access = OFFSETS[offset][0].access
        assert access != "ro" and 0 <= value < 1 << 32 and OFFSETS[offset][0].built(self.config), name
        assert not (OFFSETS[offset][0].lockable and self.get("ACCESS_LOCK")), name
        if access == "w1c":
            self.values[offset] = self.values.get(offset, 0) & ~value
        elif access == "w1s":
            self.values[offset] = self.values.get(offset, 0) | value
        elif name == "CONTROL":
            self._control(value)
        else:
            self.values[offset] = value

    def _control(self, value):
        if value in (driver.RESET, driver.SCRUB):
            self.set("STATUS", driver.IDLE)
            self.set("IRQ_STATUS", 0)
            self.set("ERROR_CODE", 0)
            if value == driver.SCRUB:
                window = by_name("CURVE")
                self.values |= dict.fromkeys(range(window.offset, window.offset + 4 * window.count, 4), 0)
        elif value == driver.START and self.get("STATUS") & 1:
            self.set("STATUS", pack(by_name("STATUS"), idle=1, done=1))
            self.set("IRQ_STATUS", pack(by_name("IRQ_STATUS"), done=1))
            self.ended.append((self.get("PROGRAM_ADDRESS"), self.get("PROGRAM_LENGTH")))
            self.on_start(self)

    def stop(self, code, source, number):
        """End a run with an error."""
        self.set("STATUS", pack(by_name("STATUS"), error=1))
        self.set("IRQ_STATUS", pack(by_name("IRQ_STATUS"), error=1))
        for name, value in (("CODE", code), ("ENGINE", source), ("INSTRUCTION", number)):
            self.set(f"ERROR_{name}", int(value))

    def read_memory(self, address, count):
        self.log.append(("read memory", address, count))
        assert address + count <= len(self.memory)
        return bytes(self.memory[address: address + count])

    def write_memory(self, address, raw):
        self.log.append(("write memory", address, len(raw)))
        assert address % 64 == 0 and address + len(raw) <= len(self.memory)
        self.memory[address: address + len(raw)] = raw

    @property
    def base(self):
        """What MEMORY_BASE says, with its high word where there is one."""
        return self.address("MEMORY_BASE")

    def address(self, name):
        """What a register says, with its high word where there is one."""
        return self.get(name) | self.get(f"{name}_HI") << 32
