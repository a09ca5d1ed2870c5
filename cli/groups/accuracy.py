"""The commands about accuracy: `acceltran evaluate`, `calibrate`, `cost`, `study`, `seeds`.

All read data files: csv, tsv or jsonl, see `LABELLED`.
"""

from pathlib import Path
from typing import Annotated

import typer

from ..late import Late
from ..options import (
    CACHE,
    CALIBRATION,
    DEFAULT_MODEL,
    EXCLUSIONS,
    JOBS,
    LABELLED,
    LAYOUT,
    LIMITS,
    MODEL,
    OWN,
    PRUNING,
    WEIGHTS,
    config,
    document,
    json,
    takes,
    weights_option,
)

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)

evaluate_command = Late("evaluate", "evaluate.evaluate_command:evaluate_command", "model")
calibrate_command = Late("calibrate", "evaluate.calibrate_command:calibrate_command", "model")
cost_command = Late("cost", "evaluate.cost_command:cost_command", "model")
study_command = Late("study", "evaluate.study_command:study_command", "silicon")
seeds_command = Late("seeds", "evaluate.seeds_command:seeds_command", "model")

_DYNATRAN_DOCUMENT = document(Path("docs/dynatran.md"))


@app.command()
@takes(OWN, JOBS, config(), MODEL, PRUNING, CALIBRATION, json("everything"), LABELLED, LIMITS)
def evaluate(
    data: Annotated[Path, typer.Option(help="Labelled sentences: csv, tsv or jsonl.")],
    method: Annotated[str, typer.Option(help="How to prune: none, dynatran (one threshold), per-site, or top-k (of "
                                             "attention probabilities).")] = "none",
    keep: Annotated[int | None, typer.Option(help="With top-k: how many probabilities to keep in each row.")] = None,
    word_format: Annotated[str | None, typer.Option("--format", help="Integer and fraction bits of a value, such as "
                                                                     "4.16, and of a weight if it has fewer: "
                                                                     "4.12/8.")] = None,
    length: Annotated[int, typer.Option(min=2, help="Tokens to which sentences are padded, for the figures with padding, "
                                        "and to which longer ones are cut.")] = 128,
    limit: Annotated[int | None, typer.Option(min=1, help="Evaluate only so many sentences, the first of the file.")] = None,
    baseline: Annotated[bool, typer.Option(help="Evaluate also without pruning of activations, to compare with.")] = True,
    rtl: Annotated[int, typer.Option(min=0, help="Run so many of the first sentences on the simulated RTL, too, and "
                                                 "compare.")] = 0,
    batch: Annotated[int, typer.Option(min=1, help="With --rtl: sentences in one program. Cycles are means for a "
                                                   "sentence.")] = 1,
    **shared,
):
    """Evaluate the integer model, which the RTL reproduces: accuracy, zeros, and multiplications that remain.

    Every sentence is also compared with the float model, pruned in the same way. Columns, delimiter and heading of the file
    are recognised and reported; where they are not certain, the command asks for an option. A label is the number of a class,
    or its name in the model's id2label. If the model has one output only, labels are values, and the correlation is reported.
    Sentences longer than --length are cut, and the report says how many. The model must have a classifier.

    Example: acceltran evaluate --data dev.tsv --method dynatran --tau 0.05 --json dev.json
    """
    return evaluate_command(data=data, method=method, keep=keep, word_format=word_format, length=length, limit=limit,
                            baseline=baseline, rtl=rtl, batch=batch, **shared)


