"""Every variant of the packaged model from several seeds: what training for pruning gives, and how much of it is chance."""

import json
import math
from statistics import mean, stdev

from ...hw.spec.files import write_json
from ...sw.models.checkpoint import load_checkpoint
from ..train.train import VARIANTS
from ..train.train_command import train_into
from .evaluate import Method, evaluate
from .sites import SiteCurves

__all__ = ["run_seeds", "seed_table"]


def run_seeds(seeds, reviews, calibrate, hardware, texts, labels, *, folder, cache, variants=tuple(VARIANTS),
              report=lambda text: None):
    """Train, calibrate and evaluate what `folder` lacks.

    Parameters
    ----------
    seeds : numbers; each variant goes on from the one it starts from with the same seed
    reviews : Reviews to train on
    calibrate : called with (folder of a model, JSON file to write thresholds per site to)
    hardware, texts, labels : as for `evaluate`
    folder : keeps models, thresholds and results
    cache : see `train_into`
    variants : names in `VARIANTS`; those that they start from are trained too
    report : called with a line before each step

    Returns
    -------
    {"variant seed": {"none" and "per-site": values of `evaluate`, "point": operating point}}
    """
    results = folder / "results.json"
    values = json.loads(results.read_text()) if results.exists() else {}

    def trained(name, seed):
        model, start = folder / f"{name}-{seed}", VARIANTS[name].start
        if not (model / "tokenizer.json").exists():
            first = start and trained(start, seed)
            report(f"training {model.name}")
            train_into(model, name, seed, first, reviews, cache)
        return model

    for seed in seeds:
        for name in variants:
            model, sites = trained(name, seed), folder / f"{name}-{seed}.json"
            if not sites.exists():
                calibrate(model, sites)
            if f"{name} {seed}" in values:
                continue
            report(f"evaluating {model.name}")
            checkpoint, runs = load_checkpoint(model), {}
            curves = SiteCurves.load(sites, checkpoint)
            for method in (Method(), Method(name="per-site", sites=curves)):
                runs[method.name] = evaluate(checkpoint, hardware, texts, labels, method, length=None,
                                             baseline=False)
            runs = {method: {name: value for name, value in run.items() if name not in ("predictions", "fidelity")}
                    for method, run in runs.items()}
            values[f"{name} {seed}"] = runs | {"point": curves.point}
            write_json(results, values)
    return values


def seed_table(values):
    """Markdown: a row for each seed, and the means of each variant with the standard error over its seeds."""
    heads = ["model", "seed", "accuracy, unpruned %", "left %", "point chosen", "accuracy, per site %", "left %"]
    text = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    variants = {}
    for key, run in values.items():
        name, seed = key.split()
        row = [100 * share for part in ("none", "per-site") for share in (
            run[part]["accuracy"], run[part]["remaining_multiplications"]["all"])]
        variants.setdefault(name, {})[seed] = row, run["point"]
    for name, seeds in variants.items():
        for seed, (row, point) in seeds.items():
            text.append(_row(name, seed, [f"{share:.2f}" for share in row], f"{point:.3f}"))
        if len(seeds) > 1:
            columns = list(zip(*(row for row, _ in seeds.values()), strict=True))
            means = [f"{mean(column):.2f} +- {stdev(column) / math.sqrt(len(column)):.2f}" for column in columns]
            text.append(_row(name, "mean", means, ""))
    return "\n".join([*text, ""])


def _row(name, seed, shares, point):
    accuracy, left, *pruned = shares
    return "| " + " | ".join([name, seed, accuracy, left, point, *pruned]) + " |"
