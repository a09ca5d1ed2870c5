"""Crossbar: every output is the input it selects."""

import random

import pytest
from amaranth.hdl import Module
from cocotb.triggers import Timer

from acceltran.hw.streams import crossbar
from acceltran.hw.streams.crossbar import CROSSBAR_VERILOG, Crossbar, route
from acceltran.hw.verilog_export import to_verilog
from acceltran.sim.unit import parameters, simulate_component, simulated
from acceltran.sw.golden.tiles import pack_bits


@simulated()
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
    simulate_component(__name__, Crossbar(**size), sources=[CROSSBAR_VERILOG], **size)


class Routed(Crossbar):
    """A crossbar's ports on what `route` makes."""

    def elaborate(self, platform):
        m = Module()
        m.d.comb += [o.eq(word) for o, word in zip(self.o, route(m, "words", list(self.i), list(self.select)), strict=True)]
        return m


@pytest.mark.parametrize(("inputs", "outputs", "width", "limit", "slices"), [
    (5, 4, 33, 65_535, 1), (5, 4, 33, 165, 1), (5, 4, 33, 164, 2), (3, 7, 20, 50, 3), (8, 2, 5, 8, 5),
])
def test_route(monkeypatch, inputs, outputs, width, limit, slices):
    """Words are chosen slice by slice where a port would be wider than a signal may be."""
    monkeypatch.setattr(crossbar, "LARGEST_SIGNAL", limit)
    size = {"inputs": inputs, "outputs": outputs, "width": width}
    assert to_verilog(Routed(**size), "routed").count("acceltran_crossbar #(") == slices
    simulate_component(__name__, Routed(**size), sources=[CROSSBAR_VERILOG], **size)
