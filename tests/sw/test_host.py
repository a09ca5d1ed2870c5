"""The driver on a model of an accelerator in Python: the order of its accesses, errors, and what it refuses."""

import asyncio
from dataclasses import replace

import pytest

from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.hw.spec.error_codes import ErrorCode, ErrorSource
from acceltran.hw.spec.registers import COUNTERS, CURVE_STRIDE, REGISTERS, by_name, config_values, pack
from acceltran.sw.compiler import compile_encoder
from acceltran.sw.host import Bus, DeviceError, driver, perform, perform_async
from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.sentences import encode_texts
from support.machine import Machine
from support.models import make_checkpoint, random_texts

NANO = AcceleratorConfig.load("nano")
OFFSETS = {register.offset + 4 * word: (register, word) for register in REGISTERS for word in range(register.count)}


class ModelBus(Bus):
    """Registers and main memory; a program runs when CONTROL.start is written, on the accelerator in Python.

    `log` has the accesses in order, registers by name and word. Counters are their number in the list beyond 32 bits.
    """

    poll_seconds = 0.0

    def __init__(self, config, memory_bytes=1 << 20):
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
        assert OFFSETS[offset][0].access != "wo", name
        if name == "STATUS" and self.busy_polls:
            self.busy_polls -= 1
            return pack(by_name("STATUS"), resetting=1)
        for number, (counter, _) in enumerate(COUNTERS):
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
        assert access != "ro" and 0 <= value < 1 << 32, name
        if access == "w1c":
            self.values[offset] = self.values.get(offset, 0) & ~value
        elif name == "CONTROL":
            self._control(value)
        else:
            self.values[offset] = value

    def _control(self, value):
        if value == driver.RESET:
            self.set("STATUS", driver.IDLE)
            self.set("IRQ_STATUS", 0)
            self.set("ERROR_CODE", 0)
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


class Coroutines:
    """The same bus for a driver that awaits."""

    def __init__(self, bus):
        self.bus = bus

    def __getattr__(self, name):
        async def method(*given):
            await asyncio.sleep(0)
            return getattr(self.bus, name)(*given)
        return method


@pytest.fixture(scope="module", params=[False, True], ids=["", "resident"])
def program(request, tmp_path_factory):
    checkpoint = load_checkpoint(make_checkpoint(tmp_path_factory.mktemp("model"), hidden=16, heads=2, layers=1, ffn=16))
    config = replace(NANO, weight_tiles=256, vector_lines=256)
    ids, lengths = encode_texts(checkpoint, random_texts(1, 5))
    return compile_encoder(checkpoint, config, ids, lengths, tau=0.05, calibration_texts=random_texts(2, 5), base=4096,
                           resident=request.param)



def test_a_program_from_identity_to_output(program):
    """Registers are written before the start, main memory before that, and outputs are those that were computed."""
    bus = ModelBus(program.config)
    machine = Machine(program)
    machine.run()
    name, output = next(iter(program.outputs.items()))
    at = output["address"]

    def compute(bus):
        bus.memory[at: at + output["bytes"]] = machine.memory[at - 4096: at - 4096 + output["bytes"]]

    bus.on_start = compute
    perform(bus, driver.load_program(program, memory_bytes=len(bus.memory), watchdog=5000, limit=1.0))
    setup, bus.log = bus.log, []
    done = perform(bus, driver.run_program(program, limit=1.0))
    integers, floats = perform(bus, driver.read_output(program, name))

    assert setup[:3] == [("read", "ID"), ("read", "VERSION"), ("read", "CONFIG_IDENTITY")]
    assert bytes(bus.memory[4096: 4096 + len(program.raw)]) == program.raw
    written = [entry[1:] for entry in setup if entry[0] == "write"]
    knots = [(("CURVE", CURVE_STRIDE * c + n), value) for c, curve in enumerate(program.curves)
             for n, value in enumerate(curve)]
    assert knots and written[: len(knots) + 3] == [
        *knots, ("TARGET_SPARSITY", program.target), ("WATCHDOG", 5000), ("IRQ_ENABLE", 3)]
    runs = [(program.entry, len(program.instructions))]
    if program.preload:
        runs.insert(0, (program.preload["entry"], program.preload["instructions"]))
    assert bus.ended == runs
    assert [entry for entry in bus.log if entry[0] == "write"] == [
        ("write", "PROGRAM_ADDRESS", program.entry), ("write", "PROGRAM_LENGTH", len(program.instructions)),
        ("write", "IRQ_STATUS", 3), ("write", "CONTROL", driver.START)]
    assert done.well and done.counters == {
        counter: (number + 1) << 32 | 1000 + number for number, (counter, _) in enumerate(COUNTERS)}
    assert done.outcome.status == pack(by_name("STATUS"), idle=1, done=1) and done.outcome.error is None
    expected, values = program.result(name, machine.memory)
    assert (integers == expected).all() and (floats == values).all()
    # A second sentence needs neither image nor preload.
    perform(bus, driver.run_program(program, limit=1.0))
    assert bus.ended == [*runs, runs[-1]]


def test_both_kinds_of_bus_see_the_same(program):
    plain, awaited = ModelBus(program.config), ModelBus(program.config)
    for steps in (driver.load_program, driver.run_program):
        perform(plain, steps(program, limit=1.0))
        asyncio.run(perform_async(Coroutines(awaited), steps(program, limit=1.0)))
    assert plain.log == awaited.log and plain.memory == awaited.memory


