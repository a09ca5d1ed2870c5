"""The lists of planted faults: every entry can be planted, and every component has one."""

import ast
from functools import cache
from pathlib import Path

import pytest

from support import mutants
from support.mutants import ROOT, Mutant, MutantError, load, overlay

LEAST = 150

WITHOUT = {
    "sw/compiler/compile.py": "calls the other modules in turn",
    "sw/compiler/expected.py": "what the golden model gave, kept beside a program",
    "sw/compiler/model_header.py": "a text for the C driver, compared by its tests",
    "sw/compiler/program.py": "a record",
    "sw/compiler/room.py": "chooses among splits that all compute the same",
    "sw/compiler/arrange.py": "chooses among plans that all compute the same",
    "sw/compiler/steps/region.py": "records",
    "sw/compiler/steps/store.py": "its region and fields are those of every step",
    "sw/compiler/steps/softmax.py": "its regions and fields are those of every step",
    "sw/compiler/steps/step.py": "what the steps have in common, without a decision",
    "hw/cluster.py": "only connects",
}
"""Files that no fault is planted in, and why."""

ENTRIES = load()


def components(path):
    """Names of the classes of a file that are components."""
    return [node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)
            and any(ast.unparse(base) == "wiring.Component" for base in node.bases)]


@cache
def functions(path):
    """Names of the test functions of a file."""
    return {node.name for node in ast.parse((ROOT / path).read_text()).body
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_fault_can_be_planted():
    assert len(ENTRIES) >= LEAST
    for mutant in ENTRIES:
        mutant.source()


@pytest.mark.parametrize("mutant", ENTRIES, ids=lambda one: one.name)
def test_the_tests_named_exist(mutant):
    for test in mutant.tests:
        file, _, name = test.partition("::")
        assert (ROOT / file).is_file(), test
        assert not name or name.partition("[")[0] in functions(file), test


def test_every_component_and_every_part_of_the_compiler_has_one():
    parts = [path for path in (ROOT / "hw").rglob("*.py") if components(path)]
    parts += [path for path in (ROOT / "sw" / "compiler").rglob("*.py") if path.name != "__init__.py"]
    named = {mutant.file for mutant in ENTRIES}
    assert {str(path.relative_to(ROOT)) for path in parts} - named == set(WITHOUT)


def fault(**changes):
    return Mutant(**{"name": "a/b", "file": "hw/streams/round_robin.py", "old": "turn.eq(", "new": "turn.eq(1 | ",
                     "tests": ("tests/hw/test_round_robin.py",)} | changes)


@pytest.mark.parametrize(("changes", "message"), [
    ({"file": "hw/streams/no.py"}, "is no file"),
    ({"file": "tests/test_mutants.py"}, "is no file"),
    ({"old": "turn.eq(0)"}, "occurs 0 times"),
    ({"old": "turn"}, "times in hw/streams/round_robin.py, it must occur once"),
    ({"new": "turn.eq("}, "changes nothing"),
    ({"new": "turn.eq(("}, "is no Python"),
])
def test_what_cannot_be_planted_is_refused(changes, message):
    with pytest.raises(MutantError, match=message):
        fault(**changes).source()


@pytest.mark.parametrize(("text", "message"), [
    ("name = ", "is no list"),
    ('[[fault]]\nname = "a"', "is no list"),
    ('[[mutant]]\nname = "a"', r"entry 1 \(a\): file is missing"),
    ('[[mutant]]\nname = "a"\nfile = "f"\nold = "o"\nnew = "n"\ntests = "t"', "tests is missing or no list"),
    ('[[mutant]]\nname = "a"\nfile = "f"\nold = "o"\nnew = "n"\ntests = []', "tests is empty"),
    ('[[mutant]]\nname = "a"\nfile = "f"\nold = "o"\nnew = "n"\ntests = ["t"]\nwhy = "x"', "has no field why"),
    (2 * '[[mutant]]\nname = "a"\nfile = "f"\nold = "o"\nnew = "n"\ntests = ["t"]\n', "a name that occurs twice"),
])
def test_lists_that_cannot_be_read_are_refused(text, message, tmp_path):
    (tmp_path / "list.toml").write_text(text)
    with pytest.raises(MutantError, match=message):
        load(tmp_path)


def test_an_overlay_differs_in_the_file_that_is_changed():
    with overlay({"hw/streams/round_robin.py": "changed"}) as folder:
        packages = folder / "acceltran"
        assert (packages / "hw/streams/round_robin.py").read_text() == "changed"
        assert (packages / "hw/streams/skid_buffer.py").resolve() == ROOT / "hw/streams/skid_buffer.py"
        assert not (packages / "hw/streams/__pycache__").exists()
        made, there = packages.rglob("*.py"), [path for name in mutants.PACKAGES for path in (ROOT / name).rglob("*.py")]
        assert len(list(made)) == len(there)
    assert "changed" not in (ROOT / "hw/streams/round_robin.py").read_text()
    assert not Path(folder).exists()
