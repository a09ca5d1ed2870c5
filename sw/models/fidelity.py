"""How far the integer model is from the float one: the outputs, and every tensor on the way to them."""

import math
from dataclasses import asdict, dataclass, replace

import torch

from ...hw.spec.activations import REACH, activation, has_table
from ...hw.spec.softmax import REACH as SCORE_REACH
from ..golden.losses import Losses
from ..ir.execute import execute, results
from ..ir.graph import Gather, LayerNorm, Load, MatMul, Softmax, target
from ..ir.watch import Watch
from .answers import answers_of
from .limits import Limits
from .quantise import pruned_checkpoint

__all__ = ["Fidelity", "FidelityMeter", "SentenceFidelity", "TensorFidelity", "combine", "golden_fidelity"]

FEW_STEPS = 256
"""A layer-norm of rows that differ less than that makes the rounding of its operands visible."""

NORM_LIMIT = "a layer-norm takes values within 32 standard deviations; use a model of more even values"

LARGEST_WIDTH = 24
"""Bits of the longest word that is built."""


@dataclass(frozen=True)
class SentenceFidelity:
    """The outputs of one sentence: cosine and largest error against the float model's, and whether the label is the same.

    `label_equal` tells whether labels, spans or tokens are those of the float model; None where the answer is a number.
    """

    cosine: float
    max_error: float
    label_equal: bool | None


@dataclass(frozen=True, kw_only=True)
class TensorFidelity:
    """One tensor.

    Parameters
    ----------
    kind : class of the tensor, as in `Tensor`
    losses : Losses
    sources : names of the tensors that it is computed from
    reach : largest magnitude that its words hold, in the float model's units; None of a constant
    limit : why more reach would not help, where that is so
    deviation : of a layer-norm's result, the smallest standard deviation of a row that went in, in steps of the integers
    bits : of its values
    """

    kind: str
    losses: Losses
    bits: int
    sources: tuple[str, ...] = ()
    reach: float | None = None
    limit: str = ""
    deviation: float = math.inf

    def __add__(self, other):
        """Of more values; a constant is the same every time."""
        losses = self.losses if self.reach is None else self.losses + other.losses
        return replace(self, losses=losses, deviation=min(self.deviation, other.deviation))

    def to_dict(self):
        """Plain values for JSON."""
        one = self.losses
        values = {"kind": self.kind, "values": one.values, "saturated": one.saturated, "vanished": one.vanished,
                  "cosine": one.cosine, "max_error": one.max_error, "largest": one.largest, "reach": self.reach}
        return values if math.isinf(self.deviation) else values | {"deviation": self.deviation}

    def trouble(self, width):
        """What is wrong with the tensor and what helps, in words; `width` bits has a word."""
        one, saturated, vanished = self.losses, self.losses.share("saturated"), self.losses.share("vanished")
        wider = ("raise weight_bits in the configuration" if self.bits < width else
                 "raise fraction_bits in the configuration" if width < LARGEST_WIDTH else "use a model of more even values")
        if saturated and self.reach is not None:
            what = (f"it reaches {one.largest:.3g} where calibration left room for {self.reach:.3g}"
                    if one.largest > self.reach else "what it is computed from is beyond the range seen in calibration")
            return (f"saturates in {saturated:.2%} of its values: " + (
                self.limit or f"{what}; give such sentences with --calibration FILE"))
        if self.deviation < FEW_STEPS:
            return f"normalises rows that differ by {self.deviation:.3g} steps of their words only; {wider}"
        if vanished:
            return f"rounds {vanished:.2%} of its values to nothing, beside others as large as {one.largest:.3g}; {wider}"
        return f"is off by {one.relative_error:.2%} in words of {self.bits} bits; {wider}"


