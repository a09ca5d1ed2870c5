"""The golden log2 against float64: every normalised argument, and every length."""

import pytest
import torch

from acceltran.hw.spec.logarithm import ARGUMENT_FRAC, LOGARITHM_FRAC, TABLE
from acceltran.sw.golden.interpolate import interpolate
from acceltran.sw.golden.logarithm import logarithm

UNIT = 2.0**-16


def error(x):
    return (logarithm(x).double() / 2**LOGARITHM_FRAC - x.double().log2()).abs().max()


def test_every_table_argument():
    u = torch.arange(1 << ARGUMENT_FRAC)
    exact = (1 + u.double() / 2**ARGUMENT_FRAC).log2()
    assert (interpolate(TABLE, u).double() / 2**LOGARITHM_FRAC - exact).abs().max() < 0.6 * UNIT


def test_every_normalised_argument():
    assert error(torch.arange(1 << 20, 1 << 21)) < UNIT


@pytest.mark.parametrize("bits", range(1, 42))
def test_every_length(bits):
    low = 1 << (bits - 1)
    x = torch.tensor([low, low + 1, 2 * low - 1, low + low // 2, low + low // 3]).clamp(max=2 * low - 1)
    assert error(x) < UNIT


def test_powers_of_two_are_exact_and_zero_is_taken_as_one():
    x = torch.tensor([1, 2, 1 << 30, 0])
    assert logarithm(x).tolist() == [0, 1 << 16, 30 << 16, 0]
