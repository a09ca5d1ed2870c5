"""Compiled programs with some instructions changed, run one after the other from one main memory."""

import json
import tempfile
from pathlib import Path

from acceltran.hw.spec.isa import encode
from acceltran.sim.cocotb_run import run_cocotb
from acceltran.sim.design import build_system
from acceltran.sim.system import RunResult, read_memory, write_image

from .axi_monitor import check_monitored, monitor_sources

__all__ = ["MEMORY_BITS", "MEMORY_END", "monitored_system", "play", "with_other"]

MEMORY_BITS = 20
MEMORY_END = 1 << MEMORY_BITS
WATCHDOG = 100_000


def monitored_system(config):
    """The simulator of a configuration with a monitor at every memory port, whose main memory can answer with errors."""
    with tempfile.TemporaryDirectory() as folder:
        return build_system(config, memory_bits=MEMORY_BITS, sources=monitor_sources(config, Path(folder)), faults=True)


def play(program, runs, folder, *plusargs):
    """Instructions behind the image of a program, one run after the other.

    Parameters
    ----------
    program : Program, whose image lies at address 0
    runs : ([(Opcode, fields)], {option of `support.error_runs`: value}) of each
    folder : for logs
    plusargs : of the simulator

    Returns
    -------
    list of what was seen in each run, and a RunResult with main memory afterwards
    """
    image, listed = bytearray(program.image), []
    bases = {f"PORT_BASE_{port}": base for port, base in enumerate(program.port_bases(0), 1)}
    for instructions, options in runs:
        image += bytes(-len(image) % 64)
        registers = bases | {"READ_LIMIT": 0xFFFF_FFFF} | options.get("registers", {})
        listed.append({"address": len(image), "length": len(instructions), "watchdog": WATCHDOG, "cut": None, "look": False,
                       **options, "registers": registers})
        image += b"".join(encode(opcode, **values) for opcode, values in instructions)
    assert len(image) <= MEMORY_END, f"{len(image)} bytes: give fewer runs"
    write_image(image, program.config.bus_width, folder / "image.hex")
    run_cocotb(monitored_system(program.config), "support.error_runs", folder,
               plusargs=["+image=image.hex", *plusargs], parameters={"runs": listed})
    check_monitored(folder, program.config.memory_ports)
    return json.loads((folder / "result.json").read_text()), RunResult(
        folder=folder, status=0, error=None, counters={}, intervals=(), started=0, build_seconds=0, simulation_seconds=0,
        memory=read_memory(folder / "memory.log"))


def with_other(program, number, **fields):
    """The instructions of a program, one of them changed."""
    opcode, values = program.instructions[number]
    return [*program.instructions[:number], (opcode, values | fields), *program.instructions[number + 1:]]
