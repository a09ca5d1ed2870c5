"""Ones of a word."""

from .kernel import kernel

__all__ = ["ones"]


@kernel
def ones(word):
    """How many bits of an integer are set."""
    count = 0
    while word:
        word &= word - 1
        count += 1
    return count
