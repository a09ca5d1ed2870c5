"""Any input to every output."""

from pathlib import Path

from amaranth.hdl import Cat, Instance, Module, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["CROSSBAR_VERILOG", "Crossbar", "route"]

CROSSBAR_VERILOG = Path(__file__).parents[1] / "verilog" / "acceltran_crossbar.v"
"""The module behind `Crossbar`, as Verilog with parameters: as Amaranth statements it would grow with inputs times outputs."""

LARGEST_SIGNAL = 65_535
"""Bits of the widest signal that Amaranth makes."""


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


def route(m, name, words, selects):
    """Add crossbars `name` to `m` that choose among `words`, each for as many bits of every word as its ports can have.

    Parameters
    ----------
    words : values of one width
    selects : number of a word, for each output

    Returns
    -------
    list of Value, ``words[select]`` for each of `selects`
    """
    words = [Value.cast(word) for word in words]
    width = len(words[0])
    step = min(width, LARGEST_SIGNAL // max(len(words), len(selects)))
    parts = [[] for _ in selects]
    for n, low in enumerate(range(0, width, step)):
        high = min(low + step, width)
        m.submodules[f"{name}_{n}"] = crossbar = Crossbar(inputs=len(words), outputs=len(selects), width=high - low)
        m.d.comb += [crossbar.i.eq(Cat(word[low:high] for word in words)), crossbar.select.eq(Cat(selects))]
        for output, part in zip(crossbar.o, parts, strict=True):
            part.append(output)
    return [Cat(part) for part in parts]
