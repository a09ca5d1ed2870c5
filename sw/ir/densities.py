"""How dense the operands of products will be: from the magnitudes that calibration saw, under the thresholds that apply."""

import numpy as np

__all__ = ["density", "is_even", "profile"]

_SAMPLES = 1024
_GROUP = 4


def is_even(nonzero):
    """Whether zeros are spread evenly over each column: groups of rows hold more equal numbers than chance would give them.

    Parameters
    ----------
    nonzero : bool array [rows, columns], whole tiles
    """
    counts = nonzero.reshape(-1, _GROUP, nonzero.shape[1]).sum(1)
    share = nonzero.mean()
    return bool(counts.var() < _GROUP * share * (1 - share) * 2 / 3)


def profile(magnitudes, units):
    """A tensor's integer magnitudes in short: `_SAMPLES` of them, evenly spaced in their order.

    Parameters
    ----------
    magnitudes : float magnitudes seen in calibration
    units : the integer that stands for 1.0

    Returns
    -------
    float64 array, not rounded
    """
    places = (np.arange(_SAMPLES) + 0.5) / _SAMPLES * len(magnitudes)
    return np.sort(magnitudes)[places.astype(np.int64)].astype(np.float64) * units


def density(samples, tau, mean=None):
    """Expected share of values that are not zero.

    Parameters
    ----------
    samples : profile of the tensor
    tau : integer threshold, 0 prunes nothing
    mean : of the magnitudes, where it is known; probabilities of a longer sentence are smaller than those seen
    """
    scale = 1.0 if mean is None or not samples.any() else mean / samples.mean()
    return float((samples * scale + 0.5 >= max(tau, 1)).mean())
