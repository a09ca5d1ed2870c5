"""Builds for Icarus Verilog: four states, event by event; slow, and strict where Verilator is not."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import cocotb_tools.config

from .cache import digest, kept
from .errors import SimulationError
from .verilator import run_tool

__all__ = ["STANDARDS", "IcarusBuild", "build_icarus"]

STANDARDS = ("2005", "2012")
"""Generations of the language, as ``iverilog -g`` names them: Verilog-2005 and SystemVerilog-2012."""


@dataclass(frozen=True)
class IcarusBuild:
    """A compiled design; like `Build`, it can be given to `run_cocotb`."""

    path: Path
    top: str
    seconds: float = 0.0

    @property
    def command(self):
        """The simulator with cocotb in it."""
        return ["vvp", "-m", str(cocotb_tools.config.libs_dir / "libcocotbvpi_icarus.so"), str(self.path)]


def build_icarus(verilog, top, *, sources=(), standard="2012"):
    """Compile (or find in the cache) `verilog`, a text with module `top`, together with `sources`.

    Raises
    ------
    SimulationError : Icarus is missing or fails
    """
    if shutil.which("iverilog") is None:
        raise SimulationError("iverilog is missing: apt-get install iverilog")
    version = subprocess.run(["iverilog", "-V"], capture_output=True, text=True, check=False).stdout.splitlines()[:1]
    identity = digest(verilog, standard, [Path(s).read_text() for s in sources], version)

    def make(folder):
        text = folder / f"{top}.v"
        text.write_text("`timescale 1ns / 1ps\n" + verilog)
        run_tool(["iverilog", f"-g{standard}", "-o", str(folder / f"{top}.vvp"), "-s", top, str(text), *map(str, sources)],
                 None, folder / "build.log")

    return IcarusBuild(kept("simulators", f"{top}-icarus-{identity}", make) / f"{top}.vvp", top)
