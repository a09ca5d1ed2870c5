"""A system on chip in simulation: a RISC-V processor runs the C driver against the RTL, and talks on a serial line.

The hardware is `hw/verilog/soc`, the firmware `sw/firmware` with the driver of `sw/host/c`. The processor, a PicoRV32, comes
from the package `pythondata-cpu-picorv32`; the compiler for it is Debian's ``gcc-riscv64-unknown-elf``.
"""

import importlib.resources
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pythondata_cpu_picorv32

from ..hw.packaging.wrapper import to_wrapper
from ..hw.spec.error_codes import ErrorCode
from ..hw.spec.registers import config_values
from ..hw.spec.version import version_text
from ..sw.compiler.image import to_hex
from .cocotb_run import run_cocotb
from .design import SIMULATION_SOURCES, accelerator_verilog, simulator_options
from .errors import SimulationError
from .system import write_image
from .verilator import build

__all__ = ["MOST_MEMORY", "Firmware", "SocRun", "build_firmware", "build_soc", "console_text", "memory_size", "run_soc",
           "soc_sources", "soc_verilog"]

MEMORY_BITS = 24
"""Main memory has two to this power bytes, or as many as the image needs."""

MOST_MEMORY = 1 << 31
"""From 0x8000_0000 to the end of the processor's addresses."""

_HARDWARE = Path(__file__).parent.parent / "hw" / "verilog" / "soc"
_SOFTWARE = Path(__file__).parent.parent / "sw"
_TESTBENCH = Path(__file__).parent / "verilog" / "soc_testbench.v"
_SYSTEM = """
module soc_system(input wire clk, input wire rst, output wire finished, output wire trapped);
    soc_testbench #(.DATA({data}), .ADDRESS({address}), .MEMORY_BYTES({memory_bytes})) testbench(.*);
endmodule
"""
_COMPILER = "riscv64-unknown-elf-gcc"
_FLAGS = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Os", "-march=rv32im", "-mabi=ilp32", "-ffreestanding",
          "-ffunction-sections", "-fdata-sections", "-nostdlib", "-Wl,--gc-sections")


@dataclass(frozen=True)
class Firmware:
    """What the processor runs: its memory as bytes, and the bytes of it that the driver takes."""

    image: bytes
    driver_bytes: int


@dataclass(frozen=True)
class SocRun:
    """What a run showed: the text on the serial line, and the clock cycles from reset to its end."""

    console: str
    cycles: int


def soc_sources():
    """Verilog files of the system without the accelerator, the processor included."""
    processor = Path(importlib.resources.files(pythondata_cpu_picorv32)) / "verilog" / "picorv32.v"
    return [processor, *sorted(_HARDWARE.glob("*.v"))]


def soc_verilog(config):
    """The accelerator of `config` with the wrapper through which the system reaches it, as Verilog."""
    return accelerator_verilog(config) + to_wrapper(config)


def build_soc(config, memory_bytes=1 << MEMORY_BITS):
    """Build (or find) the simulator of the system; returns a Build."""
    text = soc_verilog(config) + _SYSTEM.format(data=config.bus_width, address=config.address_bits, memory_bytes=memory_bytes)
    return build(text, "soc_system", sources=[*SIMULATION_SOURCES, _TESTBENCH, *soc_sources()],
                 **simulator_options(text, config))


def build_firmware(folder, headers):
    """Compile the firmware with the driver.

    Parameters
    ----------
    folder : for what the compiler makes
    headers : {name: text} of the headers that tell the firmware its model and sentences

    Returns
    -------
    Firmware

    Raises
    ------
    SimulationError : the compiler is missing or refuses
    """
    if shutil.which(_COMPILER) is None:
        raise SimulationError(f"{_COMPILER} is missing: apt-get install gcc-riscv64-unknown-elf")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in headers.items():
        (folder / name).write_text(text)
    firmware, driver = _SOFTWARE / "firmware", _SOFTWARE / "host" / "c"
    include = [f"-I{driver}", f"-I{firmware}", f"-I{folder}"]
    _run([_COMPILER, *_FLAGS, *include, f"-T{firmware / 'firmware.ld'}", "-o", folder / "firmware.elf", firmware / "start.S",
          firmware / "board.c", firmware / "main.c", driver / "acceltran.c", "-lgcc"])
    _run([_COMPILER, *_FLAGS, *include, "-c", "-o", folder / "driver.o", driver / "acceltran.c"])
    prefix = _COMPILER.removesuffix("gcc")
    _run([f"{prefix}objcopy", "-O", "binary", folder / "firmware.elf", folder / "firmware.bin"])
    text, data, *_ = _run([f"{prefix}size", folder / "driver.o"]).splitlines()[1].split()
    return Firmware((folder / "firmware.bin").read_bytes(), int(text) + int(data))


def _run(command):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SimulationError(f"{Path(str(command[0])).name} failed:\n{done.stderr}")
    return done.stdout


def run_soc(config, firmware, image, folder, *, limit=100_000_000, latency=40, shuffle=False):
    """Run the system until the firmware says that it is done.

    Parameters
    ----------
    config : AcceleratorConfig
    firmware : Firmware
    image : bytes of main memory, from 0x8000_0000 on
    folder : for logs
    limit : of clock cycles
    latency, shuffle : of main memory, see ``acceltran_memory.v``

    Raises
    ------
    SimulationError : the firmware does not end, or the processor met an illegal instruction
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    model = build_soc(config, memory_size(image))
    (folder / "firmware.hex").write_text(to_hex(firmware.image, 4))
    write_image(image, config.bus_width, folder / "image.hex")
    run_cocotb(model, "acceltran.sim.soc_run", folder, parameters={"limit": limit}, plusargs=[
        "+image=image.hex", "+base=80000000", f"+latency={latency}", *(["+shuffle"] if shuffle else [])])
    cycles, trapped = (int(word) for word in (folder / "end.txt").read_text().split())
    console = (folder / "serial.log").read_text(errors="replace")
    if trapped or cycles >= limit:
        what = "met an illegal instruction or access" if trapped else f"did not end within {limit:,} cycles"
        raise SimulationError(f"the processor {what} ({folder / 'serial.log'}):\n{console[-2000:]}")
    return SocRun(console, cycles)


def memory_size(image):
    """Bytes of main memory that hold an image: a power of two."""
    return 1 << max(MEMORY_BITS, (len(image) - 1).bit_length())


def console_text(config, sentences):
    """What the firmware has to print, character by character.

    Parameters
    ----------
    config : AcceleratorConfig
    sentences : of each text, label, logits, frac, tokens, bucket and instructions, see ``sw/firmware/main.c``
    """
    def lines(one):
        yield f"> {one['text']}"
        logits = " ".join(map(str, one["logits"]))
        yield (f"  {one['label']}, logits {logits} / 2**{one['frac']}, equal to the golden model; {len(one['tokens'])} tokens, "
               f"program for {one['bucket']}, {one['instructions']} instructions")

    *others, last = sentences
    return "\n".join([
        f"AccelTran {version_text()}, configuration {config_values(config)['CONFIG_IDENTITY']:08x}",
        *(line for one in others for line in lines(one)),
        f"no memory: {ErrorCode.FETCH_BUS.doc}",
        *lines(last),
        f"outside the window: {ErrorCode.FETCH_WINDOW.doc}",
        *lines(sentences[0]), "PASS", ""])
