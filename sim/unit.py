"""Component tests: one call from pytest builds a component's Verilog and runs cocotb tests on it."""

import hashlib
import json
import os
from pathlib import Path

from ..hw.verilog_export import to_verilog
from .cocotb_run import run_cocotb
from .verilator import QUICK, build

__all__ = ["simulate_component", "parameters"]

_TIMEOUT = 900
"""Seconds after which a component test counts as hung."""


def simulate_component(tests, component, *, testcase=None, seed=1, sources=(), **values):
    """Emit, build (cached) and run the cocotb tests of the module `tests`, the caller's `__name__`, against `component`.

    `values` reach the tests through `parameters()`. `testcase` limits the run to one cocotb test.
    """
    top = type(component).__name__.lower()
    model = build(to_verilog(component, top), top, sources=sources, **QUICK)
    identity = hashlib.sha256(json.dumps([model.folder.name, values, testcase, seed]).encode()).hexdigest()[:12]
    logs = Path(os.environ.get("ACCELTRAN_BUILD", "build")).absolute() / "tests" / f"{tests}-{identity}"
    run_cocotb(model, tests, logs, parameters=values, testcase=testcase, seed=seed, timeout=_TIMEOUT)


def parameters():
    """The values given to `simulate_component`, inside the simulation."""
    return json.loads(os.environ["ACCELTRAN_PARAMETERS"])
