"""Run a compiled program on the RTL of a whole accelerator."""

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from amaranth.lib import data

from ..hw.control.layouts import ENGINES, TIMELINE
from ..sw.compiler.image import to_hex
from ..sw.host import Outcome
from .clock import cycle_at
from .cocotb_run import run_cocotb
from .design import build_system
from .errors import SimulationError

__all__ = ["Interval", "RunResult", "largest_memory", "memory_bits_for", "read_memory", "read_timeline", "simulate",
           "simulate_programs", "write_image"]

_LEAST_BITS, _MOST_BITS = 27, 32
"""Of the simulated main memory's addresses: small programs share one build; instructions address no more."""

_MOST_WORDS = 1 << 28
"""Elements of the largest array that Verilator takes."""

WORDS_AT_ONCE = 1 << 16
"""Of an image, while it is written as text."""


@dataclass(frozen=True)
class Interval:
    """An instruction in its engine: from the cycle it was taken to the one it was complete."""

    engine: str
    number: int
    start: int
    end: int


@dataclass(frozen=True)
class RunResult:
    """What a simulation showed.

    ``counters`` are the performance counters by name, ``intervals`` the timeline in order of completion, ``started`` the
    cycle in which the program was started. ``folder`` holds the logs of buffer and memory writes; these and
    ``simulation_seconds`` are those of all programs of the simulation.
    """

    folder: Path
    status: int
    error: str | None
    counters: dict
    intervals: tuple[Interval, ...]
    started: int
    build_seconds: float
    simulation_seconds: float
    memory: dict = field(repr=False)

    def memory_bytes(self, address, count):
        """Bytes that the accelerator wrote to main memory from byte `address` of the bus on; zeros where it did not."""
        return bytes(self.memory.get(n, 0) for n in range(address, address + count))


def simulate(config, image, *, program_address, program_length, preload=None, **options):
    """Run a program from a main-memory image (bytes, from `base` on) until the interrupt; returns its RunResult.

    Parameters
    ----------
    preload : (address, length) of a program that runs before, whose cycles, instructions and counters do not show
    config, options : as in `simulate_programs`

    Raises
    ------
    SimulationError : see `simulate_programs`
    """
    programs = [*([preload] if preload else []), (program_address, program_length)]
    return simulate_programs(config, image, programs, **options)[-1]


