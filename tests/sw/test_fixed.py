"""Fixed-point primitives on single values: ends of words, and ties."""

import pytest
import torch

from acceltran.sw.golden.fixed import leading_one, quantise, round_shift, saturate, shift_signed


def values(*given):
    return torch.tensor(given)


def test_saturate_to_both_ends():
    assert saturate(values(-129, -128, -127, 0, 127, 128), 8).tolist() == [-128, -128, -127, 0, 127, 127]


@pytest.mark.parametrize("shift", [2, torch.full((6,), 2)], ids=["number", "tensor"])
def test_ties_are_rounded_up(shift):
    assert round_shift(values(-6, -5, -2, 1, 2, 6), shift).tolist() == [-1, -1, 0, 0, 1, 2]
    assert round_shift(values(7, -7), 0).tolist() == [7, -7]


def test_a_negative_shift_goes_left():
    assert shift_signed(values(3, -3), -2).tolist() == [12, -12]
    assert shift_signed(values(3, -3), 1).tolist() == [2, -1]


def test_quantised_values_are_the_nearest_ties_up():
    assert quantise(values(0.24, 0.25, 0.5, 0.74, 0.75, -0.25, -0.26, -0.75), 1, 8).tolist() == [0, 1, 1, 1, 2, 0, -1, -1]
    assert quantise(values(63.5, 64.0, -64.0, -65.0), 1, 8).tolist() == [127, 127, -128, -128]


def test_the_leading_one():
    assert leading_one(values(0, 1, 2, 3, 255, 256, (1 << 62) + 1)).tolist() == [0, 0, 1, 1, 7, 8, 62]
