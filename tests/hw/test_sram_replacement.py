"""The worked example of docs/sram.md: the SRAM made of macros of SKY130 does what the behavioural one does."""

import shutil
import subprocess
from pathlib import Path

import pytest

from acceltran.hw.buffer.sram import SRAM_VERILOG
from support.testbenches import NANO, icarus, smallest, write
from support.tools import tool

EXAMPLE = SRAM_VERILOG.parent / "examples" / "acceltran_sram_sky130.v"
MODELS = Path(__file__).parents[1] / "support" / "verilog"
MACROS = MODELS / "sky130_sram_macros.v"

SHAPES = {
    "one_macro": (256, 32, 1), "of_one_word": (1, 5, 1), "a_word_too_many": (257, 7, 1), "one_large_macro": (512, 64, 1),
    "one_and_a_half": (768, 40, 2), "a_word_in_the_last_bank": (513, 32, 1), "two_and_a_word_too_many": (1281, 80, 4),
    "wide": (1024, 160, 1), "many_banks": (2048, 96, 2), "lanes_of_odd_bits": (300, 21, 3),
}


def traffic(folder, shape, example, *, cycles=4000):
    """Random traffic on both; what is said of it."""
    depth, width, lanes = shape
    other = folder / "other.v"
    other.write_text(example.replace("module acceltran_sram ", "module acceltran_sram_other "))
    parameters = {"DEPTH": depth, "WIDTH": width, "LANES": lanes, "CYCLES": cycles}
    subprocess.run([tool("iverilog"), "-g2005", "-o", folder / "traffic", "-s", "sram_traffic",
                    *(f"-Psram_traffic.{name}={value}" for name, value in parameters.items()), SRAM_VERILOG, other, MACROS,
                    MODELS / "sram_traffic.v"], check=True)
    return subprocess.run([tool("vvp"), "-n", folder / "traffic"], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_example_is_an_sram(tmp_path, shape):
    assert traffic(tmp_path, shape, EXAMPLE.read_text()).startswith("PASS: ")


@pytest.mark.parametrize(("old", "new"), [
    ("fresh ? bank_read[chosen] : kept", "bank_read[chosen]"),
    ("bank_read[chosen]", "bank_read[0]"),
    ("write_enable[n / LANE_BYTES]", "writing"),
    ("csb0(!write_here)", "csb0(!writing)"),
    ("LAST <= SMALL", "LAST <= SMALL + 1"),
], ids=["not_held", "always_the_first_bank", "all_lanes", "every_bank_written", "last_bank_too_small"])
def test_a_wrong_one_is_found(tmp_path, old, new):
    text = EXAMPLE.read_text()
    assert old in text
    assert traffic(tmp_path, SHAPES["two_and_a_word_too_many"], text.replace(old, new)).startswith("FAIL: ")


def test_the_whole_accelerator_runs_with_macros(tmp_path):
    folder = write(tmp_path / "nano", *smallest(NANO, target_sparsity=0.25))
    shutil.copy(EXAMPLE, folder / SRAM_VERILOG.name)
    with (folder / "testbench.f").open("a") as files:
        files.write(f"{MACROS}\n")
    assert icarus(folder)()[1][-1].startswith("PASS: all 1 outputs equal, ")
