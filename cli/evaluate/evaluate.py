"""Run the integer model on labelled sentences, with one way of pruning."""

import math
import operator
from dataclasses import dataclass, replace

import torch
from scipy.stats import pearsonr, spearmanr

from ...hw.spec.errors import ConfigError
from ...sw.ir.execute import execute, results
from ...sw.ir.graph import Softmax
from ...sw.ir.watch import Watch
from ...sw.models.answers import answers_of
from ...sw.models.errors import ModelError
from ...sw.models.fidelity import FidelityMeter, combine
from ...sw.models.quantise import quantise_encoder
from ...sw.models.sentences import encode_sentences
from ...sw.models.weight_sparsity import GroupSparsity
from ..labels import check_classifier
from .float_runs import below
from .sites import SiteCurves, site_names
from .tally import Tally

__all__ = ["Method", "evaluate", "format_of", "keep_largest", "with_format"]

_BATCH = 16


@dataclass(frozen=True, kw_only=True)
class Method:
    """How activations are pruned.

    Parameters
    ----------
    name : "none"; "dynatran", below `tau`, or by the profiled curves at `target`; "per-site", by the thresholds of `sites` at
        the operating point `target`, theirs if that is None; "top-k", all but the `keep` largest probabilities of each row
    tau, target, sites, keep : see above; `sites` is a SiteCurves
    weight_sparsity : share of every encoder weight matrix that is zeroed by magnitude, or a GroupSparsity
    """

    name: str = "none"
    tau: float | None = None
    target: float | None = None
    sites: SiteCurves | None = None
    keep: int | None = None
    weight_sparsity: float | GroupSparsity = 0.0

    def __post_init__(self):
        needs = {"none": ([],), "dynatran": (["tau"], ["target"]), "per-site": (["sites"], ["target", "sites"]),
                 "top-k": (["keep"],)}
        if self.name not in needs:
            raise ModelError(f"method = {self.name!r}: choose {', '.join(needs)}")
        options = {"tau": "--tau", "target": "--target-sparsity", "sites": "--sites", "keep": "--keep"}
        given = [name for name in options if getattr(self, name) is not None]
        if given not in needs[self.name]:
            wanted = " or ".join(" and ".join(options[name] for name in names) or "no threshold" for names in needs[self.name])
            raise ModelError(f"method = {self.name!r}: takes {wanted}, given: "
                             f"{' and '.join(options[name] for name in given) or 'nothing'}")
        if self.keep is not None and self.keep < 1:
            raise ModelError(f"keep = {self.keep}: keep at least one probability of a row")

    def compiler_options(self):
        """Options of `quantise_encoder` and `compile_encoder`; for top-k those without any pruning of activations."""
        curves = self.sites
        return {"tau": self.tau, "weight_sparsity": self.weight_sparsity, "site_taus": curves and curves.taus,
                "target_sparsity": curves.point if curves and self.target is None else self.target}

    def float_pruning(self, checkpoint):
        """The same for the float model of a Checkpoint, see `FloatEncoder.run`; not for the profiled curves."""
        if self.name == "top-k":
            chosen = {attention.probabilities for attention in checkpoint.parts().attentions}
            return lambda name, tensor: (
                keep_largest(tensor.flatten(0, -2), self.keep).view_as(tensor) if name in chosen else tensor)
        if self.name == "per-site":
            return below(self.sites.at(self.sites.point if self.target is None else self.target))
        return below(dict.fromkeys(site_names(checkpoint), self.tau or 0.0))


def evaluate(checkpoint, hardware, texts, labels, method, *, length=128, baseline=True, calibration_texts=None, limits=None,
             report=lambda done: None):
    """Accuracy, sparsity and remaining multiplications over sentences padded to `length` tokens.

    Padding changes no result; it is what ``..._padded`` counts.

    Parameters
    ----------
    checkpoint : Checkpoint with a classifier
    hardware : AcceleratorConfig
    texts, labels : sentences, and the number of the right class of each, or the value if the model has one output
    method : Method
    length : tokens to pad to, and to cut longer sentences to; None for the longest sentence's and the model's positions
    baseline : evaluate without pruning of activations too, for ``baseline``
    calibration_texts : see `quantise_encoder`
    limits : Limits of the fidelity's warning
    report : called with the number of sentences done, of each pass

    Returns
    -------
    values : plain values for JSON, see `Tally.report`; accuracies are shares, with the binomial standard error, and
        ``predictions`` has the number of the class of each sentence; of a model with one output there are the correlations
        ``pearson`` and ``spearman`` instead, None where they are undefined, and ``predictions`` are values. ``fidelity`` is
        that of `Fidelity.to_dict`, ``cut`` the number of sentences that were too long
    """
    check_classifier(checkpoint, "evaluate")
    longest = length or checkpoint.config.max_position_embeddings
    batch = encode_sentences(checkpoint, texts, length, longest=longest)
    passes = {"": method}
    if baseline and method.name != "none":
        passes["baseline"] = Method(weight_sparsity=method.weight_sparsity)
    values = {}
    for name, chosen in passes.items():
        values[name] = _evaluate(checkpoint, hardware, batch, labels, chosen, calibration_texts, limits, report)
    return values.pop("") | values | {"cut": batch.cut, "longest": longest}


