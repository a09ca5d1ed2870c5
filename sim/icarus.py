"""Builds for Icarus Verilog: four states, event by event; slow, and strict where Verilator is not."""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import cocotb_tools.config

from .build_folder import cache_folder
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
    """Compile `verilog`, a text with module `top`, together with `sources`.

    Raises
    ------
    SimulationError : Icarus is missing or fails
    """
    if shutil.which("iverilog") is None:
        raise SimulationError("iverilog is missing: apt-get install iverilog")
    identity = hashlib.sha256(repr([verilog, standard, [Path(s).read_text() for s in sources]]).encode()).hexdigest()[:16]
    folder = cache_folder() / f"{top}-icarus-{identity}"
    folder.mkdir(parents=True, exist_ok=True)
    text, target = folder / f"{top}.v", folder / f"{top}.vvp"
    text.write_text("`timescale 1ns / 1ps\n" + verilog)
    run_tool(["iverilog", f"-g{standard}", "-o", str(target), "-s", top, str(text), *map(str, sources)], None,
             folder / "build.log")
    return IcarusBuild(target, top)
