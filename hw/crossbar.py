"""Any input to every output."""

from pathlib import Path

from amaranth.hdl import Cat, Instance, Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["CROSSBAR_VERILOG", "Crossbar"]

CROSSBAR_VERILOG = Path(__file__).parent / "verilog" / "acceltran_crossbar.v"
"""The module behind `Crossbar`, as Verilog with parameters: as Amaranth statements it would grow with inputs times outputs."""

_CELL_BITS = (1 << 16) - 1
"""Amaranth's limit for the outputs of an instance; more outputs are several instances."""


class Crossbar(wiring.Component):
    """Output n carries input ``select[n]``; combinational.

    Parameters
    ----------
    inputs, outputs : how many
    width : bits of each

    Members
    -------
    i : In(ArrayLayout(width, inputs))
    select : In(ArrayLayout(range(inputs), outputs)), at least one bit each
    o : Out(ArrayLayout(width, outputs))
    """

    def __init__(self, *, inputs, outputs, width):
        self._inputs, self._outputs, self._width = inputs, outputs, width
        super().__init__({
            "i": In(data.ArrayLayout(width, inputs)),
            "select": In(data.ArrayLayout(max(1, (inputs - 1).bit_length()), outputs)),
            "o": Out(data.ArrayLayout(width, outputs)),
        })

    def elaborate(self, platform):
        m = Module()
        most = max(1, _CELL_BITS // self._width)
        for first in range(0, self._outputs, most):
            count = min(most, self._outputs - first)
            m.submodules[f"outputs_{first}"] = Instance(
                "acceltran_crossbar", p_INPUTS=self._inputs, p_OUTPUTS=count, p_WIDTH=self._width, i_i=self.i.as_value(),
                i_select=Cat(self.select[n] for n in range(first, first + count)),
                o_o=Cat(self.o[n] for n in range(first, first + count)),
            )
        return m
