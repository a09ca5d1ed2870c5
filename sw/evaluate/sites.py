"""A threshold for each site: which activations to prune how far, to remove the most multiplications for the accuracy lost."""

import heapq
import math
from dataclasses import dataclass, field

import torch
from torch.nn import functional

from ..checkpoint import encode_texts
from ..compiler.quantise import PROJECTIONS, prune_weights
from ..float_encoder import FloatEncoder
from ..golden.threshold import KNOTS

__all__ = ["QUANTILES", "SiteCurves", "calibrate_sites", "site_names"]

QUANTILES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.96, 0.98, 0.99)
"""Shares of a site's magnitudes below its thresholds: the steps of the search."""

_SITES = ("query", "key", "value", "probabilities", "context", "attention_norm", "hidden")
_BATCH = 64


def site_names(config):
    """Every activation in front of a product, the pooler excepted: it reads one token."""
    layers = range(config.num_hidden_layers)
    names = ["embeddings.output", *(f"layer{n}.{site}" for n in layers for site in _SITES)]
    return names + [f"layer{n}.output_norm" for n in layers[:-1]]


@dataclass(frozen=True)
class SiteCurves:
    """Thresholds along the way from no pruning to the most that the search tried.

    Parameters
    ----------
    taus : `KNOTS` float thresholds of each site, by operating point (n / 8 of the multiplications that can be removed)
    points : of each operating point ``remaining`` (multiplications, share of dense), ``divergence`` and ``accuracy`` on the
        calibration sentences
    point : the last operating point, 0 to 1, within the accuracy budget there
    """

    taus: dict[str, tuple[float, ...]]
    points: tuple[dict, ...]
    point: float

    def to_dict(self):
        """Plain values for JSON."""
        return {"point": self.point, "points": list(self.points), "taus": {name: list(t) for name, t in self.taus.items()}}

    @classmethod
    def from_dict(cls, values):
        """The inverse of `to_dict`."""
        return cls({name: tuple(taus) for name, taus in values["taus"].items()}, tuple(values["points"]), values["point"])


def calibrate_sites(checkpoint, texts, labels, *, budget, weight_sparsity=0.0, floor=0.08, report=lambda removed: None):
    """Search thresholds on labelled sentences (never those that are reported on).

    From no pruning on, each step raises the threshold of one site to its next quantile: that with the most multiplications
    removed per divergence (Kullback-Leibler, of the predictions from the unpruned ones) added. Gains are taken from the last
    look at a site and looked at again before a step is made, so most steps cost two runs.

    Parameters
    ----------
    checkpoint : Checkpoint with a classifier
    texts, labels : some hundred sentences or more
    budget : accuracy, in points, that may be given up on these sentences
    weight_sparsity : share of every encoder weight matrix that is zeroed by magnitude before
    floor : accuracy lost, as a share, at which the search ends
    report : called with the share of multiplications removed after each step

    Returns
    -------
    SiteCurves
    """
    search = _Search(checkpoint, texts, labels, weight_sparsity)
    way = search.walk(floor, report)
    return search.curves(way, budget)


@dataclass(order=True)
class _Step:
    gain: float
    site: str = field(compare=False)
    level: int = field(compare=False)
    age: int = field(compare=False)


class _Search:
    def __init__(self, checkpoint, texts, labels, weight_sparsity):
        tensors = dict(checkpoint.tensors)
        for layer in range(checkpoint.config.num_hidden_layers):
            for source in PROJECTIONS.values():
                name = f"encoder.layer.{layer}.{source}.weight"
                tensors[name] = prune_weights(tensors[name], weight_sparsity)
        self.checkpoint = type(checkpoint)(checkpoint.folder, checkpoint.config, tensors, checkpoint.tokenizer)
        self.encoder = FloatEncoder(self.checkpoint)
        self.sites = site_names(checkpoint.config)
        ids, lengths = encode_texts(checkpoint, texts)
        lengths, labels = torch.tensor(lengths), torch.tensor(labels)
        order = lengths.argsort(stable=True)
        self.batches = [(ids[rows, : int(lengths[rows].max())], lengths[rows], labels[rows]) for rows in order.split(_BATCH)]
        self.weights = {name: (tensor != 0).double() for name, tensor in tensors.items() if tensor.ndim == 2}
        self.quantiles = self._quantiles()
        self.reference = None
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

    def run(self, levels):
        """(log-probabilities, remaining multiplications, accuracy) with these threshold levels."""
        taus = {site: self.quantiles[site][level] for site, level in levels.items() if level}
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
        levels = dict.fromkeys(self.sites, 0)
        state = (dict(levels), self.run(levels)[1], 0.0, self.accuracy)
        way, heap = [state], []
        for site in self.sites:
            self._look(heap, way[-1], site, 1, 0)
        while heap:
            step = heapq.heappop(heap)
            if step.age != len(way) - 1:
                self._look(heap, way[-1], step.site, step.level, len(way) - 1)
                continue
            levels[step.site] = step.level
            logs, remaining, accuracy = self.run(levels)
            way.append((dict(levels), remaining, self._divergence(logs), accuracy))
            report(1 - remaining / self.dense)
            if accuracy < self.accuracy - floor:
                break
            if step.level + 1 < len(QUANTILES):
                self._look(heap, way[-1], step.site, step.level + 1, len(way) - 1)
        return way

    def _look(self, heap, state, site, level, age):
        levels, before, divergence, _ = state
        logs, remaining, _ = self.run(levels | {site: level})
        cost = max(self._divergence(logs) - divergence, 1e-7)
        heapq.heappush(heap, _Step(-(before - remaining) / cost, site, level, age))

    def _divergence(self, logs):
        return float(functional.kl_div(logs, self.reference, log_target=True, reduction="batchmean"))

    def curves(self, way, budget):
        """Knots at equal steps of removed multiplications, and the last within the budget (running on: noise is ignored)."""
        first, last = way[0][1], way[-1][1]
        knots = []
        for n in range(KNOTS):
            wanted = first + (last - first) * n / (KNOTS - 1)
            knots.append(next(state for state in way if state[1] <= wanted + 0.5))
        taus = {site: tuple(self.quantiles[site][levels[site]] for levels, *_ in knots) for site in self.sites}
        points = tuple({"remaining": remaining / self.dense, "divergence": divergence, "accuracy": accuracy}
                       for _, remaining, divergence, accuracy in knots)
        within = [state for state in way if state[3] >= self.accuracy - budget / 100]
        reached = (first - min(state[1] for state in within)) / max(first - last, 1.0)
        return SiteCurves(taus, points, reached)


def _valid(name, tensor, lengths):
    """`tensor` with what belongs to padded tokens set to zero."""
    return tensor * _mask(name, tensor, lengths)


def _mask(name, tensor, lengths):
    """Which elements belong to valid tokens; of probabilities, to pairs of them."""
    valid = torch.arange(tensor.shape[-2]) < lengths[:, None]
    if name.endswith(".probabilities"):
        return valid[:, None, :, None] & valid[:, None, None, :]
    return valid[..., None]
