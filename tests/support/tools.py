"""Simulators of the system that some tests run; where one is missing, the test is skipped and says what to install."""

import shutil
from pathlib import Path

import pytest

__all__ = ["PACKAGES", "debian_verilator", "tool"]

PACKAGES = {"iverilog": "iverilog", "vvp": "iverilog", "yosys": "yosys", "verilator": "verilator", "cc": "gcc",
            "tclsh": "tcl", "make": "make", "riscv64-unknown-elf-gcc": "gcc-riscv64-unknown-elf", "chromium": "chromium"}
"""Debian's package of each program."""


def tool(name, folder=None):
    """The path of a program, of any folder in which programs are looked for, or of this one."""
    path = shutil.which(name, path=folder)
    if path is None:
        place = f" in {folder}" if folder else ""
        pytest.skip(f"{name} is missing{place}: apt-get install {PACKAGES[name]}")
    return Path(path)


def debian_verilator():
    """Debian's Verilator, an older one than the package that the project itself uses."""
    return tool("verilator", "/usr/bin")
