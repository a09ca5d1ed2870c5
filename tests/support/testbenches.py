"""Generated testbenches, and Icarus to run them."""

import shutil
import subprocess

from acceltran.hw.buffer.sram import SRAM_VERILOG
from acceltran.hw.generate import WAIVERS
from acceltran.hw.packaging.wrapper import WRAPPER, to_wrapper
from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.hw.streams.crossbar import CROSSBAR_VERILOG
from acceltran.sim.design import accelerator_verilog
from acceltran.sim.testbench import compile_texts, make_testbench
from acceltran.sw.models.tiny_encoder import TINY_SHAPES, tiny_encoder

from .tools import tool

__all__ = ["NANO", "ODD", "icarus", "smallest", "write"]

NANO = AcceleratorConfig.load("nano")

ODD = AcceleratorConfig(
    name="odd", tile=8, integer_bits=3, fraction_bits=8, grid_rows=1, grid_columns=2, psum_tiles=2, lines_per_beat=1, window=2,
    activation_banks=2, weight_banks=2, activation_tiles=64, weight_tiles=16, vector_lines=32, bus_width=64,
)


def smallest(config, **options):
    """The smallest encoder: (Program, golden tensors)."""
    checkpoint, texts = tiny_encoder(config, **TINY_SHAPES[-1])
    return compile_texts(config, checkpoint, texts, calibration_texts=texts, **options)


def write(folder, program, golden, accelerator=None):
    """A design with its testbench, as `generate` writes it, but with Verilog from the cache, or with a stand-in."""
    folder.mkdir(exist_ok=True)
    for path in (SRAM_VERILOG, CROSSBAR_VERILOG, WAIVERS):
        shutil.copy(path, folder)
    (folder / "accelerator.v").write_text(accelerator or accelerator_verilog(program.config))
    (folder / WRAPPER).write_text(to_wrapper(program.config))
    for name, text in make_testbench(program, golden, folder).items():
        (folder / name).write_text(text)
    return folder


def icarus(folder, standard="2005", top="testbench", **parameters):
    """Compile a testbench; returns a function that runs it with plusargs: exit code and lines."""
    simulator = folder / f"{top}-{standard}"
    subprocess.run([
        tool("iverilog"), f"-g{standard}", "-o", simulator, "-s", top, *(f"-P{top}.{n}={v}" for n, v in parameters.items()),
        "-f", folder / "testbench.f"], check=True, cwd="/")

    def run(*plusargs, stop=False):
        done = subprocess.run([tool("vvp"), *(["-N"] if stop else []), simulator, *plusargs], check=True and not stop, cwd="/",
                              capture_output=True, text=True)
        return done.returncode, done.stdout.splitlines()

    return run