def with_format(hardware, text):
    """An AcceleratorConfig with other words; `text` is integer and fraction bits, like "4.16", and bits of a weight, like
    "4.12/8".
    """
    word, slash, weight = text.partition("/")
    parts = word.split(".")
    if len(parts) != 2 or not all(part.isdecimal() for part in [*parts, *([weight] if slash else [])]):
        raise ConfigError(f"format = {text!r}: give integer and fraction bits, like 4.16, and if weights are to have fewer, "
                          "their bits, like 4.12/8")
    integer, fraction = map(int, parts)
    return replace(hardware, name="custom", integer_bits=integer, fraction_bits=fraction,
                   weight_bits=int(weight) if slash else None)


def format_of(hardware):
    """The inverse of `with_format`."""
    weights = "" if hardware.b_width == hardware.width else f"/{hardware.b_width}"
    return f"{hardware.integer_bits}.{hardware.fraction_bits}{weights}"


def _evaluate(checkpoint, hardware, batch, labels, method, calibration_texts, limits, report):
    encoder = quantise_encoder(checkpoint, hardware, calibration_texts=calibration_texts, **method.compiler_options())
    tally, predictions = Tally(), [None] * len(labels)
    meter, fidelities = FidelityMeter(checkpoint), []
    prune = method.float_pruning(checkpoint) if method.name == "top-k" else None
    # Sentences of similar length lie in one batch.
    order = sorted(range(len(labels)), key=batch.lengths.__getitem__)
    for start in range(0, len(order), _BATCH):
        chosen = order[start: start + _BATCH]
        part = batch.part(chosen, batch.ids.shape[1])
        graph = encoder.build_graph(part.lengths, part.ids.shape[1], separate=False, tokens=part.tokens)
        watch = Watch(graph)
        values = execute(graph, part.ids, prune=_pruning(method), watch=watch)
        answers = answers_of(checkpoint, part, tile=hardware.tile)
        fidelities.append(meter.measure(graph, part.ids, values, watch, answers, prune, tokens=part.tokens))
        tally.add(graph, values)
        logits = results(graph, values)["logits"]
        predicted = logits[:, 0] if checkpoint.config.num_labels == 1 else logits.argmax(1)
        for n, prediction in zip(chosen, predicted.tolist(), strict=True):
            predictions[n] = prediction
        report(len(chosen))
    score = _correlations if checkpoint.config.num_labels == 1 else _accuracy
    return {"sentences": len(labels), **score(predictions, labels), **tally.report(), "predictions": predictions,
            "fidelity": combine(fidelities).in_order(order).to_dict(limits)}


def _accuracy(predictions, labels):
    accuracy = sum(map(operator.eq, predictions, labels)) / len(labels)
    return {"accuracy": accuracy, "accuracy_stderr": math.sqrt(accuracy * (1 - accuracy) / len(labels))}


def _correlations(predictions, labels):
    """Of values; None where either side is constant."""
    if len({*predictions}) < 2 or len({*labels}) < 2:
        return {"pearson": None, "spearman": None}
    return {name: float(function(predictions, labels).statistic)
            for name, function in (("pearson", pearsonr), ("spearman", spearmanr))}


def _pruning(method):
    if method.name != "top-k":
        return None
    return lambda operation, result: keep_largest(result, method.keep) if isinstance(operation, Softmax) else result


def keep_largest(rows, count):
    """A copy with all but the `count` largest elements of each row zero; of equal ones the first stay."""
    kept = rows.sort(dim=1, descending=True, stable=True).indices[:, :count]
    return torch.zeros_like(rows).scatter(1, kept, rows.gather(1, kept))
