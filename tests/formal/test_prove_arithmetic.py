"""Requantise, DynaTran and rounding equal their golden formulas for every input of small words."""

import pytest
from amaranth.hdl import Array, Const, Mux, Signal, signed

from acceltran.hw.post_process import dynatran, requantise
from support.contracts import Contract, prove, refute
from support.mutation import mutated


def clamped(value, width):
    """The golden `saturate`."""
    low, high = -(1 << (width - 1)), (1 << (width - 1)) - 1
    return Mux(value > high, high, Mux(value < low, low, value))


def shifted(module, input_width, output_width, left, right):
    """Of the golden `requantise` for every shift: floor(x / 2**shift + 1/2), or x * 2**-shift, saturated."""
    component = module.Requantise(input_width=input_width, output_width=output_width, left=left, right=right)
    c, golden = Contract(component), []
    for shift in range(-left, right + 1):
        wide = component.x << -shift if shift <= 0 else ((component.x >> (shift - 1)) + 1) >> 1
        word = Signal(signed(len(wide) + 1), name=f"by_{shift + left}")
        c.m.d.comb += word.eq(wide)
        golden.append(clamped(word, output_width))
    result = Signal(signed(output_width))
    c.m.d.comb += result.eq(Array(golden)[component.amount])
    c.promise("golden", (component.amount > left + right) | (component.o == result))
    return c


@pytest.mark.parametrize("widths", [(6, 4, 2, 5), (4, 6, 3, 3)])
def test_requantise(widths):
    prove(shifted(requantise, *widths))


@pytest.mark.prove
@pytest.mark.parametrize("widths", [(10, 3, 1, 12), (24, 20, 8, 20), (29, 8, 24, 63)])
def test_requantise_of_the_presets(widths):
    prove(shifted(requantise, *widths), seconds=200)


@pytest.mark.parametrize(("old", "new"), [
    ("value[1:] + value[0]", "value[1:]"),
    ("lost.append(shifted[len(kept):].any())", "lost.append(0)"),
    ("~sign & rounded[-1]", "rounded[-1] & 0"),
    ("Cat((~sign).replicate(width - 1), sign)", "Cat((~sign).replicate(width - 1), ~sign)"),
    ("window ^ sign.replicate(width + 1)", "window"),
    ("sign.replicate(self._left + 1)", "sign.replicate(self._left)"),
])
def test_requantise_fault(old, new):
    refute(shifted(mutated(requantise, old, new), 6, 4, 2, 5), "golden")


def pruned(module, tile, width):
    """The golden `prune`: values whose magnitude is below the threshold become zero."""
    component = module.DynaTran(tile=tile, width=width)
    c = Contract(component)
    for x, o in zip(component.i, component.o, strict=True):
        magnitude = Mux(x < 0, Const(0, signed(width + 1)) - x, x)
        c.promise("golden", o == Mux(magnitude < component.tau, 0, x))
    return c


@pytest.mark.parametrize(("tile", "width"), [(2, 4), (2, 8), (2, 20)])
def test_dynatran(tile, width):
    prove(pruned(dynatran, tile, width))


@pytest.mark.parametrize(("old", "new"), [
    ("magnitude < bound", "magnitude <= bound"),
    ("Mux(self.tau == 0, 0, Cat(1, self.tau - 1))", "Cat(1, self.tau - 1)"),
    ("Cat(1, self.tau - 1)", "Cat(0, self.tau)"),
    ("Cat(x[-1], Mux", "Cat(0, Mux"),
    ("Mux(x[-1], ~x[:-1], x[:-1])", "x[:-1]"),
])
def test_dynatran_fault(old, new):
    refute(pruned(mutated(dynatran, old, new), 2, 8), "golden")
