"""Every distinct module mapped once, in parallel, and kept for the next time."""

import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ..hw.spec.files import replacing, write_text
from . import fan_out, flow
from .design import silicon_folder
from .errors import SynthesisError

__all__ = ["MappedModule", "map_modules"]

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
    folder = silicon_folder()
    folder.mkdir(parents=True, exist_ok=True)
    liberty = folder / f"{library.name}-{library.digest[:12]}.lib"
    if not liberty.exists():
        write_text(liberty, library.text)
    settings = {"areas": library.areas}
    if clock:
        settings |= {"delay": round(_LOGIC * 1e6 / clock), "driver": library.inverter, "load": 4 * library.inverter_ff,
                     "buffer": library.buffer}
    sources = b"".join(Path(source.__file__).read_bytes() for source in (flow, fan_out))
    identity = sources + library.digest.encode() + json.dumps(settings).encode()

    def run(module):
        source = module.text + "".join(modules[child].stub for child in sorted({child for _, child in module.instances}))
        digest = hashlib.sha256(identity + source.encode()).hexdigest()[:20]
        target = folder / "modules" / f"{module.name}-{digest}"
        if not target.exists():
            _map(target, source, {**settings, "top": module.name, "liberty": str(liberty)})
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


def _map(target, source, job):
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target, keep=True) as new:
        new.mkdir()
        (new / "source.il").write_text(source)
        (new / "job.json").write_text(json.dumps(job))
        with open(new / "yosys.log", "w") as log:
            command = [sys.executable, "-m", flow.__name__, str(new)]
            code = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT).returncode
        if code:
            last = " | ".join((new / "yosys.log").read_text().splitlines()[-3:])
            raise SynthesisError(f"{job['top']}: Yosys failed: {last}")
        (new / "source.il").unlink()
