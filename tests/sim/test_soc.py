"""The system on chip: its firmware compiles, its Verilog is clean, and the whole of it prints what it has to."""

import json
import subprocess

import pytest

from acceltran.cli import main as cli
from acceltran.cli import soc
from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.sim import soc as simulation
from acceltran.sim.errors import SimulationError
from acceltran.sim.soc import build_firmware, console_text, soc_sources
from acceltran.sim.verilator import toolchain
from support.tools import tool

NANO = AcceleratorConfig.load("nano")
AWKWARD = "a \"good\" film\\ - très bon ??!"
SENTENCES = [
    {"text": AWKWARD, "tokens": [1, 2, 3], "logits": [-5, 70000], "frac": 12, "label": "positive", "bucket": 8,
     "instructions": 40},
    {"text": "dull", "tokens": [1], "logits": [3, -3], "frac": 12, "label": "negative", "bucket": 16, "instructions": 41},
]
MODEL = "\n".join(["#include <stdint.h>", 'static const char *const acceltran_model_labels[] = {"negative", "positive"};', ""])


@pytest.fixture
def compiler():
    return tool("riscv64-unknown-elf-gcc")


def headers(sentences=SENTENCES):
    return {"sentences.h": soc.sentences_header(sentences, 1 << 24), "model.h": MODEL}


def test_the_firmware_compiles_without_a_warning(compiler, tmp_path):
    firmware = build_firmware(tmp_path, headers())
    assert 0 < firmware.driver_bytes <= 9216 < len(firmware.image) < 1 << 16
    assert all(one["text"].encode() in firmware.image for one in SENTENCES)


def test_what_the_firmware_prints_is_known():
    assert console_text(NANO, SENTENCES).splitlines()[1:3] == [
        f"> {AWKWARD}", "  positive, logits -5 70000 / 2**12, equal to the golden model; 3 tokens, program for 8, "
        "40 instructions"]


def test_a_missing_compiler_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(simulation.shutil, "which", lambda name: None)
    with pytest.raises(SimulationError, match="apt-get install gcc-riscv64-unknown-elf"):
        build_firmware(tmp_path, headers())


def test_firmware_that_does_not_compile_is_told(compiler, tmp_path):
    with pytest.raises(SimulationError, match="acceltran_model_labels"):
        build_firmware(tmp_path, headers() | {"model.h": ""})


@pytest.mark.parametrize("name", sorted(path.stem for path in soc_sources() if path.stem.startswith("soc_")))
def test_the_verilog_of_the_system_is_clean(name, tmp_path):
    path = next(path for path in soc_sources() if path.stem == name)
    (tmp_path / "firmware.hex").write_text("00000013\n")
    # The processor's 32 address bits, of which a block takes what it needs.
    (tmp_path / "waivers.vlt").write_text("`verilator_config\nlint_off -rule UNUSEDSIGNAL -file \"*\" -match \"*address*\"\n"
                                          "lint_off -rule UNUSEDSIGNAL -file \"*\" -match \"*mem_addr*\"\n")
    done = subprocess.run(["verilator", "--lint-only", "-Wall", "--top-module", name, tmp_path / "waivers.vlt", path],
                          env=toolchain(), cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def run(arguments, capsys):
    try:
        cli.app(arguments, standalone_mode=False)
    except SystemExit as end:
        return end.code, capsys.readouterr()
    return 0, capsys.readouterr()


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--latency", "200", "--shuffle"]], ids=["plain", "slow memory out of order"])
def test_a_processor_runs_the_driver_on_the_rtl(compiler, options, tmp_path, capsys):
    report = tmp_path / "report.json"
    run(["soc", "--json", str(report), *options], capsys)
    seen = json.loads(report.read_text())
    assert seen["equal"] and seen["console"] == seen["expected"]
    assert [len(one["tokens"]) for one in seen["sentences"]] == [10, 4, 27]
    assert [one["bucket"] for one in seen["sentences"]] == [16, 8, 32]
    assert seen["console"].count("equal to the golden model") == 4 and seen["console"].endswith("PASS\n")
