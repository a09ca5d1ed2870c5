"""The exact integer product: what the PE grid accumulates, before the post-process."""

import torch

__all__ = ["matmul"]

_EXACT_BITS = 53


def matmul(a, b):
    """Product of int64 matrices (leading dimensions broadcast), every integer exact.

    Through float64 BLAS where every partial sum fits its 53-bit significand, with `b` cut into high and low digits
    where it does not, and in int64 arithmetic where even one digit would not fit.

    Parameters
    ----------
    a : int64 Tensor [..., I, K]
    b : int64 Tensor [..., K, J]

    Returns
    -------
    int64 Tensor [..., I, J]

    Raises
    ------
    OverflowError : when a sum could exceed 63 bits
    """
    if not a.numel() or not b.numel():
        return torch.zeros((*a.shape[:-1], b.shape[-1]), dtype=torch.int64)
    largest_a, largest_b = int(a.abs().max()), int(b.abs().max())
    room = a.shape[-1] * largest_a
    bound = room * largest_b
    if bound >> 63:
        raise OverflowError(f"a sum of {a.shape[-1]} products of {largest_a} and {largest_b} exceeds 63 bits")
    if not bound >> _EXACT_BITS:
        return (a.double() @ b.double()).to(torch.int64)
    digit = _EXACT_BITS - room.bit_length()
    if digit < 8:
        return a @ b
    high = b >> digit
    return (matmul(a, high) << digit) + matmul(a, b - (high << digit))
