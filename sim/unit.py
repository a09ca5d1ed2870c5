"""Component tests: one call from pytest builds a component's Verilog and runs cocotb tests on it."""

import hashlib
import json
import os
from pathlib import Path

import cocotb

from ..hw.verilog_export import to_verilog
from .clock import PERIOD
from .cocotb_run import PARAMETERS, run_cocotb
from .verilator import QUICK, build

__all__ = ["parameters", "simulate_component", "simulated"]


def simulated(cycles=100_000, *, where=None):
    """Decorator that makes a cocotb test of a coroutine; this one and not ``cocotb.test``, for none runs without a limit.

    Parameters
    ----------
    cycles : of the clock after which the test fails, or a function that gives them for the `parameters()`
    where : function of the `parameters()` that says whether the test applies; where it does not, there is none
    """
    def decorate(test):
        if PARAMETERS not in os.environ:  # Outside of a simulation, where pytest reads the module too.
            return test
        given = parameters()
        if where and not where(given):
            return None
        limit = cycles(given) if callable(cycles) else cycles
        return cocotb.test(timeout_time=limit * PERIOD, timeout_unit="ns")(test)

    return decorate


def simulate_component(tests, component, *, testcase=None, seed=1, sources=(), **values):
    """Emit, build (cached) and run the cocotb tests of the module `tests`, the caller's `__name__`, against `component`.

    `values` reach the tests through `parameters()`. `testcase` limits the run to one cocotb test.
    """
    top = type(component).__name__.lower()
    model = build(to_verilog(component, top), top, sources=sources, **QUICK)
    identity = hashlib.sha256(json.dumps([model.folder.name, values, testcase, seed]).encode()).hexdigest()[:12]
    logs = Path(os.environ.get("ACCELTRAN_BUILD", "build")).absolute() / "tests" / f"{tests}-{identity}"
    run_cocotb(model, tests, logs, parameters=values, testcase=testcase, seed=seed)


def parameters():
    """The values given to `simulate_component`, inside the simulation."""
    return json.loads(os.environ[PARAMETERS])
