"""Imports stand at the top of a module: what is loaded late is loaded by `cli/late.py`."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("hw", "sw", "sim", "silicon", "cli")


def inner_imports(source):
    """Lines of the imports inside a function."""
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from (node.lineno for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom))


@pytest.mark.parametrize("package", PACKAGES)
def test_no_function_imports(package):
    found = [f"{path.relative_to(ROOT)}:{line}" for path in sorted((ROOT / package).rglob("*.py"))
             for line in inner_imports(path.read_text())]
    assert not found


def test_a_function_that_imports_is_found():
    assert list(inner_imports("import a\n\n\ndef f():\n    if f:\n        from a import b\n")) == [6]
