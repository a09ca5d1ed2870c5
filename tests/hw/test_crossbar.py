"""Crossbar: every output is the input it selects."""

import random

import cocotb
import pytest
from cocotb.triggers import Timer

from acceltran.hw.crossbar import CROSSBAR_VERILOG, Crossbar
from acceltran.sim.unit import parameters, simulate_component
from acceltran.sw.golden.tiles import pack_bits


@cocotb.test()
async def check_selection(dut):
    inputs, outputs, width = (parameters()[name] for name in ("inputs", "outputs", "width"))
    rng = random.Random(inputs)
    for _ in range(200):
        words = [rng.getrandbits(width) for _ in range(inputs)]
        select = [rng.randrange(inputs) for _ in range(outputs)]
        dut.i.value = pack_bits(words, width)
        dut.select.value = pack_bits(select, max(1, (inputs - 1).bit_length()))
        await Timer(1, "ns")
        assert int(dut.o.value) == pack_bits([words[n] for n in select], width)


@pytest.mark.parametrize(("inputs", "outputs", "width"), [(1, 3, 5), (2, 1, 64), (5, 4, 33), (16, 41, 100)])
def test_crossbar(inputs, outputs, width):
    size = {"inputs": inputs, "outputs": outputs, "width": width}
    simulate_component(Crossbar(**size), sources=[CROSSBAR_VERILOG], **size)
