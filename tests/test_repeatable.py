"""Tests end and repeat: a limit of simulated cycles on each cocotb test, a seed for all that is random, no limit of wall-clock
time."""

import ast
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for folder in ("sim", "tests") for path in (ROOT / folder).rglob("*.py"))

UNLIMITED = "cocotb.test: simulated of sim/unit.py gives a limit"
EARLY = "return: a check that does not apply is one that `where` leaves out"
UNSEEDED = "random without a seed"
CLOCK = "a limit of wall-clock time"

MADE_WITH_A_SEED = {"random.Random", "np.random.default_rng"}
DRAW = {"torch.rand", "torch.randn", "torch.randint", "torch.randperm", "torch.rand_like", "torch.randn_like"}
CLOCKS = {"time.time", "time.monotonic", "time.perf_counter"}
TAKE_CYCLES = {"simulate", "simulate_programs"}
ALLOWED = {
    ("sim/unit.py", UNLIMITED): "it is the one that gives the limit",
    ("tests/conftest.py", UNSEEDED): "seeds for libraries that take none",
    ("tests/support/browser.py", CLOCK): "Chromium is a program from outside, and may hang",
    ("tests/support/mutants.py", CLOCK): "a planted fault may make a test hang; seconds are shown",
    ("tests/support/netlist_mutants.py", CLOCK): "the same",
    ("tests/campaign/__main__.py", CLOCK): "--hours is what a user gives it",
    ("tests/campaign/campaign.py", CLOCK): "the same; seconds are shown",
    ("tests/rtl_coverage/__main__.py", CLOCK): "how long a run took is shown",
    ("tests/cli/test_sweep_engine.py", CLOCK): "an address at which nobody answers",
    ("tests/sim/test_cache.py", CLOCK): "the ages of files",
}
"""Bars of an issue are measured in tests/sim/test_scale.py (building the large presets) and tests/sim/test_models_system.py (a
minute for `make demo`); these compare what a run reports."""


def _check(function):
    return isinstance(function, ast.AsyncFunctionDef) and function.name.startswith("check") and any(
        "simulated" in ast.unparse(decorator) for decorator in function.decorator_list)


def _returns(body):
    """The `return` of a function itself."""
    for node in body:
        if isinstance(node, ast.Return):
            yield node
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _returns(ast.iter_child_nodes(node))


def findings(source):
    """(line, what is wrong) in a module."""
    tree = ast.parse(source)
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}

    def own(node, name):
        """Whether a name is an argument, and not the module."""
        while node := parents.get(node):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and name in {a.arg for a in node.args.args}:
                return True
        return False

    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "test" and ast.unparse(node) == "cocotb.test":
            yield node.lineno, UNLIMITED
        elif isinstance(node, ast.ImportFrom) and node.module == "cocotb" and any(a.name == "test" for a in node.names):
            yield node.lineno, UNLIMITED
        elif _check(node):
            yield from ((found.lineno, EARLY) for found in _returns(node.body))
        elif isinstance(node, ast.Call):
            name, given = ast.unparse(node.func), {k.arg for k in node.keywords}
            package, _, function = name.rpartition(".")
            if name in MADE_WITH_A_SEED or function in ("default_rng", "Generator") and package.endswith("random"):
                wrong = not node.args and "seed" not in given
            elif name in DRAW:
                wrong = "generator" not in given
            else:
                wrong = package in ("random", "np.random", "secrets") and not own(node, "random") or name == "os.urandom"
            if wrong:
                yield node.lineno, UNSEEDED
            if name in CLOCKS or "timeout" in given and name not in TAKE_CYCLES:
                yield node.lineno, CLOCK


def test_every_test_ends_and_repeats():
    names = {path: path.relative_to(ROOT).as_posix() for path in SOURCES}
    found = [(names[path], *one) for path in SOURCES for one in findings(path.read_text())]
    found = [one for one in found if one[2] != CLOCK or one[0].startswith("tests/")]
    assert not [f"{name}:{line}: {what}" for name, line, what in found if (name, what) not in ALLOWED]
    assert {(name, what) for name, _, what in found} >= ALLOWED.keys()


@pytest.mark.parametrize(("source", "what"), [
    ("@cocotb.test()\nasync def check(dut):\n    pass", UNLIMITED),
    ("@cocotb.test(timeout_time=1)\nasync def check(dut):\n    pass", UNLIMITED),
    ("from cocotb import test as check", UNLIMITED),
    ("@simulated()\nasync def check(dut):\n    if dut:\n        return", EARLY),
    ("rng = np.random.default_rng()", UNSEEDED),
    ("np.random.shuffle(x)", UNSEEDED),
    ("random.Random()", UNSEEDED),
    ("def f(x):\n    return random.choice(x)", UNSEEDED),
    ("torch.randn(3, 4)", UNSEEDED),
    ("process.wait(timeout=3)", CLOCK),
    ("assert time.monotonic() - begun < 2", CLOCK),
])
def test_what_would_not_is_found(source, what):
    assert [found for _, found in findings(source)] == [what]


@pytest.mark.parametrize("source", [
    "@simulated(where=len)\nasync def check(dut):\n    def f():\n        return 1\n    f()",
    "np.random.default_rng(1)\nrandom.Random(f'{x}')\ntorch.randn(3, generator=g)",
    "def test(random):\n    assert random.random() < 1",
    "simulate(timeout=20_000)",
])
def test_what_does_is_not(source):
    assert not list(findings(source))


def test_hypothesis_tries_the_same_examples_without_a_deadline():
    assert settings.default.derandomize and settings.default.deadline is None
