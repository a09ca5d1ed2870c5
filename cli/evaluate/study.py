"""The study behind docs/dynatran.md: one way of pruning against another, at many strengths."""

import json
from dataclasses import dataclass, replace

from ...hw.spec.files import write_json
from ...sw.models.weight_sparsity import GroupSparsity
from .choose import choose
from .evaluate import Method, evaluate, with_format
from .float_runs import FloatRuns

__all__ = ["BUDGETS", "FORMATS", "KEEPS", "POINTS", "TAUS", "Curve", "choose_strengths", "run_study"]

TAUS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1)
KEEPS = (24, 16, 12, 8, 4, 2, 1)
POINTS = tuple(n / 16 for n in range(1, 17))
FORMATS = ("4.4", "4.6", "4.8", "4.12", "4.16", "4.8/8", "4.12/4", "4.12/6", "4.12/8", "4.12/12", "4.16/8")
BUDGETS = (0.5, 1.0)
"""Accuracy, in points, for which strengths are chosen."""


@dataclass(frozen=True)
class Curve:
    """One method on one set of weights.

    Parameters
    ----------
    model, weight_sparsity : of the weights
    method : name
    settings : options of `Method`, by what the strength is called, from the weakest to the strongest
    word_format : see `with_format`, or None for the configuration's
    """

    model: str
    weight_sparsity: float | GroupSparsity
    method: str
    settings: dict
    word_format: str | None = None

    def methods(self):
        """{strength: Method}."""
        return {strength: Method(name=self.method, weight_sparsity=self.weight_sparsity, **options)
                for strength, options in self.settings.items()}

    def without_points_between(self, choices):
        """Itself with every other operating point, and those chosen."""
        if self.method != "per-site":
            return self
        wanted = {f"{point}" for point in POINTS[1::2]} | {choices[self.key(budget)] for budget in BUDGETS}
        return replace(self, settings={strength: options for strength, options in self.settings.items() if strength in wanted})

    def key(self, strength):
        """What results are filed under."""
        return " ".join(filter(None, (self.model, f"{self.weight_sparsity}", self.word_format, f"{self.method} {strength}")))


def choose_strengths(curves, load, texts, labels, *, results, report=lambda text: None):
    """The strength of each curve for each of `BUDGETS`, on sentences that nothing is reported on, see `choose`.

    Parameters
    ----------
    curves, load, report : as for `run_study`
    texts, labels : sentences to choose on
    results : JSON file that keeps what is done

    Returns
    -------
    {key of a curve with a budget for its strength: strength or None}
    """
    choices = json.loads(results.read_text()) if results.exists() else {}
    runs = {}
    for curve in curves:
        if curve.key(BUDGETS[-1]) in choices:
            continue
        report(f"choosing for {curve.model} {curve.weight_sparsity} {curve.method}")
        weights = curve.model, curve.weight_sparsity
        if weights not in runs:
            runs = {weights: FloatRuns(load(curve.model), texts, labels, curve.weight_sparsity)}
        prunings = {strength: method.float_pruning(runs[weights].checkpoint) for strength, method in curve.methods().items()}
        choices |= {curve.key(budget): choose(runs[weights], prunings, budget) for budget in BUDGETS}
        write_json(results, choices)
    return choices


def run_study(curves, load, hardware, texts, labels, *, length, results, report=lambda text: None):
    """Evaluate every setting of every curve that `results` (a JSON file) lacks.

    Parameters
    ----------
    curves : Curves
    load : folder of a model to Checkpoint
    hardware : AcceleratorConfig
    texts, labels, length : as for `evaluate`
    results : file that keeps what is done, all or nothing after each setting
    report : called with a line before each

    Returns
    -------
    {key of a setting: values of `evaluate`, with "method", "strength", "model", "weight_sparsity", "format"}
    """
    values = json.loads(results.read_text()) if results.exists() else {}
    for curve in curves:
        for strength, method in curve.methods().items():
            key = curve.key(strength)
            if key in values:
                continue
            report(key)
            words = hardware if curve.word_format is None else with_format(hardware, curve.word_format)
            run = evaluate(load(curve.model), words, texts, labels, method, length=length, baseline=False)
            run = {name: value for name, value in run.items() if name not in ("predictions", "fidelity")}
            values[key] = run | {"model": curve.model, "weight_sparsity": curve.weight_sparsity, "method": curve.method,
                                 "strength": strength, "format": curve.word_format}
            write_json(results, values)
    return {curve.key(strength): values[curve.key(strength)] for curve in curves for strength in curve.settings}
