"""Fixed-point primitives on integer tensors (int64): the integers every hardware block must give.

A tensor with binary point f holds ``round(x * 2**f)``.
"""

import torch

__all__ = ["saturate", "round_shift", "shift_signed", "quantise", "leading_one"]


def saturate(x, width):
    """Clamp to a signed word of `width` bits."""
    return x.clamp(-(1 << (width - 1)), (1 << (width - 1)) - 1)


def round_shift(x, shift):
    """Shift right by `shift` >= 0 rounding half up: floor(x / 2**shift + 1/2). Error <= 1/2 unit of the result."""
    if isinstance(shift, int):
        return x if shift == 0 else ((x >> (shift - 1)) + 1) >> 1
    return ((x << 1 >> shift) + 1) >> 1


def shift_signed(x, shift):
    """Shift right with rounding for `shift` >= 0, left (exact) for `shift` < 0."""
    return round_shift(x, shift) if shift >= 0 else x << -shift


def quantise(x, frac, width):
    """Float tensor to integers with binary point `frac`, round half up, saturated. Error <= 2**-(frac+1) in range."""
    return saturate(torch.floor(x.double() * 2.0**frac + 0.5).to(torch.int64), width)


def leading_one(x):
    """Index of the highest set bit of each positive int64 (0 for 0)."""
    index = torch.zeros_like(x)
    for step in (32, 16, 8, 4, 2, 1):
        high = x >> step
        take = high > 0
        x, index = torch.where(take, high, x), torch.where(take, index + step, index)
    return index
