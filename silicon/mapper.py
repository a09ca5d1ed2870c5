"""Every distinct module mapped once, in parallel, and kept for the next time."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ..sim.cache import digest, kept, package_versions
from . import fan_out, flow
from .errors import SynthesisError

__all__ = ["MappedModule", "map_modules"]

_LIBERTY = "cells.lib"
_LOGIC = 0.75
"""Share of a period that is for logic; the rest is for the flip-flops' setup and delay, and for other modules of the path."""


@dataclass(frozen=True)
class MappedModule:
    """Result of `flow.map_module`.

    Members
    -------
    cells : {cell or child: count}
    macros : [{depth, width, reads, writes}], memories that became SRAM macros
    netlist : Path of the Verilog
    """

    cells: dict
    macros: list
    netlist: Path


def map_modules(modules, library, *, clock=None, jobs=None, done=lambda: None):
    """Map `modules` ({name: DistinctModule}) to `library`; {name: MappedModule}.

    Parameters
    ----------
    clock : MHz to buffer and size for; None for the least area
    jobs : modules mapped at a time (default: one per core)
    done : called after each

    Raises
    ------
    SynthesisError
    """
    liberty = kept("silicon", f"library-{library.name}-{library.digest[:12]}",
                   lambda folder: (folder / _LIBERTY).write_text(library.text)) / _LIBERTY
    settings = {"areas": library.areas}
    if clock:
        settings |= {"delay": round(_LOGIC * 1e6 / clock), "driver": library.inverter, "load": 4 * library.inverter_ff,
                     "buffer": library.buffer}
    identity = [[Path(source.__file__).read_text() for source in (flow, fan_out)], library.digest, settings,
                package_versions("pyosys")]

    def run(module):
        source = module.text + "".join(modules[child].stub for child in sorted({child for _, child in module.instances}))
        target = kept("silicon", f"module-{module.name}-{digest(identity, source)}",
                      lambda folder: _map(folder, source, {**settings, "top": module.name, "liberty": str(liberty)}))
        done()
        return MappedModule(**json.loads((target / "cells.json").read_text()), netlist=target / "netlist.v")

    largest = sorted(modules.values(), key=lambda module: -len(module.text))
    with ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
        pending = [(module.name, pool.submit(run, module)) for module in largest]
        try:
            return {name: future.result() for name, future in pending}
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _map(folder, source, job):
    (folder / "source.il").write_text(source)
    (folder / "job.json").write_text(json.dumps(job))
    with open(folder / "yosys.log", "w") as log:
        command = [sys.executable, "-m", flow.__name__, str(folder)]
        code = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT).returncode
    if code:
        last = " | ".join((folder / "yosys.log").read_text().splitlines()[-3:])
        raise SynthesisError(f"{job['top']}: Yosys failed: {last}")
    for name in ("source.il", "job.json"):
        (folder / name).unlink()
