"""A threshold for each site: which activations to prune how far, to remove the most multiplications for the accuracy lost."""

import heapq
import json
import math
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch.nn import functional

from ..checkpoint import ModelError, encode_texts
from ..compiler.quantise import PROJECTIONS, pruned_checkpoint, pruned_sites
from ..float_encoder import FloatEncoder
from ..golden.threshold import KNOTS

__all__ = ["QUANTILES", "SiteCurves", "calibrate_sites", "site_names"]

QUANTILES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.96, 0.98, 0.99)
"""Shares of a site's magnitudes below its thresholds: the steps of the search."""

_BATCH, _POINTS = 64, 32


def site_names(config):
    """Every activation in front of a product, the pooler excepted: it reads one token."""
    return list(pruned_sites(config.num_hidden_layers, pooler=False))


@dataclass(frozen=True)
class SiteCurves:
    """Thresholds along the way from no pruning to the most that the search tried.

    Parameters
    ----------
    taus : `KNOTS` float thresholds of each site, by operating point (n / 8 of the multiplications that can be removed)
    points : of each operating point ``remaining`` (multiplications, share of dense), ``divergence`` and ``accuracy`` on the
        sentences of the search
    point : the operating point, 0 to 1, that was chosen for the accuracy budget
    """

    taus: dict[str, tuple[float, ...]]
    points: tuple[dict, ...]
    point: float

    def to_dict(self):
        """Plain values for JSON."""
        return {"point": self.point, "points": list(self.points), "taus": {name: list(t) for name, t in self.taus.items()}}

    @classmethod
    def load(cls, path):
        """Read what `to_dict` gave, from a JSON file.

        Raises
        ------
        ModelError : the file holds something else
        """
        try:
            values = json.loads(Path(path).read_text())
            return cls({name: tuple(map(float, taus)) for name, taus in values["taus"].items()}, tuple(values["points"]),
                       float(values["point"]))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"sites = {str(path)!r}: no thresholds per site ({error!r}); make them with acceltran calibrate"
                             ) from None


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
    weight_sparsity : share of every encoder weight matrix that is zeroed by magnitude before
    floor : accuracy lost, as a share, at which the search ends
    report : called with the share of multiplications removed after each step

    Returns
    -------
    SiteCurves
    """
    searched = _Search(checkpoint, *search, weight_sparsity)
    taus, points = searched.curves(searched.walk(floor, report))
    return SiteCurves(taus, points, _Search(checkpoint, *check, weight_sparsity).choose(taus, budget))


@dataclass(order=True)
class _Step:
    gain: float
    site: str = field(compare=False)
    level: int = field(compare=False)
    age: int = field(compare=False)


class _Search:
    def __init__(self, checkpoint, texts, labels, weight_sparsity):
        self.checkpoint = pruned_checkpoint(checkpoint, checkpoint.config.num_hidden_layers, weight_sparsity)
        self.encoder = FloatEncoder(self.checkpoint)
        self.sites = site_names(checkpoint.config)
        ids, lengths = encode_texts(checkpoint, texts)
        lengths, labels = torch.tensor(lengths), torch.tensor(labels)
        order = lengths.argsort(stable=True)
        self.batches = [(ids[rows, : int(lengths[rows].max())], lengths[rows], labels[rows]) for rows in order.split(_BATCH)]
        self.weights = {name: (tensor != 0).double() for name, tensor in self.checkpoint.tensors.items()
                        if tensor.ndim == 2}
        self.reference, _, self.accuracy = self.run({})
        self.dense = self._remaining_dense()

    def _quantiles(self):
        seen = {site: [] for site in self.sites}

        def keep(lengths):
            def look(name, tensor):
                if name in seen:
                    seen[name].append(tensor[_mask(name, tensor, lengths).expand_as(tensor)].abs())
                return tensor
            return look

        for ids, lengths, _ in self.batches:
            self.encoder.run(ids, lengths, prune=keep(lengths))
        levels = {}
        for site, parts in seen.items():
            values = torch.cat(parts).sort().values
            levels[site] = [0.0] + [float(values[min(len(values) - 1, math.ceil(q * len(values)))]) for q in QUANTILES[1:]]
        return levels

    def run(self, taus):
        """(log-probabilities, remaining multiplications, accuracy) with these thresholds."""
        taus = {site: tau for site, tau in taus.items() if tau}
        logs, remaining, right, count = [], 0.0, 0, 0
        for ids, lengths, labels in self.batches:
            values = self.encoder.run(ids, lengths, prune=lambda name, tensor: (
                tensor * (tensor.abs() >= taus[name]) if name in taus else tensor))
            logs.append(values["logits"].log_softmax(1))
            remaining += self._remaining(values, lengths)
            right += int((values["logits"].argmax(1) == labels).sum())
            count += len(labels)
        return torch.cat(logs), remaining, right / count

    def _remaining(self, values, lengths):
        """Multiplications of the encoder layers with both operands non-zero, without padding."""
        total, state = 0.0, "embeddings.output"
        for layer in range(self.checkpoint.config.num_hidden_layers):
            inside, weights = f"layer{layer}.", f"encoder.layer.{layer}."
            for result, source in (("query", state), ("key", state), ("value", state), ("attention", inside + "context"),
                                   ("hidden", inside + "attention_norm"), ("output", inside + "hidden")):
                used = _valid(source, values[source], lengths)
                by_inner = (used != 0).flatten(0, -2).sum(0).double()
                total += float(by_inner @ self.weights[f"{weights}{PROJECTIONS[result]}.weight"].sum(0))
            parts = {name: (_valid(inside + name, values[inside + name], lengths) != 0).float()
                     for name in ("query", "key", "value", "probabilities")}
            query, key, value = (self.encoder._split(parts[name]) for name in ("query", "key", "value"))
            total += float((query.sum(2) * key.sum(2)).double().sum())
            total += float((parts["probabilities"].sum(2) * value.sum(3)).double().sum())
            state = inside + "output_norm"
        return total

    def _remaining_dense(self):
        config, total = self.checkpoint.config, 0
        per_token = 4 * config.hidden_size**2 + 2 * config.hidden_size * config.intermediate_size
        for _, lengths, _ in self.batches:
            total += int((lengths * per_token + 2 * lengths**2 * config.hidden_size).sum())
        return total * config.num_hidden_layers

    def walk(self, floor, report):
        """The states of the search: (levels, remaining multiplications, divergence, accuracy)."""
        self.quantiles = self._quantiles()
        levels = dict.fromkeys(self.sites, 0)
        state = (dict(levels), self.run({})[1], 0.0, self.accuracy)
        way, heap = [state], []
        for site in self.sites:
            self._look(heap, way[-1], site, 1, 0)
        while heap:
            step = heapq.heappop(heap)
            if step.age != len(way) - 1:
                self._look(heap, way[-1], step.site, step.level, len(way) - 1)
                continue
            levels[step.site] = step.level
            logs, remaining, accuracy = self.run(self._taus(levels))
            way.append((dict(levels), remaining, self._divergence(logs), accuracy))
            report(1 - remaining / self.dense)
            if accuracy < self.accuracy - floor:
                break
            if step.level + 1 < len(QUANTILES):
                self._look(heap, way[-1], step.site, step.level + 1, len(way) - 1)
        return way

    def _look(self, heap, state, site, level, age):
        levels, before, divergence, _ = state
        logs, remaining, _ = self.run(self._taus(levels | {site: level}))
        cost = max(self._divergence(logs) - divergence, 1e-7)
        heapq.heappush(heap, _Step(-(before - remaining) / cost, site, level, age))

    def _taus(self, levels):
        return {site: self.quantiles[site][level] for site, level in levels.items()}

    def _divergence(self, logs):
        return float(functional.kl_div(logs, self.reference, log_target=True, reduction="batchmean"))

    def curves(self, way):
        """Knots at equal steps of removed multiplications: thresholds by site, and what they give."""
        first, last = way[0][1], way[-1][1]
        knots = []
        for n in range(KNOTS):
            wanted = first + (last - first) * n / (KNOTS - 1)
            knots.append(next(state for state in way if state[1] <= wanted + 0.5))
        taus = {site: tuple(self.quantiles[site][levels[site]] for levels, *_ in knots) for site in self.sites}
        return taus, tuple({"remaining": remaining / self.dense, "divergence": divergence, "accuracy": accuracy}
                           for _, remaining, divergence, accuracy in knots)

    def choose(self, taus, budget):
        """The last operating point up to which no more accuracy than the budget is lost, in points."""
        chosen = 0.0
        for n in range(1, _POINTS + 1):
            whole, part = divmod(n * (KNOTS - 1) / _POINTS, 1)
            low, high = int(whole), min(int(whole) + 1, KNOTS - 1)
            _, _, accuracy = self.run({site: knots[low] + part * (knots[high] - knots[low]) for site, knots in taus.items()})
            if 100 * (self.accuracy - accuracy) > budget:
                break
            chosen = n / _POINTS
        return chosen


def _valid(name, tensor, lengths):
    """`tensor` with what belongs to padded tokens set to zero."""
    return tensor * _mask(name, tensor, lengths)


def _mask(name, tensor, lengths):
    """Which elements belong to valid tokens; of probabilities, to pairs of them."""
    valid = torch.arange(tensor.shape[-2]) < lengths[:, None]
    if name.endswith(".probabilities"):
        return valid[:, None, :, None] & valid[:, None, None, :]
    return valid[..., None]
