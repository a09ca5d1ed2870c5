"""The driver on a model of an accelerator in Python: the order of its accesses, errors, and what it refuses."""

import asyncio
from dataclasses import replace

import pytest

from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.hw.spec.error_codes import ErrorCode, ErrorSource
from acceltran.hw.spec.registers import COUNTERS, CURVE_STRIDE, by_name, pack
from acceltran.sw.compiler import compile_encoder
from acceltran.sw.host import Bus, DeviceError, driver, perform, perform_async
from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.sentences import encode_texts
from support.machine import Machine
from support.models import make_checkpoint, random_texts
from support.register_model import ModelBus

NANO = AcceleratorConfig.load("nano")


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
        bus.memory[4096 + at: 4096 + at + output["bytes"]] = machine.memory[at: at + output["bytes"]]

    bus.on_start = compute
    perform(bus, driver.load_program(program, memory_bytes=len(bus.memory), watchdog=5000, limit=1.0))
    setup, bus.log = bus.log, []
    done = perform(bus, driver.run_program(program, limit=1.0))
    integers, floats = perform(bus, driver.read_output(program, name))

    assert setup[:3] == [("read", "ID"), ("read", "VERSION"), ("read", "CONFIG_IDENTITY")]
    assert bytes(bus.memory[4096: 4096 + len(program.image)])[program.entry:].startswith(program.raw)
    written = [entry[1:] for entry in setup if entry[0] == "write"]
    knots = [(("CURVE", CURVE_STRIDE * c + n), value) for c, curve in enumerate(program.curves)
             for n, value in enumerate(curve)]
    assert knots and written[: len(knots) + 4] == [
        ("MEMORY_BASE", 4096), *knots, ("TARGET_SPARSITY", program.target), ("WATCHDOG", 5000), ("IRQ_ENABLE", 3)]
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
    perform(bus, driver.load_image(image, 4096, memory_bytes=4 << 20))
    assert len(bus.log) == 3 and bytes(bus.memory[4096: 4096 + len(image)]) == image


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


@pytest.mark.parametrize("bits", [32, 64])
def test_windows_attributes_and_lock(bits):
    """High words only where they are built; what is locked is refused before it is written."""
    config = replace(NANO, address_bits=bits)
    bus, high = ModelBus(config), (bits == 64) * (3 << 32)
    assert perform(bus, driver.probe()).address_bits == bits
    perform(bus, driver.set_windows(config, read=(high + 4096, 8192), write=(0, 1 << 32)))
    perform(bus, driver.set_attributes(prot=2, cache=15))
    perform(bus, driver.set_base(config, high + 0x9000_0000))
    assert (bus.get("READ_BASE"), bus.get("READ_LIMIT"), bus.get("WRITE_BASE"), bus.get("WRITE_LIMIT")) == (
        4096, 12287, 0, 0xFFFF_FFFF)
    assert bus.get("READ_LIMIT_HI") == bus.get("READ_BASE_HI") == high >> 32 and bus.base == high + 0x9000_0000
    assert bus.get("BUS_ATTRIBUTES") == pack(by_name("BUS_ATTRIBUTES"), prot=2, cache=15)
    for read in ((1, 4096), (0, 4095), (0, 0), (4096, 1 << bits)):
        with pytest.raises(DeviceError, match=r"read = .* is of whole pages of 4,096 bytes, below 0x1"):
            perform(bus, driver.set_windows(config, read=read, write=(0, 4096)))
    with pytest.raises(DeviceError, match="prot has 3 bits and cache 4"):
        perform(bus, driver.set_attributes(prot=8, cache=0))
    perform(bus, driver.lock())
    for steps in (driver.set_windows(config, read=(0, 4096), write=(0, 4096)), driver.set_attributes(prot=0, cache=0)):
        with pytest.raises(DeviceError, match="are locked: only the reset pin unlocks them"):
            perform(bus, steps)


def test_a_scrub_waits_for_idle_and_needs_thresholds_again(program):
    bus = ModelBus(program.config)
    perform(bus, driver.load_program(program, limit=1.0))
    curve = by_name("CURVE")
    assert any(bus.values.get(curve.offset + 4 * n) for n in range(curve.count))
    bus.busy_polls = 5
    perform(bus, driver.scrub())
    assert ("write", "CONTROL", driver.SCRUB) in bus.log
    assert not any(bus.values[curve.offset + 4 * n] for n in range(curve.count))
    bus.busy_polls = 9
    with pytest.raises(DeviceError, match="does not become idle after a scrub"):
        perform(bus, driver.scrub(polls=4))


def test_an_image_lies_at_any_page(program):
    bus = ModelBus(program.config)
    perform(bus, driver.load_program(program, base=0x8000, limit=1.0))
    assert bus.base == 0x8000 and bytes(bus.memory[0x8000: 0x8000 + len(program.image)]) == program.image
    for base, message in ((0x8800, "begins at a multiple of 4,096; choose 0x8000"),
                          ((1 << 32) - 4096, "has addresses of 32 bits")):
        bus.log.clear()
        with pytest.raises(DeviceError, match=message):
            perform(bus, driver.load_program(program, base=base, limit=1.0))
        assert not any(entry[0].startswith("write") for entry in bus.log)
