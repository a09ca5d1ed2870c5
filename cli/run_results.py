"""What runs gave, folded batch by batch: printed as it comes, and written at the end."""

from dataclasses import dataclass, replace

import torch

from ..sim.batches import Totals
from ..sim.inference import report
from ..sw.models.answers import similarities
from ..sw.models.fidelity import combine
from .answer_text import answer_lines
from .array_file import arrays_of
from .console import console, tell

__all__ = ["FEW_COMPARED", "BatchResult", "RunResults", "placed", "similarity_of"]

_MOST_COMPARED = 500
"""Vectors up to which each is compared with each."""

FEW_COMPARED = 20
"""Vectors up to which similarities are printed."""


@dataclass(frozen=True)
class BatchResult:
    """What is kept of a batch: its report, its Fidelity, and the arrays of its sentences if they are wanted."""

    report: dict
    fidelity: object
    arrays: list | None

    @classmethod
    def of(cls, inference, limits, arrays):
        """That of an Inference, with a report for `limits`."""
        values = report(inference) | {"fidelity": inference.fidelity.to_dict(limits)}
        own = arrays_of(inference.answers, inference.outputs)[: inference.sentences] if arrays else None
        return cls(values, inference.fidelity, own)


class RunResults:
    """Adds windows up, and prints their answers in the order of the sentences.

    Parameters
    ----------
    limits : Limits of the fidelity's warning
    arrays : ArrayFile, or None
    """

    def __init__(self, limits, arrays=None):
        self._limits, self._arrays, self._totals = limits, arrays, Totals()
        self._fidelity, self._sentences, self.predictions = None, [], []
        self.skipped, self.failed, self.cut = [], [], 0

    def add(self, window):
        """Add a Window of `infer_batches`, whose results are each a BatchResult."""
        found = {}
        for numbers, result in window.parts:
            self._totals.add(result.report)
            one = replace(result.fidelity, sentences=())
            self._fidelity = one if self._fidelity is None else combine([self._fidelity, one])
            arrays = result.arrays or [None] * len(numbers)
            found |= {number: three for number, *three in zip(numbers, result.report["predictions"], result.fidelity.sentences,
                                                              arrays, strict=True)}
        for number in sorted(found):
            prediction, fidelity, _ = found[number]
            sentence = window.sentences[number]
            self._sentences.append(fidelity)
            self.predictions.append(placed(sentence.text, sentence.pair, window.lines[number]) | prediction)
            console.print("\n".join(answer_lines(self.predictions[-1], result.report["kind"])))
        if self._arrays is not None:
            before = len(self.predictions) - len(found)
            self._arrays.add([window.lines[number] or before + at for at, number in enumerate(sorted(found), 1)],
                             [found[number][2] for number in sorted(found)])
        self.cut += window.cut
        self.skipped += [{"line": window.lines[number], "reason": why} for number, why in sorted(window.skipped.items())]
        for numbers, why in window.failed:
            lines = [window.lines[number] for number in numbers]
            tell(f"failed: {_named(lines)}: {why}")
            self.failed.append({"lines": lines, "reason": why})

    def report(self):
        """The report of all, None if nothing ran."""
        if not self._totals:
            return None
        fidelity = replace(self._fidelity, sentences=tuple(self._sentences)).to_dict(self._limits)
        return self._totals.report(self.predictions) | {"fidelity": fidelity, "skipped_lines": self.skipped,
                                                        "failed": self.failed}


def placed(text, pair, line):
    """What a prediction says of its sentence."""
    return {"text": text} | ({"pair": pair} if pair else {}) | ({"line": line} if line else {})


def _named(lines):
    return f"{'line' if len(lines) == 1 else 'lines'} {', '.join(map(str, sorted(lines)))}"


def similarity_of(predictions, kind):
    """Similarities of the vectors of all sentences, and how they are measured, for JSON; nothing for other answers."""
    if kind is None:
        return {}
    if len(predictions) > _MOST_COMPARED:
        return {"similarity": None, "similarity_kind": kind}
    vectors = torch.tensor([prediction["embedding"] for prediction in predictions])
    return {"similarity": similarities(vectors, kind).tolist(), "similarity_kind": kind}
