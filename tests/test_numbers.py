"""Every fault that was found in use and mended has a test that carries its number: ``test_h1_...``."""

import re
from pathlib import Path

import pytest

MENDED = (
    *(f"h{n}" for n in range(1, 6)), *(f"v{n}" for n in range(1, 7)), "v10",
    *(f"m{n}" for n in (1, 2, 3, 4, 7, 8, 12, 13, 14)), *(f"d{n}" for n in range(1, 6)), "p1", "p2", "p5", "p6",
)
"""Faults of the hardware, of the Verilog, with models, with data files, of measurements."""


@pytest.fixture(scope="module")
def tests():
    return set(re.findall(r"^def test_([a-z]\d+)_", "\n".join(
        path.read_text() for path in Path(__file__).parent.rglob("test_*.py")), re.MULTILINE))


@pytest.mark.parametrize("number", MENDED)
def test_has_a_test(tests, number):
    assert number in tests