@dataclass(frozen=True, kw_only=True)
class Fidelity:
    """Of some sentences that ran with one model on one configuration.

    Parameters
    ----------
    output : name of the output that is compared
    outputs : Losses of the outputs of all sentences together
    sentences : Sentences, in order
    tensors : TensorFidelity by name: constants by that in `QuantisedEncoder.losses`, then activations by that in the float
        encoder, in order of computation
    width : bits of a word
    """

    output: str
    outputs: Losses
    sentences: tuple[SentenceFidelity, ...]
    tensors: dict[str, TensorFidelity]
    width: int

    @property
    def cosine(self):
        """Of the worst sentence."""
        return min(sentence.cosine for sentence in self.sentences)

    @property
    def max_error(self):
        """Of the worst sentence."""
        return max(sentence.max_error for sentence in self.sentences)

    @property
    def equal_labels(self):
        """How many sentences get the float model's label; None without labels."""
        labels = [sentence.label_equal for sentence in self.sentences]
        return None if None in labels else sum(labels)

    @property
    def total(self):
        """Losses of all tensors together; only the counts mean something."""
        return sum((tensor.losses for tensor in self.tensors.values()), Losses())

    def source_of_error(self, names=None):
        """Name of the tensor, of `names` or all, at which most of the error comes in.

        Relative errors of independent sources add up by their squares. The tensor sought is the one with the largest product of
        its squared relative error with the growth of that over the sum of those of its sources. Vectors count with the results
        that they belong to.
        """
        squares = {name: tensor.losses.relative_error**2 for name, tensor in self.tensors.items()}

        def weight(name):
            tensor = self.tensors[name]
            before = sum(squares[source] for source in tensor.sources if self.tensors[source].kind != "vector")
            return 0.0 if tensor.kind == "vector" else squares[name] ** 2 / max(before, 4.0**-self.width)

        return max(names or self.tensors, key=weight)

    def in_order(self, places):
        """The same with its sentences put where they belong: the first to ``places[0]``, and so on."""
        ordered = [sentence for _, sentence in sorted(zip(places, self.sentences, strict=True), key=lambda pair: pair[0])]
        return replace(self, sentences=tuple(ordered))

    def warning(self, limits):
        """One line that names the limits passed, the worst tensor, its figure and what helps; None within the limits.

        Constants do not count as saturated: their binary points are the best there are.
        """
        passed, worst = [], None
        for part, limit in (("saturated", limits.max_saturated), ("vanished", limits.max_vanished)):
            shares = {name: tensor.losses.share(part) for name, tensor in self.tensors.items()
                      if part == "vanished" or tensor.reach is not None}
            beyond = [name for name, share in shares.items() if share > limit]
            if beyond:
                passed.append(f"{part} values of a tensor {max(shares.values()):.2%} > {limit:.2%}")
                worst = worst or self.source_of_error(beyond)
        if self.cosine < limits.min_cosine:
            passed.append(f"cosine {self.cosine:.6f} < {limits.min_cosine:g}")
            worst = worst or self.source_of_error()
        return worst and f"far from the float model ({', '.join(passed)}): {worst} {self.tensors[worst].trouble(self.width)}"

    def to_dict(self, limits=None):
        """Plain values for JSON: ``cosine`` and ``max_error`` are those of the worst sentence.

        Parameters
        ----------
        limits : Limits of ``warning``, the usual ones by default
        """
        limits = limits or Limits()
        equal = self.equal_labels
        classes: dict[str, Losses] = {}
        for tensor in self.tensors.values():
            classes[tensor.kind] = classes.get(tensor.kind, Losses()) + tensor.losses

        def counts(losses):
            return {"values": losses.values, "saturated": losses.saturated, "vanished": losses.vanished}

        return {
            "warning": self.warning(limits), "limits": asdict(limits),
            "output": self.output, "cosine": self.cosine, "max_error": self.max_error,
            "label_equal": None if equal is None else equal == len(self.sentences),
            "mean_cosine": math.fsum(sentence.cosine for sentence in self.sentences) / len(self.sentences),
            "relative_error": self.outputs.relative_error, "equal_labels": equal,
            "sentences": [asdict(sentence) for sentence in self.sentences], **counts(self.total),
            "classes": {kind: counts(losses) for kind, losses in classes.items()},
            "tensors": {name: tensor.to_dict() for name, tensor in self.tensors.items()},
        }


def combine(parts):
    """The Fidelity of several runs of one model, one after the other."""
    first, *others = parts
    for other in others:
        first = replace(first, outputs=first.outputs + other.outputs, sentences=first.sentences + other.sentences,
                        tensors={name: tensor + other.tensors[name] for name, tensor in first.tensors.items()})
    return first


class FidelityMeter:
    """Compares runs of the integer model with the float model as it runs: with the same weights zeroed, layers and pruning.

    Parameters
    ----------
    checkpoint : Checkpoint, with all its weights
    """

    def __init__(self, checkpoint):
        self._checkpoint, self._encoders = checkpoint, {}

    def _encoder(self, layers, weight_sparsity):
        if (layers, weight_sparsity) not in self._encoders:
            pruned = pruned_checkpoint(self._checkpoint, layers, weight_sparsity)
            self._encoders[layers, weight_sparsity] = pruned.float_encoder()
        return self._encoders[layers, weight_sparsity]

    def measure(self, graph, ids, values, watch, answers, prune=None, *, tokens=None):
        """Compare one run.

        Parameters
        ----------
        graph : Graph that ran
        ids : int64 [batch, columns], token numbers
        values : of `execute`
        watch : the Watch that was given to `execute`
        answers : Answers, for what the outputs mean
        prune, tokens : as in `FloatEncoder.run`; by default what the graph prunes, at the same thresholds

        Returns
        -------
        Fidelity
        """
        encoder = self._encoder(graph.layers, graph.weight_sparsity)
        wanted = encoder.run(torch.as_tensor(ids), graph.lengths, graph.layers, prune or _pruning(graph), tokens=tokens)
        sentences, losses = _sentences(answers, answers.arrays(results(graph, values)), answers.float_arrays(wanted))
        return Fidelity(output=answers.output, outputs=sum(losses, Losses()), sentences=sentences,
                        tensors=_tensors(graph, values, watch, wanted), width=graph.width)


