"""DynaTran's threshold calculator: from a wanted sparsity and a profiled curve to tau."""

__all__ = ["KNOTS", "threshold"]

KNOTS = 9
"""Knots of a curve, at the sparsities 0, 1/8, ... 1."""


def threshold(knots, target):
    """Interpolate linearly: the tau at which `target`/256 of the values become zero.

    ``k[n] + ((k[n+1] - k[n]) * (target % 32) >> 5)`` with ``n = target // 32``, rounded down; ``k[8]`` from 256 on.

    Parameters
    ----------
    knots : int64 tensor or array of shape (..., 9), tau at the sparsities n/8 in units of the pruned tensor
    target : int from 0, the wanted sparsity in 1/256

    Returns
    -------
    the same of shape (...), between the two knots around the target
    """
    n, fraction = divmod(min(target, 256), 32)
    low, high = knots[..., n], knots[..., min(n + 1, KNOTS - 1)]
    return low + ((high - low) * fraction >> 5)
