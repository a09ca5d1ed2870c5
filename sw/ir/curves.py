"""DynaTran's threshold curves: from one tau, or from a wanted sparsity and the magnitudes seen in calibration."""

import math
from itertools import chain, pairwise

import numpy as np

from ...hw.spec.registers import KNOTS
from .errors import CompileError

__all__ = ["TARGET_ONE", "constant_curves", "profiled_curves", "site_curves"]

TARGET_ONE = 256
"""The wanted sparsity's register counts in 1/256."""


def constant_curves(sites, tau, *, width, limit):
    """One float threshold for every tensor, as curves that do not depend on the target.

    An integer x is pruned when ``|x| < tau * units``, so the integer threshold is the ceiling.

    Parameters
    ----------
    sites : units, the integer that stands for 1.0 in the float model, of every tensor to prune, by name
    tau : float, 0 prunes nothing
    width : bits of a value
    limit : curves that the hardware holds

    Returns
    -------
    curves : list of KNOTS-tuples
    numbers : curve number (from 1, 0 for none) of every tensor
    """
    if not 0 <= tau < math.inf:
        raise CompileError(f"tau = {tau}: choose a number from 0")
    taus = {name: min(math.ceil(tau * units), (1 << (width - 1)) - 1) for name, units in sites.items()}
    distinct = sorted(set(taus.values()) - {0})
    _check(len(distinct), limit, f"tau = {tau} gives {len(distinct)} different integer thresholds")
    return [(value,) * KNOTS for value in distinct], {n: distinct.index(t) + 1 if t else 0 for n, t in taus.items()}


def profiled_curves(sites, kinds, magnitudes, *, width, limit):
    """Quantile curves: knot n is the smallest integer threshold that zeroes n/8 of the magnitudes seen.

    As fine as the hardware's number of curves allows: one curve per tensor, else one per kind of tensor and its units,
    else one per units.

    Parameters
    ----------
    sites, width, limit : as for `constant_curves`
    kinds : kind of every tensor, by name
    magnitudes : float magnitudes of every tensor, by name

    Returns
    -------
    curves, numbers : as `constant_curves`
    """
    for key in (lambda name: name, lambda name: (kinds[name], sites[name]), lambda name: sites[name]):
        groups: dict[object, list[str]] = {}
        for name in sites:
            groups.setdefault(key(name), []).append(name)
        if len(groups) <= limit:
            break
    _check(len(groups), limit, f"a wanted sparsity needs {len(groups)} curves, one per binary point and scale")
    curves = [_quantiles(np.concatenate([magnitudes[name] for name in names]), sites[names[0]], width)
              for names in groups.values()]
    numbers = dict(chain.from_iterable(((name, number) for name in names)
                                       for number, names in enumerate(groups.values(), 1)))
    return curves, numbers


def site_curves(sites, taus, *, width, limit):
    """Curves of given float thresholds; tensors with the same integers share one, those without thresholds have none.

    Parameters
    ----------
    sites, width, limit : as for `constant_curves`
    taus : KNOTS float thresholds of each tensor, not falling, by name

    Returns
    -------
    curves, numbers : as `constant_curves`
    """
    largest, knots = (1 << (width - 1)) - 1, {}
    for name, values in taus.items():
        if name not in sites:
            raise CompileError(f"site {name!r}: is not pruned in this model; calibrate for it, or remove the site")
        if len(values) != KNOTS or not all(0 <= a <= b < math.inf for a, b in pairwise((0, *values))):
            raise CompileError(f"site {name!r}: {list(values)} are no {KNOTS} thresholds from 0 that do not fall")
        knots[name] = tuple(min(math.ceil(tau * sites[name]), largest) for tau in values)
    distinct = sorted(set(knots.values()) - {(0,) * KNOTS})
    _check(len(distinct), limit, f"the sites have {len(distinct)} different curves")
    return distinct, {name: distinct.index(knots[name]) + 1 if any(knots.get(name, ())) else 0 for name in sites}


def _quantiles(values, units, width):
    integers = np.sort(np.floor(values.astype(np.float64) * units + 0.5).astype(np.int64))
    counts = [-(-n * len(integers) // (KNOTS - 1)) for n in range(1, KNOTS)]
    return (0, *(min(int(integers[count - 1]) + 1, (1 << (width - 1)) - 1) for count in counts))


def _check(count, limit, what):
    if count > limit:
        raise CompileError(f"{what}, the configuration holds {limit}: raise prune_curves to {count} or more")
