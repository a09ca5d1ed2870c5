"""Widths, binary points and legal shifts of layer-norm."""

from dataclasses import dataclass

__all__ = ["BETA_LEADS", "EPSILON_BITS", "GAMMA_LEADS", "GUARD", "LEFT_MAX", "RECIPROCAL_BITS", "LayerNormFormat"]

RECIPROCAL_BITS = 24
"""Bits of the mantissa of 1/N, the top one set."""

EPSILON_BITS = 56
"""Bits of the epsilon field."""

LEFT_MAX = 3
"""Largest left shift of an operand; the largest right shift is 31 - LEFT_MAX, which leaves nothing."""

GUARD = 3
"""Fraction bits beyond the result's with which beta is added."""

GAMMA_LEADS = range(-5, 11)
"""By how many bits the binary point of gamma may lie above that of the result."""

BETA_LEADS = range(8)
"""By how many bits the binary point of beta may lie above that of the result."""


@dataclass(frozen=True)
class LayerNormFormat:
    """Widths and binary points that follow from the word length alone; the hardware takes them from here too.

    Parameters
    ----------
    width : bits of a value, W
    """

    width: int

    @property
    def sum_width(self):
        """Bits of v."""
        return self.width + 1

    @property
    def mean_guard(self):
        """Fraction bits of the mean, in units of v."""
        return min(3, 24 - self.width)

    @property
    def fraction(self):
        """Fraction bits of the normalised value y1."""
        return min(16, self.width)

    @property
    def value_width(self):
        """Bits of y1, which saturates at +-32, and of the deviation d before it, which does at +-64."""
        return max(self.fraction + 6, self.sum_width)

    @property
    def deviation_fraction(self):
        """Fraction bits of d, the deviation over a power of two that makes sigma 1 to 2."""
        return self.fraction - 1

    @property
    def mantissa(self):
        """Fraction bits, and bits, of 1/sigma as it enters the multiplier (0.5 to 1)."""
        return self.fraction + 1

    @property
    def mantissa_half(self):
        """Bits of the lower half of 1/sigma, whose two products with d are joined in a stage of their own."""
        return (self.mantissa + 1) // 2

    @property
    def factor_half(self):
        """Bits of the lower half of gamma, and of v where it is squared."""
        return (self.sum_width + 1) // 2

    @property
    def exponent_max(self):
        """Largest exponent of sigma, in units of v * 2**mean_guard."""
        return self.sum_width + self.mean_guard - 1
