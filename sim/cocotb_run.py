"""Run a built model under cocotb in a process of its own."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import cocotb_tools.config
import find_libpython

from .errors import SimulationError
from .verilator import toolchain

__all__ = ["PARAMETERS", "run_cocotb"]

PARAMETERS = "ACCELTRAN_PARAMETERS"
"""The variable of the environment in which the parameters reach the tests, as JSON."""

_EXPLAINED = "test_*.py"
"""Files whose failing assertions show their values. By itself cocotb rewrites the assertions of every library, in each run."""


def run_cocotb(build, module, folder, *, parameters=None, testcase=None, seed=1, plusargs=()):
    """Run the cocotb tests of Python module `module` against `build`; raises SimulationError unless all pass.

    `parameters` reach the tests through `sim.unit.parameters`; `testcase` is a regular expression that test names must
    match; `folder` holds the log and the results.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    results = folder / "results.xml"
    results.unlink(missing_ok=True)
    env = toolchain()
    env |= {
        "COCOTB_TEST_MODULES": module,
        "COCOTB_TOPLEVEL": build.top,
        "TOPLEVEL_LANG": "verilog",
        "COCOTB_RESULTS_FILE": str(results),
        "COCOTB_RANDOM_SEED": str(seed),
        "COCOTB_REWRITE_ASSERTION_FILES": _EXPLAINED,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "COCOTB_TRUST_INERTIAL_WRITES": "1",
        "COCOTB_LOG_LEVEL": os.environ.get("COCOTB_LOG_LEVEL", "WARNING"),
        "PYGPI_PYTHON_BIN": sys.executable,
        "GPI_USERS": f"{find_libpython.find_libpython()};{cocotb_tools.config.pygpi_entry_point()}",
        "LD_LIBRARY_PATH": os.pathsep.join([str(cocotb_tools.config.libs_dir), *filter(None, [env.get("LD_LIBRARY_PATH")])]),
        "PYTHONPATH": os.pathsep.join([*filter(None, sys.path), env.get("PYTHONPATH", "")]),
        PARAMETERS: json.dumps(parameters or {}),
    }
    if testcase:
        env["COCOTB_TEST_FILTER"] = testcase
    log = folder / "simulation.log"
    with open(log, "w") as handle:
        code = subprocess.run([*build.command, *plusargs], env=env, cwd=folder, stdout=handle, stderr=subprocess.STDOUT,
                              check=False).returncode
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-40:])
    if not results.exists():
        raise SimulationError(f"the simulation ended with status {code} and no result ({log}):\n{tail}")
    cases = ElementTree.parse(results).getroot().findall(".//testcase")
    failed = [case.get("name") for case in cases if case.find("failure") is not None or case.find("error") is not None]
    if not cases:
        raise SimulationError(f"no cocotb test in {module} ({log}):\n{tail}")
    if failed:
        raise SimulationError(f"failed: {', '.join(failed)} ({log}):\n{tail}")

