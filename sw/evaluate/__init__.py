"""Accuracy and remaining work of the integer model on labelled sentences."""

from .evaluate import Method, evaluate
from .tally import Tally

__all__ = ["Method", "Tally", "evaluate"]
