"""Activation functions against double precision, over every argument of every format."""

import pytest
import torch

from acceltran.hw.spec.activations import function_format
from acceltran.hw.spec.table_bank import TableBank
from acceltran.sw.golden.functions import activate, relu

WIDE = function_format(20)
SCALE = 1 << 16
GELU, TANH = WIDE.table("gelu"), WIDE.table("tanh")


def exact_gelu(x):
    return x / 2 * torch.special.erfc(-x * 0.5**0.5)


def test_formats():
    assert [(f.bits, f.frac) for f in map(function_format, (8, 9, 13, 14, 20, 24))] == [
        (18, 10), (19, 11), (23, 15), (24, 16), (24, 16), (24, 16)]


@pytest.mark.parametrize("width", [8, 9, 10, 11, 12, 13, 20])
@pytest.mark.parametrize("name, exact", [("gelu", exact_gelu), ("tanh", torch.tanh)])
def test_error_below_one_unit_everywhere(width, name, exact):
    form = function_format(width)
    end, scale = 1 << (form.bits - 1), 1 << form.frac
    for start in range(-end, end, 1 << 17):
        x = torch.arange(start, start + (1 << 17))
        y = activate(name, x, form)
        assert (y.double() - exact(x.double() / scale) * scale).abs().max() < 1
        assert y.min() >= -end and y.max() < end


def test_special_points():
    x = torch.tensor([0, 8 * SCALE, -8 * SCALE, (1 << 23) - 1, -(1 << 23)])
    assert activate("gelu", x, WIDE).tolist() == [0, 8 * SCALE, 0, (1 << 23) - 1, 0]
    assert activate("tanh", x, WIDE).tolist() == [0, SCALE, -SCALE, SCALE, -SCALE]
    assert relu(x).tolist() == [0, 8 * SCALE, 0, (1 << 23) - 1, 0]


def test_symmetry():
    x = torch.arange(1 << 20)
    assert torch.equal(activate("tanh", -x, WIDE), -activate("tanh", x, WIDE))
    assert torch.equal(activate("gelu", x, WIDE) - activate("gelu", -x, WIDE), x)


def test_bank_joins_tables():
    bank = TableBank((GELU, TANH))
    assert bank.input_bits == GELU.input_bits + 1
    for joined, first, second in zip(bank.coefficients, GELU.coefficients, TANH.coefficients, strict=True):
        assert joined.tolist() == first.tolist() + second.tolist()


@pytest.mark.parametrize("width, segments, low", [(20, 128, (8, 256)), (11, 64, (4, 64)), (8, 32, (2, 16))])
def test_coarse_coefficients(width, segments, low):
    form = function_format(width)
    for table in (form.table("gelu"), form.table("tanh")):
        _, *others = table.coefficients
        for c, step in zip(others, low, strict=True):
            assert len(c) == segments and not (c % step).any() and (c % (2 * step)).any()
