"""One driver for simulations and boards: the order in which registers and main memory are written and read.

Each function is a generator of requests, see `sw.host.bus`. Images are those of a `Program`, and lie at any address of whole
pages: `base`, by default the program's own. Addresses and lengths of programs count from there.
"""

from dataclasses import dataclass

from ...hw.spec.registers import CURVE_STRIDE, IDENTIFIER, PAGE_BITS, by_name, config_values, counters_of, pack
from .bus import ReadMemory, ReadRegister, Wait, WriteMemory, WriteRegister
from .errors import DeviceError
from .run import Outcome, Run

__all__ = ["EVENTS", "IDLE", "RESET", "SCRUB", "START", "Probe", "check_identity", "enable_interrupts", "load_image",
           "load_program", "lock", "outcome", "preload", "probe", "read_counter", "read_counters", "read_output", "run",
           "run_program", "scrub", "set_attributes", "set_base", "set_sentences", "set_thresholds", "set_watchdog",
           "set_windows", "soft_reset", "start"]

START, RESET, SCRUB = (pack(by_name("CONTROL"), **{name: 1}) for name in ("start", "reset", "scrub"))
EVENTS = pack(by_name("IRQ_STATUS"), done=1, error=1)
IDLE = pack(by_name("STATUS"), idle=1)

_PIECE = 1 << 20
"""Bytes of an image that are written at once."""

