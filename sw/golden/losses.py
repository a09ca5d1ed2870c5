"""What rounding to words loses: values that saturate, values that vanish, and the distance from the float ones."""

from dataclasses import dataclass, fields, replace

import torch

__all__ = ["SIGNIFICANT", "Losses", "vanished"]

SIGNIFICANT = 2.0**-10
"""Smaller values than this share of their row's root mean square are nothing that could be missed."""


def vanished(exact, rounded, least=0.0):
    """Which values became zero though they are significant in their row.

    Parameters
    ----------
    exact : float64 [..., columns], before rounding
    rounded : int64 of the same shape, before anything is pruned
    least : smaller magnitudes are not significant either
    """
    limit = (SIGNIFICANT * exact.square().mean(-1, keepdim=True).sqrt()).clamp(min=least)
    return (rounded == 0) & (exact != 0) & (exact.abs() >= limit)


@dataclass(frozen=True, kw_only=True)
class Losses:
    """Of one tensor, or of several together.

    Parameters
    ----------
    values : elements that were compared
    saturated, vanished : how many of them met an end of their word, or became zero, see `vanished`
    max_error : largest difference from the float values
    largest : largest magnitude of the float values
    product, squares, float_squares, error : sums over all values of the product with the float ones, of their squares, of the
        float ones' squares and of the squared differences
    """

    values: int = 0
    saturated: int = 0
    vanished: int = 0
    max_error: float = 0.0
    largest: float = 0.0
    product: float = 0.0
    squares: float = 0.0
    float_squares: float = 0.0
    error: float = 0.0

    @classmethod
    def between(cls, got, want, **counts):
        """The distance of `got` from `want`, tensors of one shape."""
        got, want = got.double(), want.double()
        if not want.numel():
            return cls(**counts)
        difference = got - want
        return cls(values=want.numel(), max_error=float(difference.abs().max()), largest=float(want.abs().max()),
                   product=float((got * want).sum()), squares=float(got.square().sum()),
                   float_squares=float(want.square().sum()), error=float(difference.square().sum()), **counts)

    @classmethod
    def of_constant(cls, values, integers, frac, least=0.0):
        """Of float `values`, by rows, that are held as `integers` with binary point `frac`; `least` as for `vanished`."""
        exact = values.double() * 2.0**frac
        clipped = (torch.floor(exact + 0.5).to(torch.int64) != integers).sum()
        return cls.between(integers * 2.0**-frac, values, saturated=int(clipped),
                           vanished=int(vanished(exact, integers, least * 2.0**frac).sum()))

    def __add__(self, other):
        largest = {name: max(getattr(self, name), getattr(other, name)) for name in ("max_error", "largest")}
        return replace(self, **{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)} | largest)

    @property
    def cosine(self):
        """Of the angle to the float values: 1 where both are zero, 0 where one is."""
        if not self.squares or not self.float_squares:
            return float(self.squares == self.float_squares)
        return min(1.0, self.product / (self.squares * self.float_squares) ** 0.5)

    @property
    def relative_error(self):
        """Root of the squared differences over the float values' squares; 0 where there is no difference."""
        return (self.error / self.float_squares) ** 0.5 if self.float_squares else float(self.error > 0)

    def share(self, part):
        """Values that are `part`, "saturated" or "vanished", over all."""
        return getattr(self, part) / max(1, self.values)
