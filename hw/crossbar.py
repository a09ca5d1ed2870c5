"""Any input to every output."""

from pathlib import Path

from amaranth.hdl import Instance, Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["CROSSBAR_VERILOG", "Crossbar"]

CROSSBAR_VERILOG = Path(__file__).parent / "verilog" / "acceltran_crossbar.v"
"""The module behind `Crossbar`, as Verilog with parameters: as Amaranth statements it would grow with inputs times outputs."""


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
        self._parameters = {"p_INPUTS": inputs, "p_OUTPUTS": outputs, "p_WIDTH": width}
        super().__init__({
            "i": In(data.ArrayLayout(width, inputs)),
            "select": In(data.ArrayLayout(max(1, (inputs - 1).bit_length()), outputs)),
            "o": Out(data.ArrayLayout(width, outputs)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.crossbar = Instance(
            "acceltran_crossbar", **self._parameters,
            i_i=self.i.as_value(), i_select=self.select.as_value(), o_o=self.o.as_value(),
        )
        return m
