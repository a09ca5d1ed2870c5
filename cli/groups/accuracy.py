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
@takes(OWN, config(), MODEL, PRUNING, CALIBRATION, json("everything"), LABELLED, LIMITS)
def evaluate(
    data: Annotated[Path, typer.Option(help="Labelled sentences: csv, tsv or jsonl.")],
    method: Annotated[str, typer.Option(help="none, dynatran (one threshold), per-site, top-k (probabilities).")] = "none",
    keep: Annotated[int | None, typer.Option(help="top-k: probabilities that stay in each row.")] = None,
    word_format: Annotated[str | None, typer.Option("--format", help="Integer and fraction bits, like 4.16.")] = None,
    length: Annotated[int, typer.Option(min=2, help="Tokens to pad to, for the figures with padding, and to cut longer "
                                        "sentences to.")] = 128,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first sentences.")] = None,
    baseline: Annotated[bool, typer.Option(help="Evaluate without pruning of activations too.")] = True,
    rtl: Annotated[int, typer.Option(min=0, help="Compare with the simulated RTL on the first sentences, one by one.")] = 0,
    **shared,
):
    """Evaluate the integer model, which the RTL reproduces: accuracy, zeros, and multiplications that remain.

    Every sentence is compared with the float model, pruned in the same way, too. Columns, delimiter and heading of the file
    are recognised, and said, or asked for. A label is a class by its number or by its name in the model's id2label. A model
    with one output is compared with values, by their correlation. Longer sentences than --length are cut, and counted. The
    model needs a classifier.

    Example: acceltran evaluate --data dev.tsv --method dynatran --tau 0.05 --json dev.json
    """
    return evaluate_command(data=data, method=method, keep=keep, word_format=word_format, length=length, limit=limit,
                            baseline=baseline, rtl=rtl, **shared)


@app.command()
@takes(OWN, MODEL, WEIGHTS, LABELLED)
def calibrate(
    data: Annotated[Path, typer.Option(help="Labelled training sentences: csv, tsv or jsonl.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="JSON file of the thresholds.")],
    budget: Annotated[float, typer.Option(min=0, help="Accuracy, in points, to give up.")] = 0.5,
    sentences: Annotated[int, typer.Option(min=10, help="Sentences to search on, drawn from the file.")] = 400,
    check: Annotated[int | None, typer.Option(min=10, help="Others, on which the operating point is chosen (default: all "
                                              "that are left).")] = None,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    **shared,
):
    """Find a DynaTran threshold for each site: those that remove most multiplications for the accuracy given up.

    The result is a way from no pruning to the most that was tried, as curves for the hardware's threshold calculator: one
    register, the operating point, moves all sites along it. The model needs a classifier.

    Example: acceltran calibrate --data train.tsv -o sites.json && acceltran run --sites sites.json --text "a warm film"
    """
    return calibrate_command(data=data, output=output, budget=budget, sentences=sentences, check=check, seed=seed, **shared)


@app.command()
@takes(OWN, MODEL, json("everything"), LAYOUT)
def cost(
    data: Annotated[Path, typer.Option(help="Sentences (csv, tsv, jsonl or text), of which the first 16 are taken.")],
    tau: Annotated[float, typer.Option(min=0, help="Threshold.")] = 0.02,
    keep: Annotated[int, typer.Option(min=1, help="Probabilities that top-k leaves in a row.")] = 8,
    length: Annotated[int, typer.Option(min=2, help="Tokens to pad to.")] = 128,
    **shared,
):
    """Compare a threshold pass with a top-k pass over the same tensors: time in PyTorch, gates for a row per cycle.

    Example: acceltran cost --data dev.tsv
    """
    return cost_command(data=data, tau=tau, keep=keep, length=length, **shared)


@app.command()
@takes(OWN, config(), _DYNATRAN_DOCUMENT, LABELLED)
def study(
    data: Annotated[Path, typer.Option(help="Labelled sentences to report on: csv, tsv or jsonl.")],
    train: Annotated[Path, typer.Option(help="Others, to choose thresholds and strengths on.")],
    model: Annotated[list[Path] | None, typer.Option(help="Hugging Face BERT folders (default: the packaged one).")] = None,
    weight_sparsity: Annotated[list[float] | None, typer.Option(help="Shares of weights to zero beside none, of models "
                                              "with fewer zeros (default: 0.5).")] = None,
    length: Annotated[int, typer.Option(min=2, help="Tokens to pad to, for the figures with padding.")] = 128,
    results: Annotated[Path, typer.Option(help="Evaluations, kept here: what is there is not run again.")] = Path(
        "build/dynatran.json"),
    **shared,
):
    """Evaluate every method at many strengths, for the tables and plots of docs/dynatran.md. Takes half an hour and more.

    Example: acceltran study --data dev.tsv --train train.tsv
    """
    return study_command(data=data, train=train, models=model or [DEFAULT_MODEL], weight_sparsities=weight_sparsity or [0.5],
                         length=length, results=results, **shared)


@app.command()
@takes(OWN, config(), CACHE, EXCLUSIONS, _DYNATRAN_DOCUMENT, LABELLED)
def seeds(
    data: Annotated[Path, typer.Option(help="Labelled sentences to report on: csv, tsv or jsonl.")],
    count: Annotated[int, typer.Option(min=1, help="Seeds of each variant, from 0 on.")] = 3,
    folder: Annotated[Path, typer.Option(help="Models and results, kept here: what is there is not made again.")] = Path(
        "build/seeds"),
    **shared,
):
    """Train, calibrate and evaluate every variant of the packaged model from several seeds. Takes an hour.

    Example: acceltran seeds --data dev.tsv
    """
    return seeds_command(data=data, seeds=count, folder=folder, **shared)
