"""The golden 2^-x against float64: every fraction, and whole range."""

import torch

from acceltran.hw.spec.exponential import ARGUMENT_FRAC, EXPONENTIAL_FRAC
from acceltran.sw.golden.exponential import exponential, exponential_of_fraction

UNIT = 2.0**-16


def test_every_fraction():
    u = torch.arange(1 << ARGUMENT_FRAC)
    y = exponential_of_fraction(u)
    error = y.double() / 2**EXPONENTIAL_FRAC - torch.exp2(-u.double() / 2**ARGUMENT_FRAC)
    assert error.abs().max() < 0.9 * UNIT
    assert y.min() >= 1 << (EXPONENTIAL_FRAC - 1)
    assert y.max() < 1 << EXPONENTIAL_FRAC


def test_every_argument_until_it_vanishes():
    x = torch.arange(26 << ARGUMENT_FRAC)
    for frac in (EXPONENTIAL_FRAC, 24):
        error = exponential(x, frac).double() / 2**frac - torch.exp2(-x.double() / 2**ARGUMENT_FRAC)
        assert error.abs().max() < 0.9 * UNIT + 2.0**-frac


def test_far_arguments_are_zero():
    assert exponential(torch.tensor([30 << ARGUMENT_FRAC, 1 << 40]), 24).tolist() == [0, 0]
