"""The smoke test of every generated accelerator: it passes, also through FuseSoC, and finds what is wrong."""

import shutil
import subprocess
from dataclasses import replace

import pytest

from acceltran.hw.buffer.sram import SRAM_VERILOG
from acceltran.hw.generate import SOURCES, WAIVERS, package
from acceltran.hw.packaging.smoke_testbench import SMOKE_TESTBENCH
from acceltran.hw.streams.crossbar import CROSSBAR_VERILOG
from acceltran.sim.design import accelerator_verilog
from support.configs import CONFIGS
from support.fusesoc import fusesoc
from support.testbenches import NANO
from support.tools import tool

WIDE = replace(NANO, name="wide", bus_width=512, address_bits=64, memory_ports=2, weight_banks=2)
"""With long addresses and a second memory port."""
PASS = "PASS: registers, a program, an error, a soft reset and a program again"


def write(config, folder):
    """A design with its package, as `generate` writes it, but with Verilog from the cache."""
    for path in (SRAM_VERILOG, CROSSBAR_VERILOG, WAIVERS):
        shutil.copy(path, folder)
    for name, text in {"accelerator.v": accelerator_verilog(config), **package(config, {})}.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def nano(tmp_path_factory):
    """The folder of the smallest accelerator."""
    return write(NANO, tmp_path_factory.mktemp("nano"))


def run(*command, cwd):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def smoke(design, folder, standard="2001", **changed):
    """Run the test with some of the files changed; exit code and what it says last."""
    for name, (old, new) in changed.items():
        text = (design / f"{name}.v").read_text()
        assert text.count(old) == 1
        (folder / f"{name}.v").write_text(text.replace(old, new))
    files = [folder / name if (folder / name).exists() else design / name for name in (*SOURCES, SMOKE_TESTBENCH)]
    code, said = run(tool("iverilog"), f"-g{standard}", "-Psmoke_testbench.TIMEOUT=1000", "-o", folder / "smoke",
                     "-s", "smoke_testbench", *files, cwd=folder)
    assert (code, said) == (0, "")
    code, said = run(tool("vvp"), "-N", folder / "smoke", "+stop", cwd=folder)
    return code, said.splitlines()[0]


@pytest.mark.parametrize("standard", ["2001", "2012"])
def test_it_passes(nano, tmp_path, standard):
    assert smoke(nano, tmp_path, standard) == (0, PASS)


@pytest.mark.parametrize("config", [CONFIGS["one_by_two"], pytest.param(WIDE, marks=pytest.mark.slow)], ids=lambda c: c.name)
def test_it_passes_with_a_wide_bus(config, tmp_path):
    design = write(config, tmp_path)
    assert smoke(design, tmp_path) == (0, PASS)
    if config.memory_ports > 1:
        cut = {"acceltran": (".m_axi_1__arvalid(m_axi_1_arvalid)", ".m_axi_1__arvalid()")}
        assert smoke(design, tmp_path, **cut) == (1, "FAIL: a write, or a read of weights, that no one asked for")


@pytest.mark.parametrize(("changed", "reason"), [
    ({"acceltran": (".rst(!aresetn)", ".rst(aresetn)")}, "no answer to the "),
    ({"acceltran": (".irq(interrupt)", ".irq()")}, "interrupt is not 0 before the start"),
    ({"acceltran": (".m_axi__araddr(m_axi_araddr)", ".m_axi__araddr()")}, "a read outside the program"),
    ({"acceltran": (".m_axi__rresp(m_axi_rresp)", ".m_axi__rresp(2'd0)")}, "STATUS is 0x00000005, expected 0x00000008"),
    ({"smoke_testbench": ("0] = 64'h0000000000000001", "0] = 64'h0000000000000000")}, "STATUS is 0x00000008"),
    ({"smoke_testbench": ("32'hacce17a2", "32'hacce17a3")}, "ID is 0xacce17a2, expected 0xacce17a3"),
], ids=["reset", "interrupt", "address", "response", "program", "another_accelerator"])
def test_it_finds(nano, tmp_path, changed, reason):
    code, said = smoke(nano, tmp_path, **changed)
    assert code == 1 and said.startswith(f"FAIL: {reason}"), said


@pytest.mark.parametrize(("target", "program"), [("lint", "verilator"), ("sim", "iverilog")], ids=["lint", "sim"])
def test_fusesoc_runs(nano, target, program, tmp_path):
    tool(program), tool("make")
    code, said = fusesoc(nano, target, tmp_path)
    assert code == 0 and "arning" not in said, said
    assert (PASS in said) == (target == "sim")


def test_fusesoc_prepares_synthesis(nano, tmp_path):
    code, said = fusesoc(nano, "synth", tmp_path, "--setup")
    assert code == 0 and "arning" not in said, said
    assert any("synth_ecp5" in script.read_text() for script in tmp_path.rglob("*.tcl"))
