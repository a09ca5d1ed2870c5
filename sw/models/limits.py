"""How far the integer model may be from the float one before a command says so."""

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Beyond which there is a warning.

    Parameters
    ----------
    min_cosine : of the outputs of every sentence to the float model's
    max_saturated, max_vanished : share of the values of a tensor that meet an end of their word, or become zero
    strict : the warning is a failure
    """

    min_cosine: float = 0.9999
    max_saturated: float = 0.01
    max_vanished: float = 0.1
    strict: bool = False
