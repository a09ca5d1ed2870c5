"""The commands of `acceltran` about accuracy: evaluate, calibrate, study, train, seeds.

All read data files: csv, tsv or jsonl, see `with_layout`.
"""

from pathlib import Path
from typing import Annotated

import typer

from ..options import DEFAULT_MODEL, CalibrationOption, ConfigOption, with_layout, with_limits

__all__ = ["calibrate", "cost", "evaluate", "seeds", "study", "train"]

CacheOption = Annotated[Path | None, typer.Option(help="Where the fetched packages stay (default: see acceltran cache).")]
ExclusionsOption = Annotated[Path, typer.Option(help="Fingerprints of the sentences never to train on.")]
DocumentOption = Annotated[Path, typer.Option("--output", "-o", help="Document with markers to update.")]


@with_layout(labels=True)
@with_limits
def evaluate(
    data: Annotated[Path, typer.Option(help="Labelled sentences: csv, tsv or jsonl.")],
    config: ConfigOption = "mini",
    model: Annotated[Path, typer.Option(help="Hugging Face BERT folder with a classifier.")] = DEFAULT_MODEL,
    method: Annotated[str, typer.Option(help="none, dynatran (one threshold), per-site, top-k (probabilities).")] = "none",
    tau: Annotated[float | None, typer.Option(min=0, help="dynatran: one threshold for all activations.")] = None,
    target_sparsity: Annotated[float | None, typer.Option(min=0, max=1, help="dynatran: wanted sparsity; per-site: operating "
                                                          "point (default: the calibrated one).")] = None,
    sites: Annotated[Path | None, typer.Option(help="per-site: thresholds from acceltran calibrate.")] = None,
    keep: Annotated[int | None, typer.Option(help="top-k: probabilities that stay in each row.")] = None,
    weight_sparsity: Annotated[float, typer.Option(min=0, max=0.99, help="Share of weights to zero by magnitude.")] = 0.0,
    word_format: Annotated[str | None, typer.Option("--format", help="Integer and fraction bits, like 4.16.")] = None,
    length: Annotated[int, typer.Option(min=2, help="Tokens to pad to, for the figures with padding, and to cut longer "
                                        "sentences to.")] = 128,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first sentences.")] = None,
    baseline: Annotated[bool, typer.Option(help="Evaluate without pruning of activations too.")] = True,
    rtl: Annotated[int, typer.Option(min=0, help="Compare with the simulated RTL on the first sentences, one by one.")] = 0,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write everything as JSON.")] = None,
    calibration: CalibrationOption = None,
    layout=None,
    limits=None,
):
    """Evaluate the integer model, which the RTL reproduces: accuracy, zeros, and multiplications that remain.

    Every sentence is compared with the float model, pruned in the same way, too. Columns, delimiter and heading of the file
    are recognised, and said, or asked for. A label is a class by its number or by its name in the model's id2label. A model
    with one output is compared with values, by their correlation. Longer sentences than --length are cut, and counted.

    Example: acceltran evaluate --data dev.tsv --method dynatran --tau 0.05 --json dev.json
    """
    from .command import evaluate_command

    raise typer.Exit(evaluate_command(
        config=config, model=model, data=data, method=method, tau=tau, target_sparsity=target_sparsity, sites=sites, keep=keep,
        weight_sparsity=weight_sparsity, word_format=word_format, length=length, limit=limit, baseline=baseline,
        rtl=rtl, json_path=json_path, calibration=calibration, layout=layout, limits=limits,
    ))


