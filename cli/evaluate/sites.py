"""A threshold for each site: which activations to prune how far, to remove the most multiplications for the accuracy lost."""

import heapq
import json
import math
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from ...hw.spec.registers import KNOTS
from ...sw.models.encoder_parts import encoder_parts
from ...sw.models.errors import ModelError
from .choose import choose
from .float_runs import FloatRuns, below, valid_mask

__all__ = ["QUANTILES", "SiteCurves", "calibrate_sites", "site_names"]

QUANTILES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.96, 0.98, 0.99)
"""Shares of a site's magnitudes below its thresholds: the steps of the search."""

_POINTS = tuple(n / 32 for n in range(1, 33))


def site_names(checkpoint):
    """Every activation in front of a product of the encoder's layers; what follows them reads one token."""
    return list(encoder_parts(checkpoint.config, checkpoint.config.num_hidden_layers, None).sites)


@dataclass(frozen=True)
class SiteCurves:
    """Thresholds along the way from no pruning to the most that the search tried.

    Parameters
    ----------
    taus : `KNOTS` float thresholds of each site, by operating point (n / 8 of the multiplications that can be removed)
    points : of each operating point ``remaining`` (multiplications, share of dense), ``divergence`` and ``accuracy`` on the
        sentences of the search
    point : the operating point, 0 to 1, that was chosen for the accuracy budget
    identity : of the model that they are for, see `Checkpoint`
    """

    taus: dict[str, tuple[float, ...]]
    points: tuple[dict, ...]
    point: float
    identity: str = ""

    def at(self, point):
        """{site: threshold} at an operating point, 0 to 1: between two knots, as the hardware has it."""
        whole, part = divmod(point * (KNOTS - 1), 1)
        low, high = int(whole), min(int(whole) + 1, KNOTS - 1)
        return {site: knots[low] + part * (knots[high] - knots[low]) for site, knots in self.taus.items()}

    def to_dict(self):
        """Plain values for JSON."""
        return {"model_identity": self.identity, "point": self.point, "points": list(self.points),
                "taus": {name: list(t) for name, t in self.taus.items()}}

    @classmethod
    def load(cls, path, checkpoint):
        """Read what `to_dict` gave, from a JSON file.

        Parameters
        ----------
        path : of the file
        checkpoint : Checkpoint of the model that the thresholds are meant for

        Raises
        ------
        ModelError : the file holds something else, or thresholds of another model
        """
        try:
            values = json.loads(Path(path).read_text())
            curves = cls({name: tuple(map(float, taus)) for name, taus in values["taus"].items()}, tuple(values["points"]),
                         float(values["point"]), str(values.get("model_identity", "")))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"sites = {str(path)!r}: no thresholds per site ({error!r}); make them with acceltran calibrate"
                             ) from None
        if curves.identity != checkpoint.identity:
            whose = f"are of the model {curves.identity[:12]}" if curves.identity else "do not say of which model they are"
            raise ModelError(f"sites = {str(path)!r}: its thresholds {whose}, this one is {checkpoint.identity[:12]}; "
                             f"calibrate again with acceltran calibrate --model {checkpoint.folder}")
        return curves


def calibrate_sites(checkpoint, search, check, *, budget, weight_sparsity=0.0, floor=0.08, report=lambda removed: None):
    """Search thresholds on labelled sentences, and choose the operating point on others (never those that are reported on).

    From no pruning on, each step raises the threshold of one site to its next quantile: that with the most multiplications
    removed per divergence (Kullback-Leibler, of the predictions from the unpruned ones) added. Gains are taken from the last
    look at a site and looked at again before a step is made, so most steps cost two runs. The operating point is the last one
    up to which no more than the budget is lost.

    Parameters
    ----------
    checkpoint : Checkpoint with a classifier
    search, check : (texts, labels); some hundred sentences, and some thousand, since a point of accuracy is to be seen
    budget : accuracy, in points, that may be given up
    weight_sparsity : share of every encoder weight matrix that is zeroed by magnitude before, or a GroupSparsity
    floor : accuracy lost, as a share, at which the search ends
    report : called with the share of multiplications removed after each step

    Returns
    -------
    SiteCurves
    """
    searched = _Search(FloatRuns(checkpoint, *search, weight_sparsity))
    curves = SiteCurves(*searched.curves(searched.walk(floor, report)), 0.0, checkpoint.identity)
    point = choose(FloatRuns(checkpoint, *check, weight_sparsity), {p: below(curves.at(p)) for p in _POINTS}, budget)
    return replace(curves, point=point or 0.0)


@dataclass(order=True)
class _Step:
    gain: float
    site: str = field(compare=False)
    level: int = field(compare=False)
    age: int = field(compare=False)


class _Search:
    def __init__(self, runs):
        self.runs, self.sites = runs, site_names(runs.checkpoint)

    def _quantiles(self):
        seen = {site: [] for site in self.sites}

        def keep(lengths):
            def look(name, tensor):
                if name in seen:
                    seen[name].append(tensor[valid_mask(tensor, lengths).expand_as(tensor)].abs())
                return tensor
            return look

        for ids, lengths, _, tokens in self.runs.batches:
            self.runs.encoder.run(ids, lengths, prune=keep(lengths), tokens=tokens)
        levels = {}
        for site, parts in seen.items():
            values = torch.cat(parts).sort().values
            levels[site] = [0.0] + [float(values[min(len(values) - 1, math.ceil(q * len(values)))]) for q in QUANTILES[1:]]
        return levels

    def walk(self, floor, report):
        """The states of the search: (levels, remaining multiplications, divergence, accuracy)."""
        self.quantiles = self._quantiles()
        levels = dict.fromkeys(self.sites, 0)
        state = (dict(levels), self.runs.reference.remaining, 0.0, self.runs.reference.accuracy)
        way, heap = [state], []
        for site in self.sites:
            self._look(heap, way[-1], site, 1, 0)
        while heap:
            step = heapq.heappop(heap)
            if step.age != len(way) - 1:
                self._look(heap, way[-1], step.site, step.level, len(way) - 1)
                continue
            levels[step.site] = step.level
            run = self._run(levels)
            way.append((dict(levels), run.remaining, self.runs.divergence(run), run.accuracy))
            report(1 - run.remaining / self.runs.dense)
            if self.runs.loss(run) > 100 * floor:
                break
            if step.level + 1 < len(QUANTILES):
                self._look(heap, way[-1], step.site, step.level + 1, len(way) - 1)
        return way

    def _look(self, heap, state, site, level, age):
        levels, before, divergence, _ = state
        run = self._run(levels | {site: level})
        cost = max(self.runs.divergence(run) - divergence, 1e-7)
        heapq.heappush(heap, _Step(-(before - run.remaining) / cost, site, level, age))

    def _run(self, levels):
        return self.runs.run(below({site: self.quantiles[site][level] for site, level in levels.items()}))

    def curves(self, way):
        """Knots at equal steps of removed multiplications: thresholds by site, and what they give."""
        first, last = way[0][1], way[-1][1]
        knots = []
        for n in range(KNOTS):
            wanted = first + (last - first) * n / (KNOTS - 1)
            knots.append(next(state for state in way if state[1] <= wanted + 0.5))
        taus = {site: tuple(self.quantiles[site][levels[site]] for levels, *_ in knots) for site in self.sites}
        return taus, tuple({"remaining": remaining / self.runs.dense, "divergence": divergence, "accuracy": accuracy}
                           for _, remaining, divergence, accuracy in knots)
