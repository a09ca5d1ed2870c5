"""A memory macro: the one place where storage bits meet the process."""

from pathlib import Path

from amaranth.hdl import ClockSignal, Instance, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Sram", "SRAM_VERILOG"]

SRAM_VERILOG = Path(__file__).parents[1] / "verilog" / "acceltran_sram.v"
"""The behavioural module that a chip designer replaces."""


class Sram(wiring.Component):
    """One synchronous read port (latency 1, data held) and one write port with an enable per lane.

    Parameters
    ----------
    depth, width : words and bits of a word
    lanes : equal parts of a word that are written separately
    name : instance name, for macro maps and simulation logs
    """

    latency = 1

    def __init__(self, *, depth, width, lanes=1, name):
        self._depth, self._width, self._lanes, self._name = depth, width, lanes, name
        address = max(1, (depth - 1).bit_length())
        super().__init__({
            "read_enable": In(1), "read_address": In(address), "read_data": Out(width),
            "write_enable": In(lanes), "write_address": In(address), "write_data": In(width),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.macro = Instance(
            "acceltran_sram",
            p_DEPTH=self._depth, p_WIDTH=self._width, p_LANES=self._lanes, p_NAME=self._name,
            i_clk=ClockSignal(),
            i_read_enable=self.read_enable, i_read_address=self.read_address, o_read_data=self.read_data,
            i_write_enable=self.write_enable, i_write_address=self.write_address, i_write_data=self.write_data,
        )
        return m
