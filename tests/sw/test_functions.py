"""Activation functions against double precision, over every argument of every format."""

import pytest
import torch

from acceltran.sw.golden.functions import TableBank, function_format, relu

WIDE = function_format(20)
SCALE = 1 << 16
GELU, TANH = WIDE.gelu_table, WIDE.tanh_table


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
        y = getattr(form, name)(x)
        assert (y.double() - exact(x.double() / scale) * scale).abs().max() < 1
        assert y.min() >= -end and y.max() < end


def test_special_points():
    x = torch.tensor([0, 8 * SCALE, -8 * SCALE, (1 << 23) - 1, -(1 << 23)])
    assert WIDE.gelu(x).tolist() == [0, 8 * SCALE, 0, (1 << 23) - 1, 0]
    assert WIDE.tanh(x).tolist() == [0, SCALE, -SCALE, SCALE, -SCALE]
    assert relu(x).tolist() == [0, 8 * SCALE, 0, (1 << 23) - 1, 0]


def test_symmetry():
    x = torch.arange(1 << 20)
    assert torch.equal(WIDE.tanh(-x), -WIDE.tanh(x))
    assert torch.equal(WIDE.gelu(x) - WIDE.gelu(-x), x)


def test_bank_joins_tables():
    bank = TableBank((GELU, TANH))
    assert bank.input_bits == GELU.input_bits + 1
    for joined, first, second in zip(bank.coefficients, GELU.coefficients, TANH.coefficients, strict=True):
        assert joined.tolist() == first.tolist() + second.tolist()


@pytest.mark.parametrize("width, segments, low", [(20, 128, (8, 256)), (11, 64, (4, 64)), (8, 32, (2, 16))])
def test_coarse_coefficients(width, segments, low):
    form = function_format(width)
    for table in (form.gelu_table, form.tanh_table):
        _, *others = table.coefficients
        for c, step in zip(others, low, strict=True):
            assert len(c) == segments and not (c % step).any() and (c % (2 * step)).any()
