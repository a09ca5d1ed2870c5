"""Legal shifts of the post-process."""

__all__ = ["BIAS_SHIFTS", "FUNCTION_SHIFTS", "SHIFTS"]

SHIFTS = range(-24, 64)
"""Legal shifts of the accumulator."""

FUNCTION_SHIFTS = range(-8, 21)
"""Legal shifts behind functions with tables."""

BIAS_SHIFTS = range(0, 38)
"""Legal shifts of the bias; the hardware also wants the shifted bias to fit the accumulator."""
