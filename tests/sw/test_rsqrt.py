"""Reciprocal square root: exhaustive error bound, range, octave seam."""

import torch

from acceltran.hw.spec.rsqrt import FRACTION, MANTISSA
from acceltran.sw.golden.fixed import leading_one
from acceltran.sw.golden.rsqrt import rsqrt


def test_error_of_every_argument():
    u = torch.arange(1 << FRACTION + 1)
    a = (1 + (u & (1 << FRACTION) - 1).double() / 2**FRACTION) * (1 + (u >> FRACTION))
    y = rsqrt(u)
    error = (y.double() / 2**MANTISSA - a.rsqrt()).abs().max() * 2**16
    assert error <= 0.5
    assert int(y.min()) == 1 << MANTISSA - 1 and int(y.max()) == (1 << MANTISSA) - 1


def test_monotone_within_a_unit():
    y = rsqrt(torch.arange(1 << FRACTION + 1))
    assert int((y[1:] - y[:-1]).max()) <= 1


def test_leading_one():
    x = torch.tensor([0, 1, 2, 3, 4, 2**31, 2**32 - 1, 2**62, 2**63 - 1] + [1 << n for n in range(63)])
    assert leading_one(x).tolist() == [max(int(v).bit_length() - 1, 0) for v in x]