@pytest.mark.parametrize(("name", "change", "message"), [
    ("ID", lambda word: 0, "ID reads 0x00000000"),
    ("ID", lambda word: 0xFFFFFFFF, "ID reads 0xffffffff"),
    ("VERSION", lambda word: word + (1 << 8), "generator version 0.2.0, and the program of version 0.1.0"),
    ("CONFIG_IDENTITY", lambda word: word ^ 1, "which the program is compiled for"),
])
def test_another_accelerator_is_refused(program, name, change, message):
    bus = ModelBus(program.config)
    bus.set(name, change(bus.get(name)))
    with pytest.raises(DeviceError, match=message) as error:
        perform(bus, driver.load_program(program, limit=1.0))
    assert "\n" not in str(error.value)
    assert all(entry[0] == "read" for entry in bus.log)


def test_the_last_number_of_the_version_does_not_count(program):
    bus = ModelBus(program.config)
    bus.set("VERSION", bus.get("VERSION") + 1)
    perform(bus, driver.check_identity(program.config))


def test_an_image_that_is_too_large_is_refused(program):
    bus, end = ModelBus(program.config), 4096 + len(program.image)
    with pytest.raises(DeviceError, match=f"ends at byte {end:,}, and main memory has {end - 1:,}"):
        perform(bus, driver.load_program(program, memory_bytes=end - 1, limit=1.0))
    assert not any(entry[0].startswith("write") for entry in bus.log)
    perform(bus, driver.load_program(program, memory_bytes=end, limit=1.0))


def test_large_images_are_written_in_pieces():
    bus = ModelBus(NANO, memory_bytes=4 << 20)
    image = bytes(range(256)) * (10 << 10)
    perform(bus, driver.load_image(image, 64, memory_bytes=4 << 20))
    assert len(bus.log) == 3 and bytes(bus.memory[64: 64 + len(image)]) == image


@pytest.mark.parametrize("code", ErrorCode)
def test_errors_are_told_in_words(program, code):
    bus = ModelBus(program.config)
    if program.preload or code is ErrorCode.NONE:
        return
    perform(bus, driver.load_program(program, limit=1.0))
    bus.on_start = lambda bus: bus.stop(code, ErrorSource.MATRIX, 17)
    with pytest.raises(DeviceError, match=rf"the program stopped: {code.name} in instruction 17 \(matrix\)"):
        perform(bus, driver.run_program(program, limit=1.0))
    assert bus.get("STATUS") == pack(by_name("STATUS"), error=1)
    perform(bus, driver.soft_reset())
    bus.on_start = lambda bus: None
    assert perform(bus, driver.run_program(program, limit=1.0)).well


def test_an_unknown_error_has_a_number():
    bus = ModelBus(NANO)
    bus.on_start = lambda bus: bus.stop(0x1E, ErrorSource.CONTROL, 2)
    perform(bus, driver.enable_interrupts())
    assert perform(bus, driver.run(0, 3, limit=1.0)).outcome.error == "error 0x1e in instruction 2 (control)"


def test_a_preload_that_stops_ends_it_all(program):
    if not program.preload:
        return
    bus = ModelBus(program.config)
    bus.on_start = lambda bus: bus.stop(ErrorCode.BUS_READ, ErrorSource.MEMORY, 4)
    with pytest.raises(DeviceError, match=r"the preload stopped: BUS_READ in instruction 4 \(memory\)"):
        perform(bus, driver.load_program(program, limit=1.0))
    assert len(bus.ended) == 1


def test_a_program_that_does_not_end_is_given_up(program):
    bus = ModelBus(program.config)

    def hang(bus):
        bus.set("STATUS", pack(by_name("STATUS"), running=1))
        bus.set("IRQ_STATUS", 0)

    perform(bus, driver.enable_interrupts())
    bus.on_start = hang
    assert not perform(bus, driver.run(0, 3, limit=0.01)).ended
    bus.set("STATUS", driver.IDLE)
    with pytest.raises(DeviceError, match=r"the program did not end in time \(status 0x2\)"):
        perform(bus, driver.run_program(program, limit=0.01))


def test_only_enabled_interrupts_end_a_wait():
    bus = ModelBus(NANO)
    assert not perform(bus, driver.run(0, 3, limit=0.01)).ended
    perform(bus, driver.enable_interrupts())
    assert perform(bus, driver.run(0, 3, limit=0.01)).ended


def test_a_soft_reset_waits_for_idle():
    bus = ModelBus(NANO)
    bus.busy_polls = 7
    perform(bus, driver.soft_reset())
    assert bus.log == [("write", "CONTROL", driver.RESET)] + [("read", "STATUS")] * 8
    bus.busy_polls = 100
    with pytest.raises(DeviceError, match=r"does not become idle after a soft reset \(status 0x10\)"):
        perform(bus, driver.soft_reset(polls=50))


def test_a_bus_says_what_it_lacks():
    for method, given in (("read_register", (0,)), ("write_register", (0, 0)), ("read_memory", (0, 1)),
                          ("write_memory", (0, b""))):
        with pytest.raises(NotImplementedError):
            getattr(Bus(), method)(*given)