def simulate_programs(config, image, programs, *, folder, base=0, port_bases=(), curves=(), target=0, watchdog=1 << 22,
                      timeout=200_000_000, log_activations=True, activity=False, waves=False, latency=40, memory_bits=None,
                      stall=0.0, stall_seed=1, power_up=None, model=None):
    """Run programs from one main-memory image (bytes), one after the other, each until the interrupt.

    The buffers keep their content in between. After a program that stops with an error no other is started.

    Parameters
    ----------
    config : AcceleratorConfig
    programs : (address, length) of each; addresses, those of instructions too, count from `base`
    base : address of main memory's first byte, of whole pages; the memory answers there and nowhere else
    port_bases : what the memory ports beside the first add to addresses, see `set_base`
    curves : knots of the threshold curves; `target` the wanted sparsity in 1/256
    folder : where logs and results go
    log_activations : log every write to the activation buffer, for `sim.replay`
    activity : log which PEs and units work in each cycle
    waves : record an FST of everything (another, slower build)
    stall, stall_seed : share of cycles in which main memory holds each handshake back, at random; a list has one of each port
    latency : cycles from a read's address to its first data; a list has those of each memory port
    memory_bits : main memory has two to this power bytes; None for as many as the image needs, see `memory_bits_for`
    power_up : seed of what registers and memories hold before the reset; None: zeros
    model : a Build of this system, if the caller has one, or a function of ``memory_bits`` that gives it; the options of the
        build are then the caller's own

    Returns
    -------
    list of RunResult, one for each program that ran

    Raises
    ------
    SimulationError : a program does not end within `timeout` cycles, or the model is of another configuration
    """
    memory_bits = memory_bits or memory_bits_for(len(image))
    if callable(model):
        model = model(memory_bits=memory_bits)
    model = model or build_system(config, waves=waves, memory_bits=memory_bits)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_image(image, config.bus_width, folder / "image.hex")
    plusargs = ["+image=image.hex", *_of_ports("latency", latency), f"+base={base:x}"]
    if log_activations:
        plusargs += [f"+activation_{kind}_{n}" for kind in ("lines", "masks") for n in range(config.cluster.activation_banks)]
    if stall:
        shares = [round(256 * share) for share in stall] if isinstance(stall, list) else round(256 * stall)
        plusargs += [*_of_ports("stall", shares), f"+stall_seed={stall_seed}"]
    if activity:
        plusargs.append("+activity")
    if power_up is not None:
        plusargs += ["+verilator+rand+reset+2", f"+verilator+seed+{power_up}"]
    started = time.monotonic()
    run_cocotb(model, "acceltran.sim.system_run", folder, plusargs=[*plusargs, *(["--trace"] if waves else [])], parameters={
        "config": config.to_dict(),
        "curves": [list(map(int, knots)) for knots in curves],
        "target": int(target),
        "base": base,
        "port_bases": list(port_bases),
        "watchdog": watchdog,
        "programs": list(programs),
        "timeout": timeout,
    })
    seconds = time.monotonic() - started
    seen = json.loads((folder / "result.json").read_text())
    if "refused" in seen:
        raise SimulationError(seen["refused"])
    memory = read_memory(folder / "memory.log")
    results = []
    for raw in seen["runs"]:
        outcome = Outcome(**raw["outcome"])
        if not raw["ended"]:
            raise SimulationError(
                f"no interrupt after {timeout} cycles (status {outcome.status:#x}, counters {raw['counters']})")
        results.append(RunResult(
            folder=folder, status=outcome.status, error=outcome.error, counters=raw["counters"],
            intervals=read_timeline(folder / "timeline.log", raw["started"], raw["woken"]), started=raw["started"],
            build_seconds=model.seconds, simulation_seconds=seconds, memory=memory,
        ))
    return results


def _of_ports(name, value):
    """Arguments for a value of all memory ports, or a list of values of each."""
    first, *others = value if isinstance(value, list) else [value]
    return [f"+{name}={first}", *(f"+{name}_{port}={other}" for port, other in enumerate(others, 1))]


def memory_bits_for(size):
    """Address bits of the simulated main memory that holds an image of `size` bytes."""
    return max(_LEAST_BITS, (size - 1).bit_length())


def largest_memory(config):
    """Bytes of the largest main memory that instructions address and this machine can simulate, a power of two."""
    held = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    largest = min(1 << _MOST_BITS, _MOST_WORDS * config.bus_width // 8)
    return min(largest, 1 << max(_LEAST_BITS, held.bit_length() - 1))


def write_image(image, bus_width, path):
    """Write main memory from its first byte on, for +image of the simulated memory."""
    size = bus_width // 8
    with open(path, "w") as file:
        for start in range(0, len(image), WORDS_AT_ONCE * size):
            file.write(to_hex(image[start: start + WORDS_AT_ONCE * size], size))


def read_memory(path):
    """Bytes by address from the log of the simulated memory."""
    memory = {}
    for line in path.read_text().splitlines():
        _, address, strobe, word = line.split()
        raw = bytes.fromhex(word)[::-1]
        enabled = int(strobe, 16)
        for n, value in enumerate(raw):
            if enabled >> n & 1:
                memory[int(address) + n] = value
    return memory


def read_timeline(path, first, last):
    """Intervals of the program that ran from cycle `first` to cycle `last`."""
    started, intervals = {}, []
    for line in path.read_text().splitlines():
        when, word = line.split()
        cycle = cycle_at(int(when))
        if not first <= cycle <= last:
            continue
        trace = data.Const(TIMELINE, int(word, 16))
        for engine in ENGINES:
            if trace[engine].start:
                started[engine, trace[engine].start_number] = cycle
            if trace[engine].done:
                number = trace[engine].done_number
                intervals.append(Interval(engine, number, started.pop((engine, number), cycle), cycle))
    return tuple(intervals)
