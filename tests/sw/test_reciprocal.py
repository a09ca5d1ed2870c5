"""The golden 1/x against float64: every normalised argument, and every exponent."""

import pytest
import torch

from acceltran.sw.golden.reciprocal import ARGUMENT_FRAC, RECIPROCAL_FRAC, TABLE, leading_one, reciprocal

UNIT = 2.0**-16


def test_every_table_argument():
    u = torch.arange(1 << ARGUMENT_FRAC)
    error = TABLE(u).double() / 2**RECIPROCAL_FRAC - 1 / (1 + u.double() / 2**ARGUMENT_FRAC)
    assert error.abs().max() < 0.65 * UNIT


def test_every_normalised_argument():
    x = torch.arange(1 << 20, 1 << 21)
    r, exponent = reciprocal(x)
    assert (exponent == 20).all()
    assert (r.double() / 2**RECIPROCAL_FRAC - 2.0**20 / x.double()).abs().max() <= UNIT
    assert r.min() >= 1 << (RECIPROCAL_FRAC - 1)
    assert r.max() < 1 << RECIPROCAL_FRAC


@pytest.mark.parametrize("bits", range(1, 41))
def test_every_exponent(bits):
    low = 1 << (bits - 1)
    x = torch.tensor([low, low + 1, 2 * low - 1, low + low // 2, low + low // 3]).clamp(max=2 * low - 1)
    r, exponent = reciprocal(x)
    assert (exponent == bits - 1).all()
    assert (r.double() / 2**RECIPROCAL_FRAC - low / x.double()).abs().max() <= UNIT


def test_leading_one():
    assert leading_one(torch.tensor([0, 1, 2, 3, (1 << 40) - 1, 1 << 40])).tolist() == [0, 0, 1, 1, 39, 40]
    assert reciprocal(torch.tensor([0]))[0].tolist() == reciprocal(torch.tensor([1]))[0].tolist()
