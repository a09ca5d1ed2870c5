"""One driver for simulations and boards: the order in which registers and main memory are written and read.

Each function is a generator of requests, see `sw.host.bus`. Addresses, lengths and images are those of a `Program`.
"""

from ...hw.spec.registers import COUNTERS, CURVE_STRIDE, IDENTIFIER, by_name, config_values, pack
from .bus import ReadMemory, ReadRegister, Wait, WriteMemory, WriteRegister
from .errors import DeviceError
from .run import Outcome, Run

__all__ = ["EVENTS", "IDLE", "RESET", "START", "check_identity", "enable_interrupts", "load_image", "load_program", "outcome",
           "read_counter", "read_counters", "read_output", "run", "run_program", "set_thresholds", "set_watchdog",
           "soft_reset", "start"]

START, RESET = pack(by_name("CONTROL"), start=1), pack(by_name("CONTROL"), reset=1)
EVENTS = pack(by_name("IRQ_STATUS"), done=1, error=1)
IDLE = pack(by_name("STATUS"), idle=1)

_PIECE = 1 << 20
"""Bytes of an image that are written at once."""

_RESET_POLLS = 100_000
_OUTCOME = ("STATUS", "IRQ_STATUS", "ERROR_CODE", "ERROR_ENGINE", "ERROR_INSTRUCTION")


def _read(name):
    return (yield ReadRegister(by_name(name).offset))


def _write(name, value, word=0):
    yield WriteRegister(by_name(name).offset + 4 * word, value)


def check_identity(config):
    """See that there is an accelerator of `config` at the other end.

    Raises
    ------
    DeviceError : there is none, it is of another version of the generator, or of another configuration
    """
    wanted = config_values(config)
    found = yield from _read("ID")
    if found != IDENTIFIER:
        raise DeviceError(f"ID reads {found:#010x}, and that of an accelerator is {IDENTIFIER:#010x}: the registers are not "
                          "where they are looked for, or the device is not configured")
    found = yield from _read("VERSION")
    if found >> 8 != wanted["VERSION"] >> 8:
        raise DeviceError(f"the accelerator is of generator version {_version(found)}, and the program of version "
                          f"{_version(wanted['VERSION'])}: generate it again, or compile with its version")
    found = yield from _read("CONFIG_IDENTITY")
    if found != wanted["CONFIG_IDENTITY"]:
        raise DeviceError(f"the accelerator's configuration has the identity {found:#010x}, and {config.name}, which the "
                          f"program is compiled for, {wanted['CONFIG_IDENTITY']:#010x}: compile it for the accelerator's")


def _version(word):
    return f"{word >> 16 & 255}.{word >> 8 & 255}.{word & 255}"


def load_image(image, base, *, memory_bytes=None):
    """Write an image to main memory.

    Parameters
    ----------
    image : bytes
    base : address of the first
    memory_bytes : end of main memory, where it is known

    Raises
    ------
    DeviceError : the image ends beyond it
    """
    end = base + len(image)
    if memory_bytes is not None and end > memory_bytes:
        raise DeviceError(f"the image ends at byte {end:,}, and main memory has {memory_bytes:,}: compile fewer sentences, or "
                          "give the accelerator more memory")
    for first in range(0, len(image), _PIECE):
        yield WriteMemory(base + first, bytes(image[first: first + _PIECE]))


def set_thresholds(curves, target):
    """Write the threshold curves, and the wanted sparsity in 1/256."""
    for curve, knots in enumerate(curves):
        for knot, value in enumerate(knots):
            yield from _write("CURVE", int(value), CURVE_STRIDE * curve + knot)
    yield from _write("TARGET_SPARSITY", int(target))


def set_watchdog(cycles):
    """Cycles without a completed instruction that stop a program; 0 turns the watchdog off."""
    yield from _write("WATCHDOG", cycles)


def enable_interrupts():
    """Let the end of a program, and an error, raise the interrupt."""
    yield from _write("IRQ_ENABLE", EVENTS)


def start(address, length):
    """Start the program of `length` instructions at `address`, with no interrupt of an earlier one pending."""
    yield from _write("PROGRAM_ADDRESS", address)
    yield from _write("PROGRAM_LENGTH", length)
    yield from _write("IRQ_STATUS", EVENTS)
    yield from _write("CONTROL", START)


def outcome():
    """The `Outcome` of the last program."""
    values = {}
    for name in _OUTCOME:
        values[name.lower()] = yield from _read(name)
    return Outcome(**values)


def read_counter(name):
    """A performance counter; reading its low word keeps the high one that belongs to it."""
    low = yield from _read(f"{name.upper()}_LO")
    high = yield from _read(f"{name.upper()}_HI")
    return high << 32 | low


def read_counters():
    """All performance counters by name."""
    counters = {}
    for name, _ in COUNTERS:
        counters[name] = yield from read_counter(name)
    return counters


def run(address, length, *, limit):
    """Start a program, wait for its end, and ask how it went.

    Parameters
    ----------
    address, length : see `start`
    limit : of the wait, in the measure of the bus

    Returns
    -------
    Run
    """
    yield from start(address, length)
    ended = yield Wait(limit)
    seen = yield from outcome()
    return Run(ended=bool(ended), outcome=seen, counters=(yield from read_counters()))


def soft_reset(*, polls=_RESET_POLLS):
    """Abort what is running and come back to idle; what the host wrote stays, the buffers' content is lost.

    Raises
    ------
    DeviceError : the accelerator is not idle after so many looks at its status
    """
    yield from _write("CONTROL", RESET)
    for _ in range(polls):
        status = yield from _read("STATUS")
        if status == IDLE:
            return
    raise DeviceError(f"the accelerator does not become idle after a soft reset (status {status:#x}): reset it by its pin")


def load_program(program, *, memory_bytes=None, watchdog=None, limit):
    """Get an accelerator ready for a program: identity, image, thresholds, interrupts and, where there is one, the preload.

    Parameters
    ----------
    program : Program
    memory_bytes : see `load_image`
    watchdog : see `set_watchdog`; None leaves it as it is
    limit : see `run`

    Raises
    ------
    DeviceError : see `check_identity` and `load_image`; or the preload does not end, or stops with an error
    """
    yield from check_identity(program.config)
    yield from load_image(program.image, program.base, memory_bytes=memory_bytes)
    yield from set_thresholds(program.curves, program.target)
    if watchdog is not None:
        yield from set_watchdog(watchdog)
    yield from enable_interrupts()
    if program.preload:
        yield from _run_well("the preload", program.preload["entry"], program.preload["instructions"], limit)


def run_program(program, *, limit):
    """Run a program that was loaded, as often as is wanted.

    Returns
    -------
    Run

    Raises
    ------
    DeviceError : it does not end, or stops with an error
    """
    return (yield from _run_well("the program", program.entry, len(program.instructions), limit))


def _run_well(what, address, length, limit):
    done = yield from run(address, length, limit=limit)
    if not done.ended:
        raise DeviceError(f"{what} did not end in time (status {done.outcome.status:#x}): allow it more, or set a watchdog to "
                          "see where it waits")
    if done.outcome.error:
        raise DeviceError(f"{what} stopped: {done.outcome.error}")
    return done


def read_output(program, name):
    """The integers and floats of an output after a run, see `Program.result`."""
    output = program.outputs[name]
    raw = yield ReadMemory(output["address"], output["bytes"])
    return program.output(name, raw)
