"""Imports stand at the top of a module, and none imports a test module: what tests share is in tests/support."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("hw", "sw", "sim", "silicon", "cli")
RUNS_TESTS = "tests/rtl_coverage/runs.py"
"""Runs tests themselves, for what they cover."""


def inner_imports(source):
    """Lines of the imports inside a function."""
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from (node.lineno for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom))


@pytest.mark.parametrize("package", PACKAGES)
def test_no_function_imports(package):
    """What is loaded late is loaded by `cli/late.py`."""
    found = [f"{path.relative_to(ROOT)}:{line}" for path in sorted((ROOT / package).rglob("*.py"))
             for line in inner_imports(path.read_text())]
    assert not found


def test_a_function_that_imports_is_found():
    assert list(inner_imports("import a\n\n\ndef f():\n    if f:\n        from a import b\n")) == [6]


def imported(source):
    """Modules that a module imports, by their dotted names."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_no_test_module_imports_another():
    found = [f"{path.relative_to(ROOT)}: {name}" for path in sorted((ROOT / "tests").rglob("*.py"))
             if path != ROOT / RUNS_TESTS
             for name in imported(path.read_text()) if name.rpartition(".")[2].startswith("test_")]
    assert not found
    assert any(name.startswith("test_") for name in imported((ROOT / RUNS_TESTS).read_text()))


def test_a_test_module_that_is_imported_is_found():
    assert list(imported("from test_a import b\nimport test_c\n")) == ["test_a", "test_c"]