_PAGE = 1 << PAGE_BITS
_RESET_POLLS = 100_000
_OUTCOME = ("STATUS", "IRQ_STATUS", "ERROR_CODE", "ERROR_ENGINE", "ERROR_INSTRUCTION")


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What an accelerator says of itself: words of its registers, and the bits of its addresses."""

    version: int
    identity: int
    address_bits: int


def _read(name):
    return (yield ReadRegister(by_name(name).offset))


def _write(name, value, word=0):
    yield WriteRegister(by_name(name).offset + 4 * word, value)


def probe():
    """See that there is an accelerator at the other end; its `Probe`.

    Raises
    ------
    DeviceError : there is none
    """
    found = yield from _read("ID")
    if found != IDENTIFIER:
        raise DeviceError(f"ID reads {found:#010x}, and that of an accelerator is {IDENTIFIER:#010x}: the registers are not "
                          "where they are looked for, or the device is not configured")
    version = yield from _read("VERSION")
    identity = yield from _read("CONFIG_IDENTITY")
    return Probe(version=version, identity=identity, address_bits=(yield from _read("CONFIG_ADDRESS")))


def check_identity(config):
    """See that there is an accelerator of `config` at the other end.

    Raises
    ------
    DeviceError : there is none, it is of another version of the generator, or of another configuration
    """
    wanted, found = config_values(config), (yield from probe())
    if found.version >> 8 != wanted["VERSION"] >> 8:
        raise DeviceError(f"the accelerator is of generator version {_version(found.version)}, and the program of version "
                          f"{_version(wanted['VERSION'])}: generate it again, or compile with its version")
    if found.identity != wanted["CONFIG_IDENTITY"]:
        raise DeviceError(f"the accelerator's configuration has the identity {found.identity:#010x}, and {config.name}, which "
                          f"the program is compiled for, {wanted['CONFIG_IDENTITY']:#010x}: compile it for the accelerator's")


def _version(word):
    return f"{word >> 16 & 255}.{word >> 8 & 255}.{word & 255}"


def load_image(image, base, *, memory_bytes=None, address_bits=64):
    """Write an image to main memory.

    Parameters
    ----------
    image : bytes
    base : address of the first
    memory_bytes : end of main memory, where it is known
    address_bits : of the accelerator

    Raises
    ------
    DeviceError : the image ends beyond it, or beyond the accelerator's addresses, or it would not begin with a page
    """
    end = base + len(image)
    if base % _PAGE:
        raise DeviceError(f"base = {base:#x}: an image begins at a multiple of {_PAGE:,}; choose {base // _PAGE * _PAGE:#x}")
    if end > 1 << address_bits:
        raise DeviceError(f"base = {base:#x}: the image ends at {end:#x}, and the accelerator has addresses of {address_bits} "
                          "bits; choose a lower one")
    if memory_bytes is not None and end > memory_bytes:
        raise DeviceError(f"the image ends at byte {end:,}, and main memory has {memory_bytes:,}: compile fewer sentences, or "
                          "give the accelerator more memory")
    for first in range(0, len(image), _PIECE):
        yield WriteMemory(base + first, bytes(image[first: first + _PIECE]))


def set_base(config, base, port_bases=()):
    """Write where main memory begins for a program: what is added to every address of it.

    Parameters
    ----------
    config : AcceleratorConfig, which tells how wide addresses are, and how many memory ports there are
    base : the address, of whole pages
    port_bases : the same for each memory port beside the first, see `Program.port_bases`

    Raises
    ------
    DeviceError : there are more or fewer of them than ports, or one is no address of a whole page
    """
    if len(port_bases) != config.memory_ports - 1:
        raise DeviceError(f"port_bases = {tuple(port_bases)}: {config.name} has {config.memory_ports - 1} memory ports beside "
                          "the first; give an address for each")
    for port, place in enumerate(port_bases, 1):
        if place % _PAGE or not 0 <= place < 1 << config.address_bits:
            raise DeviceError(f"port_bases = {tuple(port_bases)}: that of m_axi_{port} is no multiple of {_PAGE:,} below "
                              f"{1 << config.address_bits:#x}; put its stripe where it becomes one")
    yield from _write_address(config, "MEMORY_BASE", base)
    for port, place in enumerate(port_bases, 1):
        yield from _write_address(config, f"PORT_BASE_{port}", place)


def set_windows(config, *, read, write):
    """Confine the accelerator to parts of main memory: an access outside stops the program, and the bus is not asked.

    Parameters
    ----------
    config : AcceleratorConfig
    read, write : (first byte, number of bytes) that it may read, fetches included, and write; whole pages, as the bus has them

    Raises
    ------
    DeviceError : they are no whole pages, or locked
    """
    for what, (first, count) in (("read", read), ("write", write)):
        if first % _PAGE or count % _PAGE or count <= 0 or first + count > 1 << config.address_bits:
            raise DeviceError(f"{what} = ({first:#x}, {count:#x}): a window is of whole pages of {_PAGE:,} bytes, below "
                              f"{1 << config.address_bits:#x}; choose such")
    yield from _unlocked("windows")
    for what, (first, count) in (("READ", read), ("WRITE", write)):
        for name, address in ((f"{what}_BASE", first), (f"{what}_LIMIT", first + count - 1)):
            yield from _write_address(config, name, address)


def set_attributes(*, prot, cache):
    """What goes with every burst: AxPROT and AxCACHE.

    Raises
    ------
    DeviceError : a value has too many bits, or they are locked
    """
    try:
        word = pack(by_name("BUS_ATTRIBUTES"), prot=prot, cache=cache)
    except ValueError as error:
        raise DeviceError(f"{error}: prot has 3 bits and cache 4") from None
    yield from _unlocked("attributes")
    yield from _write("BUS_ATTRIBUTES", word)


def lock():
    """Keep windows and attributes as they are, until the reset pin."""
    yield from _write("ACCESS_LOCK", pack(by_name("ACCESS_LOCK"), locked=1))


def _unlocked(what):
    if (yield from _read("ACCESS_LOCK")):
        raise DeviceError(f"{what} are locked: only the reset pin unlocks them")


def _write_address(config, name, value):
    yield from _write(name, value & 0xFFFF_FFFF)
    if by_name(f"{name}_HI").built(config):
        yield from _write(f"{name}_HI", value >> 32)


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
    further = next(field for field in by_name("CONFIG_BUS").fields if field.name == "further_ports")
    ports = 1 + ((yield from _read("CONFIG_BUS")) >> further.offset & (1 << further.bits) - 1)
    for name, _ in counters_of(ports):
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
    yield from _reset(RESET, "a soft reset", polls)


def scrub(*, polls=_RESET_POLLS):
    """A soft reset that leaves nothing of what was computed: buffers, threshold curves and counters are zero after it.

    A program needs its thresholds and its preload again: `load_program`.

    Raises
    ------
    DeviceError : see `soft_reset`
    """
    yield from _reset(SCRUB, "a scrub", polls)


def _reset(command, what, polls):
    yield from _write("CONTROL", command)
    for _ in range(polls):
        status = yield from _read("STATUS")
        if status == IDLE:
            return
    raise DeviceError(f"the accelerator does not become idle after {what} (status {status:#x}): reset it by its pin")


def load_program(program, *, base=None, port_bases=None, memory_bytes=None, watchdog=None, limit):
    """Get an accelerator ready for a program: identity, image, base, thresholds, interrupts and the preload, if there is one.

    Programs of one image share all but the preload: for another of them, run `preload` alone.

    Parameters
    ----------
    program : Program
    base : address of the image; None: the program's own
    port_bases : see `set_base`; None: every memory port finds its weights in the image
    memory_bytes : see `load_image`
    watchdog : see `set_watchdog`; None leaves it as it is
    limit : see `run`

    Raises
    ------
    DeviceError : see `check_identity` and `load_image`; or the preload does not end, or stops with an error
    """
    base = program.base if base is None else base
    yield from check_identity(program.config)
    yield from load_image(program.image, base, memory_bytes=memory_bytes, address_bits=program.config.address_bits)
    yield from set_base(program.config, base, program.port_bases(base) if port_bases is None else port_bases)
    yield from set_thresholds(program.curves, program.target)
    if watchdog is not None:
        yield from set_watchdog(watchdog)
    yield from enable_interrupts()
    yield from preload(program, limit=limit)


def preload(program, *, limit):
    """Fill the buffers for a program that finds its weights there; nothing where it loads them itself.

    Raises
    ------
    DeviceError : it does not end, or stops with an error
    """
    if program.preload:
        yield from _run_well("the preload", program.preload["entry"], program.preload["instructions"], limit)


def set_sentences(program, sentences, following=None, *, base=None):
    """Let a program that was loaded run other sentences: their token numbers and lengths go to main memory.

    Parameters
    ----------
    program : Program, that of a bucket in which they fit, see `choose`
    sentences : token numbers of each, those that the model adds included
    following : those of the next run, for a program that fetches them meanwhile; its preload fetches `following` as well, so
        that before it these are the same as `sentences`
    base : see `load_program`

    Raises
    ------
    CompileError : the program cannot run them
    """
    base = program.base if base is None else base
    for offset, raw in program.sentence_writes(sentences, following).items():
        yield WriteMemory(base + offset, raw)


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


def read_output(program, name, *, base=None):
    """The integers and floats of an output after a run, see `Program.result`; `base` as in `load_program`."""
    output = program.outputs[name]
    raw = yield ReadMemory((program.base if base is None else base) + output["address"], output["bytes"])
    return program.output(name, raw)