@app.command()
@takes(OWN, MODEL, WEIGHTS, LABELLED)
def calibrate(
    data: Annotated[Path, typer.Option(help="Labelled training sentences: csv, tsv or jsonl.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="JSON file to write the thresholds to.")],
    budget: Annotated[float, typer.Option(min=0, help="Accuracy that may be given up, in points.")] = 0.5,
    sentences: Annotated[int, typer.Option(min=10, help="How many sentences to search on, drawn from the file.")] = 400,
    check: Annotated[int | None, typer.Option(min=10, help="How many other sentences to choose the operating point on "
                                              "(default: all that are left).")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the draw.")] = 0,
    **shared,
):
    """Find a DynaTran threshold for each site: those that remove most multiplications for the accuracy given up.

    A site is an activation tensor in front of a product. The result is a curve of thresholds for each site, from no pruning
    to the most that was tried, for the hardware's threshold calculator. One register, the operating point, moves all sites
    along their curves. The model must have a classifier.

    Example: acceltran calibrate --data train.tsv -o sites.json && acceltran run --sites sites.json --text "a warm film"
    """
    return calibrate_command(data=data, output=output, budget=budget, sentences=sentences, check=check, seed=seed, **shared)


@app.command()
@takes(OWN, MODEL, json("everything"), LAYOUT)
def cost(
    data: Annotated[Path, typer.Option(help="File of sentences (csv, tsv, jsonl or text); the first 16 are used.")],
    tau: Annotated[float, typer.Option(min=0, help="Threshold of the threshold pass.")] = 0.02,
    keep: Annotated[int, typer.Option(min=1, help="How many probabilities top-k keeps in a row.")] = 8,
    length: Annotated[int, typer.Option(min=2, help="Tokens to which sentences are padded.")] = 128,
    **shared,
):
    """Compare pruning by a threshold with top-k on the same tensors: time in PyTorch, and gates for one row per cycle.

    Example: acceltran cost --data dev.tsv
    """
    return cost_command(data=data, tau=tau, keep=keep, length=length, **shared)


@app.command()
@takes(OWN, config(), _DYNATRAN_DOCUMENT, LABELLED)
def study(
    data: Annotated[Path, typer.Option(help="Labelled sentences to report on: csv, tsv or jsonl.")],
    train: Annotated[Path, typer.Option(help="Other labelled sentences, to choose thresholds and strengths on.")],
    model: Annotated[list[Path] | None, typer.Option(help="Hugging Face BERT folders (default: the packaged one).")] = None,
    weight_sparsities: Annotated[list[float] | None, weights_option(
        "Evaluate each model also with this share of its weights set to zero, or with N:M, if it "
        "has fewer zeros (default: 0.5). Give the option several times for several.")] = None,
    length: Annotated[int, typer.Option(min=2, help="Tokens to which sentences are padded, for the figures with "
                                                    "padding.")] = 128,
    results: Annotated[Path, typer.Option(help="File that keeps the evaluations; what is in it is not run again.")] = Path(
        "build/dynatran.json"),
    **shared,
):
    """Evaluate every method at many strengths, for the tables and plots of docs/dynatran.md. Takes half an hour and more.

    Example: acceltran study --data dev.tsv --train train.tsv
    """
    return study_command(data=data, train=train, models=model or [DEFAULT_MODEL], weight_sparsities=weight_sparsities or [0.5],
                         length=length, results=results, **shared)


@app.command()
@takes(OWN, config(), CACHE, EXCLUSIONS, _DYNATRAN_DOCUMENT, LABELLED)
def seeds(
    data: Annotated[Path, typer.Option(help="Labelled sentences to report on: csv, tsv or jsonl.")],
    count: Annotated[int, typer.Option(min=1, help="How many seeds of each variant, from 0 on.")] = 3,
    variant: Annotated[list[str] | None, typer.Option(help="Only this variant of acceltran train, and in the table those that "
                                                      "--folder holds already; give the option several times for "
                                                      "several.")] = None,
    folder: Annotated[Path, typer.Option(help="Folder that keeps models and results; what is in it is not made again.")] = Path(
        "build/seeds"),
    **shared,
):
    """Train, calibrate and evaluate every variant of the packaged model from several seeds. Takes an hour.

    Example: acceltran seeds --data dev.tsv
    """
    return seeds_command(data=data, seeds=count, variants=variant, folder=folder, **shared)