def golden_fidelity(checkpoint, graph, batch):
    """Run the golden model and compare it.

    Parameters
    ----------
    checkpoint : Checkpoint that the graph is of
    graph : Graph
    batch : Batch of the sentences that the graph is made for

    Returns
    -------
    values : of `execute`
    fidelity : Fidelity
    """
    watch = Watch(graph)
    values = execute(graph, batch.ids, watch=watch)
    answers = answers_of(checkpoint, batch, layers=graph.layers, tile=graph.tile)
    return values, FidelityMeter(checkpoint).measure(graph, batch.ids, values, watch, answers, tokens=batch.tokens)


def _sentences(answers, got, wanted):
    """SentenceFidelity of each, and the Losses of its outputs."""
    losses = [Losses.between(_flat(one), _flat(other)) for one, other in zip(got, wanted, strict=True)]
    labels = zip(answers.decisions(got), answers.decisions(wanted), strict=True)
    return tuple(SentenceFidelity(one.cosine, one.max_error, None if label is None else label == other)
                 for one, (label, other) in zip(losses, labels, strict=True)), losses


def _flat(arrays):
    return torch.cat([values.flatten().double() for values in arrays.values()])


def _pruning(graph):
    """The graph's thresholds in float: an integer is below one if the value is below it less half a step."""
    taus = {}
    for operation in graph.operations:
        if isinstance(operation, MatMul | Softmax | LayerNorm) and (tau := graph.tau(operation.curve)):
            tensor = graph.tensors[target(operation).tensor]
            taus[tensor.source] = (tau - 0.5) / tensor.units
    return lambda name, x: x.masked_fill(x.abs() < taus[name], 0) if name in taus else x


def _tensors(graph, values, watch, wanted):
    """TensorFidelity of every constant and activation, by name."""
    tensors = {name: TensorFidelity(kind=kind, losses=losses, bits=graph.b_width if kind == "weight" else graph.width)
               for name, (kind, losses) in graph.losses.items()}
    sources, limits = _sources(graph), _limits(graph)
    found: dict[str, TensorFidelity] = {}
    for inside, integers in values.items():
        tensor = graph.tensors[inside]
        name = tensor.source
        if name is None:
            continue
        bits = tensor.bits or graph.width
        got = tensor.valid(tensor.as_read(integers)) / tensor.units
        one = TensorFidelity(kind=tensor.kind, losses=Losses.between(got, _wanted(graph, tensor, wanted[name])),
                             sources=sources[name], reach=(1 << bits - 1) / tensor.units, limit=limits.get(inside, ""),
                             bits=bits)
        found[name] = found[name] + one if name in found else one
    for name, counts in watch.counts.items():
        found[name] = replace(found[name], losses=replace(found[name].losses, **counts),
                              limit=NORM_LIMIT if name in watch.limited else found[name].limit,
                              deviation=watch.deviations.get(name, math.inf))
    return tensors | found


def _limits(graph):
    """Why more reach would not help a tensor, by its name, where that is so."""
    limits = {}
    for operation in graph.operations:
        if isinstance(operation, Softmax):
            name, reach = operation.x.tensor, SCORE_REACH
            text = (f"the softmax takes scores within +-{SCORE_REACH / graph.tensors[name].scale:.3g}; scale the model's "
                    "weights of query and key down")
        elif isinstance(operation, MatMul) and has_table(operation.function) and not activation(operation.function).odd:
            name, reach = operation.c.tensor, REACH
            text = (f"{activation(operation.function).title} takes arguments within +-{REACH}; scale the model's weights in "
                    "front of it down")
        else:
            continue
        if 2.0 ** (graph.width - 1 - graph.tensors[name].frac) >= reach:
            limits[name] = text
    return limits


def _sources(graph):
    """{float name of a result: names of what it is computed from}."""
    sources: dict[str, tuple[str, ...]] = {}
    for operation in graph.operations:
        names: tuple
        match operation:
            case Gather():
                names = (operation.table,)
            case Load():
                names = (operation.constant,)
            case MatMul():
                names = (operation.a.tensor, operation.b.tensor, operation.bias)
            case Softmax():
                names = (operation.x.tensor,)
            case LayerNorm():
                names = (operation.x.tensor, operation.residual and operation.residual.tensor, operation.gamma, operation.beta)
            case _:
                continue
        result = graph.tensors[target(operation).tensor].source
        inputs = [name if name in graph.losses else graph.tensors[name].source for name in names if name]
        if result is not None and result not in sources:
            sources[result] = tuple(name for name in dict.fromkeys(inputs) if name not in (None, result))
    return sources


def _wanted(graph, tensor, want):
    """The valid elements of the float tensor `want` that a graph's tensor holds, row by row."""
    if tensor.positions is not None:
        return want[list(tensor.sequences), list(tensor.positions)]
    if want.ndim == 2:
        return want[list(tensor.sequences)]
    if tensor.head is not None:
        want = want[:, tensor.head, :, : tensor.valid_columns]
    return torch.cat([want[number, : graph.lengths[number]] for number in tensor.sequences])
