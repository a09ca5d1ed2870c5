"""Activation functions against double precision, over every 24-bit argument."""

import pytest
import torch

from acceltran.sw.golden.functions import GELU, TANH, TableBank, gelu, relu, tanh

SCALE = 1 << 16


def exact_gelu(x):
    return x / 2 * torch.special.erfc(-x * 0.5**0.5)


@pytest.mark.parametrize("function, exact", [(gelu, exact_gelu), (tanh, torch.tanh)])
def test_error_below_one_unit_everywhere(function, exact):
    for start in range(-(1 << 23), 1 << 23, 1 << 20):
        x = torch.arange(start, start + (1 << 20))
        y = function(x)
        assert (y.double() - exact(x.double() / SCALE) * SCALE).abs().max() < 1
        assert y.min() >= -(1 << 23) and y.max() < 1 << 23


def test_special_points():
    x = torch.tensor([0, 8 * SCALE, -8 * SCALE, (1 << 23) - 1, -(1 << 23)])
    assert gelu(x).tolist() == [0, 8 * SCALE, 0, (1 << 23) - 1, 0]
    assert tanh(x).tolist() == [0, SCALE, -SCALE, SCALE, -SCALE]
    assert relu(x).tolist() == [0, 8 * SCALE, 0, (1 << 23) - 1, 0]


def test_symmetry():
    x = torch.arange(1 << 20)
    assert torch.equal(tanh(-x), -tanh(x))
    assert torch.equal(gelu(x) - gelu(-x), x)


def test_bank_joins_tables():
    bank = TableBank((GELU, TANH))
    assert bank.input_bits == GELU.input_bits + 1
    for joined, first, second in zip(bank.coefficients, GELU.coefficients, TANH.coefficients, strict=True):
        assert joined.tolist() == first.tolist() + second.tolist()


def test_coarse_coefficients():
    for table in (GELU, TANH):
        _, c1, c2 = table.coefficients
        assert not (c1 % 8).any() and not (c2 % 256).any()
