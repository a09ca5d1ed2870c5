"""The generated files in the tools that others use: linters, synthesis, two generations of each standard."""

import json
import os
import subprocess
from collections import Counter

import pytest

from acceltran.hw.generate import generate
from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.sim.icarus import STANDARDS
from acceltran.sim.verilator import toolchain
from support.tools import debian_verilator, tool

ODD = AcceleratorConfig(
    name="odd", tile=8, integer_bits=3, fraction_bits=8, grid_rows=1, grid_columns=2, psum_tiles=2, lines_per_beat=2, window=4,
    operand_slots=3, activation_banks=4, weight_banks=2, activation_tiles=64, weight_tiles=16, vector_lines=32, bus_width=256,
    softmax_units=2, layernorm_units=1, layernorm_slices=2, functions=("gelu", "tanh"), wires="long",
)
SLANG_MAY_SAY = {"SignConversion", "ArithOpMismatch", "SignCompare", "EmptyOutputPortConn"}
"""Arithmetic that mixes $signed with plain vectors of the same width, as Yosys writes it; ports that lead
nowhere, where no one asked for observation."""


@pytest.fixture(scope="module", params=["nano", pytest.param("odd", marks=pytest.mark.slow)])
def design(request, tmp_path_factory):
    """A generated folder."""
    folder = tmp_path_factory.mktemp("generated") / request.param
    generate(AcceleratorConfig.load("nano") if request.param == "nano" else ODD, folder)
    return folder


def run(*command, cwd, env=None):
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_wrapper_is_the_top(design):
    manifest = json.loads((design / "manifest.json").read_text())
    assert manifest["top"] == "acceltran" and manifest["files"].keys() == {path.name for path in design.iterdir()} - {
        "manifest.json"}


@pytest.mark.parametrize("version", ["packaged", pytest.param("debian", marks=pytest.mark.slow)])
def test_v4_lint_from_any_folder_says_nothing(design, version, tmp_path):
    if version == "packaged":
        env = toolchain()
        verilator = tool("verilator", env["PATH"])
    else:
        verilator, env = debian_verilator(), {k: v for k, v in os.environ.items() if k != "VERILATOR_ROOT"}
    code, said = run(verilator, "--lint-only", "-Wall", design / "waivers.vlt", "-f", design / "files.f", cwd=tmp_path, env=env)
    assert (code, [line for line in said.splitlines() if "arning" in line or "rror" in line]) == (0, [])


def test_v4_a_moved_folder_has_a_list_of_its_own(design, tmp_path):
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in design.iterdir():
        (moved / path.name).write_bytes(path.read_bytes())
    code, said = run(tool("iverilog"), "-g2005", "-o", os.devnull, "-s", "acceltran", "-f", "relative.f", cwd=moved)
    assert (code, said) == (0, "")


@pytest.mark.parametrize("standard", STANDARDS)
def test_v4_icarus_compiles_it(design, standard, tmp_path):
    code, said = run(tool("iverilog"), f"-g{standard}", "-Wall", "-Wno-timescale", "-o", os.devnull, "-s", "acceltran", "-f",
                     design / "files.f", cwd=tmp_path)
    assert code == 0 and "error" not in said


def test_v4_yosys_of_debian_reads_and_checks_it(design):
    yosys = tool("yosys", "/usr/bin")
    sources = " ".join((design / "files.f").read_text().split())
    passes = f"read_verilog {sources}; hierarchy -check -top acceltran; proc; check -assert"
    code, said = run(yosys, "-q", "-p", passes, cwd=design)
    assert code == 0, said[-2000:]
    assert {line.split(":")[1].split("\\")[0].strip() for line in said.splitlines() if line.startswith("Warning")} <= {
        "Replacing memory"}


def test_v4_slang_finds_no_error(design):
    from pyslang import driver

    slang = driver.Driver()
    slang.addStandardArgs()
    sources = " ".join(f'"{path}"' for path in (design / "files.f").read_text().splitlines())
    assert slang.parseCommandLine(f"slang --top acceltran -Weverything {sources}")
    assert slang.processOptions() and slang.parseAllSources()
    found = slang.createCompilation().getAllDiagnostics()
    severity = Counter((str(slang.diagEngine.getSeverity(d.code, d.location)).rpartition(".")[2],
                        str(d.code).removeprefix("DiagCode(").removesuffix(")")) for d in found)
    assert {name for kind, name in severity if kind != "Ignored"} <= SLANG_MAY_SAY, severity
    assert not any(kind in ("Error", "Fatal") for kind, _ in severity)
