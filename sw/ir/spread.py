"""How the magnitudes of a tensor are spread, octave by octave: enough for the squared error of any binary point."""

import torch

__all__ = ["Spread"]

_LOWEST, _HIGHEST = -64, 128


class Spread:
    """Number, sum and sum of squares of the magnitudes in each octave.

    Parameters
    ----------
    scale : factor on all values
    """

    def __init__(self, scale=1.0):
        self._scale = scale
        self._sums = torch.zeros(3, _HIGHEST - _LOWEST + 1, dtype=torch.float64)

    def add(self, values):
        """Take in the values of a float tensor."""
        magnitudes = values.double().abs().flatten() * self._scale
        magnitudes = magnitudes[magnitudes > 0]
        octaves = torch.frexp(magnitudes).exponent.clamp(_LOWEST, _HIGHEST).long() - _LOWEST
        for row, weights in zip(self._sums, (torch.ones_like(magnitudes), magnitudes, magnitudes.square()), strict=True):
            row += torch.bincount(octaves, weights, minlength=len(row))

    def error(self, frac, width):
        """Squared error of all values, held as signed words of `width` bits with `frac` fraction bits.

        Those beyond the word are clipped, those below half a step become zero, and the others are off by a twelfth of a squared
        step on average.
        """
        octaves = torch.arange(_LOWEST, _HIGHEST + 1)
        step = 2.0**-frac
        reach = ((1 << (width - 1)) - 1) * step
        clipped, vanished = octaves > width - 1 - frac, octaves < -frac
        count, total, squares = self._sums
        beyond = (squares - 2 * reach * total + reach**2 * count)[clipped].sum()
        return float(beyond + squares[vanished].sum() + count[~clipped & ~vanished].sum() * step**2 / 12)
