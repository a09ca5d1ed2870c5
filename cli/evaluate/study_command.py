"""What `acceltran study` does."""

import functools
from dataclasses import replace

from ...hw.spec.config import AcceleratorConfig
from ...sw.models.checkpoint import load_checkpoint
from ...sw.models.errors import ModelError
from ...sw.models.quantise import weight_zeros
from ...sw.models.weight_sparsity import zero_share
from ..console import announce, check_outputs, console, progress
from ..data_files import read_labelled
from ..labels import Targets, check_classifier
from .calibrate_command import SEARCH, calibrate_command, draw
from .document import update_document
from .sites import SiteCurves
from .study import BUDGETS, FORMATS, KEEPS, POINTS, TAUS, Curve, choose_strengths, run_study

__all__ = ["study_command"]


def study_command(*, data, train, models, weight_sparsities, config, length, results, output, layout=None):
    """Options are those of the command, see its help."""
    hardware = AcceleratorConfig.load(config)
    check_outputs(results, output)
    load, curves = functools.cache(load_checkpoint), []
    models = [str(model) for model in models]
    found, others = (_read_for_all(path, models, load, layout) for path in (data, train))
    check = draw(train, others.texts, others.labels, SEARCH, None, 0)[1]
    for part in (found, others):
        announce(part)
    for model in models:
        there = weight_zeros(load(model))
        for weights in [0.0, *(one for one in weight_sparsities if zero_share(one) > there)]:
            sites = results.with_name(f"{results.stem}-{model.replace('/', '_')}-{weights}.json")
            if not sites.exists():
                calibrate_command(data=train, output=sites, model=model, budget=BUDGETS[-1], weight_sparsity=weights,
                                  sentences=SEARCH, check=None, seed=0, layout=layout)
            thresholds = SiteCurves.load(sites, load(model))
            curves += [Curve(model, weights, "none", {"": {}}),
                       Curve(model, weights, "dynatran", {f"{tau}": {"tau": tau} for tau in TAUS}),
                       Curve(model, weights, "top-k", {f"{keep}": {"keep": keep} for keep in KEEPS}),
                       Curve(model, weights, "per-site", {f"{p}": {"sites": thresholds, "target": p} for p in POINTS})]

    def report(line):
        progress.print(f"study: {line} ...")

    choices = choose_strengths(curves, load, *check, results=results.with_name(f"{results.stem}-choices.json"), report=report)
    curves = [curve.without_points_between(choices) for curve in curves]
    for word_format in FORMATS:
        dense, sites = (curve for curve in curves[:4] if curve.method in ("none", "per-site"))
        point = choices[sites.key(BUDGETS[-1])]
        chosen = {} if point is None else {point: sites.settings[point]}
        curves += [replace(dense, word_format=word_format), replace(sites, word_format=word_format, settings=chosen)]
    values = run_study(curves, load, hardware, found.texts, found.labels, length=length, results=results, report=report)
    for path in [output, *update_document(output, values, choices)]:
        console.print(f"wrote {path}")


def _read_for_all(path, models, load, layout):
    """Data whose labels mean the same to all models."""
    found = None
    for model in models:
        checkpoint = load(model)
        check_classifier(checkpoint, "study", classes=True)
        read = read_labelled(path, Targets(checkpoint.config), layout)
        if found and read.labels != found.labels:
            raise ModelError(f"data = {str(path)!r}: its labels are other classes to {model} than to {models[0]}: study models "
                             "with one id2label")
        found = found or read
    return found