@with_layout(labels=True)
def calibrate(
    data: Annotated[Path, typer.Option(help="Labelled training sentences: csv, tsv or jsonl.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="JSON file of the thresholds.")],
    model: Annotated[Path, typer.Option(help="Hugging Face BERT folder with a classifier.")] = DEFAULT_MODEL,
    budget: Annotated[float, typer.Option(min=0, help="Accuracy, in points, to give up.")] = 0.5,
    weight_sparsity: Annotated[float, typer.Option(min=0, max=0.99, help="Share of weights to zero by magnitude.")] = 0.0,
    sentences: Annotated[int, typer.Option(min=10, help="Sentences to search on, drawn from the file.")] = 400,
    check: Annotated[int | None, typer.Option(min=10, help="Others, on which the operating point is chosen (default: all "
                                              "that are left).")] = None,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    layout=None,
):
    """Find a DynaTran threshold for each site: those that remove most multiplications for the accuracy given up.

    The result is a way from no pruning to the most that was tried, as curves for the hardware's threshold calculator: one
    register, the operating point, moves all sites along it.

    Example: acceltran calibrate --data train.tsv -o sites.json && acceltran run --sites sites.json --text "a warm film"
    """
    from .command import calibrate_command

    calibrate_command(data=data, output=output, model=model, budget=budget, weight_sparsity=weight_sparsity,
                      sentences=sentences, check=check, seed=seed, layout=layout)


@with_layout(labels=True)
def study(
    data: Annotated[Path, typer.Option(help="Labelled sentences to report on: csv, tsv or jsonl.")],
    train: Annotated[Path, typer.Option(help="Others, to choose thresholds and strengths on.")],
    model: Annotated[list[Path] | None, typer.Option(help="Hugging Face BERT folders (default: the packaged one).")] = None,
    weight_sparsity: Annotated[list[float] | None, typer.Option(help="Shares of weights to zero beside none, of models "
                                              "with fewer zeros (default: 0.5).")] = None,
    config: ConfigOption = "mini",
    length: Annotated[int, typer.Option(min=2, help="Tokens to pad to, for the figures with padding.")] = 128,
    results: Annotated[Path, typer.Option(help="Evaluations, kept here: what is there is not run again.")] = Path(
        "build/dynatran.json"),
    output: DocumentOption = Path("docs/dynatran.md"),
    layout=None,
):
    """Evaluate every method at many strengths, for the tables and plots of docs/dynatran.md. Takes half an hour and more.

    Example: acceltran study --data dev.tsv --train train.tsv
    """
    from .command import study_command

    study_command(data=data, train=train, models=model or [DEFAULT_MODEL], weight_sparsities=weight_sparsity or [0.5],
                  config=config, length=length, results=results, output=output, layout=layout)


@with_layout(labels=False)
def cost(
    data: Annotated[Path, typer.Option(help="Sentences (csv, tsv, jsonl or text), of which the first 16 are taken.")],
    model: Annotated[Path, typer.Option(help="Hugging Face BERT folder.")] = DEFAULT_MODEL,
    tau: Annotated[float, typer.Option(min=0, help="Threshold.")] = 0.02,
    keep: Annotated[int, typer.Option(min=1, help="Probabilities that top-k leaves in a row.")] = 8,
    length: Annotated[int, typer.Option(min=2, help="Tokens to pad to.")] = 128,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write everything as JSON.")] = None,
    layout=None,
):
    """Compare a threshold pass with a top-k pass over the same tensors: time in PyTorch, gates for a row per cycle.

    Example: acceltran cost --data dev.tsv
    """
    from .command import cost_command

    cost_command(data=data, model=model, tau=tau, keep=keep, length=length, json_path=json_path, layout=layout)


@with_layout(labels=True)
def seeds(
    data: Annotated[Path, typer.Option(help="Labelled sentences to report on: csv, tsv or jsonl.")],
    count: Annotated[int, typer.Option(min=1, help="Seeds of each variant, from 0 on.")] = 3,
    config: ConfigOption = "mini",
    folder: Annotated[Path, typer.Option(help="Models and results, kept here: what is there is not made again.")] = Path(
        "build/seeds"),
    cache: CacheOption = None,
    exclusions: ExclusionsOption = Path("models/sst2-dev-exclusions.txt"),
    output: DocumentOption = Path("docs/dynatran.md"),
    layout=None,
):
    """Train, calibrate and evaluate every variant of the packaged model from several seeds. Takes an hour.

    Example: acceltran seeds --data dev.tsv
    """
    from .command import seeds_command

    seeds_command(data=data, seeds=count, config=config, folder=folder, cache=cache, exclusions=exclusions,
                  output=output, layout=layout)


@with_layout(labels=True)
def train(
    variant: Annotated[str, typer.Option(help="dense; sparse: on from dense, with weights pruned and DynaTran in the loop; "
                                         "relu: the same with ReLU.")] = "dense",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder of the model (default: that of the packaged "
                                                "one).")] = None,
    start: Annotated[Path | None, typer.Option(help="Dense model to go on from (default: the packaged one).")] = None,
    seed: Annotated[int, typer.Option(help="Of weights, order and dropout.")] = 0,
    train_model: Annotated[bool, typer.Option("--train/--no-train", help="Train, or only measure the model.")] = True,
    evaluate: Annotated[Path | None, typer.Option(help="A csv, tsv or jsonl file to report accuracy on.")] = None,
    held_out: Annotated[Path | None, typer.Option(help="Write the held-out sentences to this sentence<TAB>label file.")] = None,
    cache: CacheOption = None,
    exclusions: ExclusionsOption = Path("models/sst2-dev-exclusions.txt"),
    exclude: Annotated[Path | None, typer.Option(help="Write EXCLUSIONS from the sentences of this file and stop.")] = None,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the accuracies as JSON.")] = None,
    layout=None,
):
    """Train a BERT-Tiny on four fifths of VADER's movie-review sentences and measure it on the others. A minute or two.

    Example: acceltran train --variant sparse -o build/sparse --held-out build/held-out.tsv
    """
    from ..train.train_command import train_command

    train_command(variant=variant, seed=seed, output=output, start=start, cache=cache, exclusions=exclusions, exclude=exclude,
                  held_out=held_out, evaluate=evaluate, train_model=train_model, json_path=json_path,
                  layout=layout)
