"""Accuracy and remaining work of the integer model on labelled sentences."""

from .evaluate import Method, evaluate, keep_largest
from .sites import SiteCurves, calibrate_sites
from .tally import Tally

__all__ = ["Method", "SiteCurves", "Tally", "calibrate_sites", "evaluate", "keep_largest"]
