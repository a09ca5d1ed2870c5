"""Netlists with a fault of Yosys's: what is equal is proved, what is not is found, and the same faults come again."""

from pathlib import Path

import pytest

from support.netlist_mutants import BLOCKS, equal, mutations, netlist, planted


@pytest.mark.parametrize("block", ["skid_buffer", "requantise"])
def test_a_block_equals_itself_and_nothing_else(block, tmp_path):
    make, test = BLOCKS[block]
    component = make()
    top = type(component).__name__.lower()
    right = netlist(component, top, tmp_path)
    assert equal(right, right, top)
    faults = mutations(right, 3, 1)
    assert faults == mutations(right, 3, 1) and len(set(faults)) == 3
    wrong, verilog = planted(right, faults[0], "wrong")
    assert equal(right, wrong, top) is False
    assert f"module {top}(" in verilog.read_text()
    assert (Path(__file__).parents[2] / test.partition("::")[0]).is_file()
