"""The study behind docs/dynatran.md: one way of pruning against another, at many strengths."""

import json
from dataclasses import dataclass

from ...sim.inference import write_json
from .evaluate import Method, evaluate

__all__ = ["KEEPS", "POINTS", "TAUS", "Curve", "run_study"]

TAUS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1)
KEEPS = (16, 12, 8, 6, 4, 3, 2, 1)
POINTS = tuple(n / 16 for n in range(2, 17, 2))


@dataclass(frozen=True)
class Curve:
    """One method on one set of weights.

    Parameters
    ----------
    model, weight_sparsity : of the weights
    method : name
    settings : options of `Method`, by what the strength is called
    """

    model: str
    weight_sparsity: float
    method: str
    settings: dict


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
    {key of a setting: values of `evaluate`, with "method", "strength", "model", "weight_sparsity"}
    """
    values = json.loads(results.read_text()) if results.exists() else {}
    for curve in curves:
        for strength, options in curve.settings.items():
            key = f"{curve.model} {curve.weight_sparsity} {curve.method} {strength}"
            if key in values:
                continue
            report(key)
            method = Method(name=curve.method, weight_sparsity=curve.weight_sparsity, **options)
            run = evaluate(load(curve.model), hardware, texts, labels, method, length=length, baseline=False)
            values[key] = run | {"model": curve.model, "weight_sparsity": curve.weight_sparsity, "method": curve.method,
                                 "strength": strength}
            write_json(results, values)
    return values
