"""The command `acceltran train`."""

from pathlib import Path
from typing import Annotated

import typer

from ..late import Late
from ..options import CACHE, EXCLUSIONS, LABELLED, OWN, json, takes

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)

train_command = Late("train", "train.train_command:train_command", "model")


@app.command()
@takes(OWN, CACHE, EXCLUSIONS, json("the accuracies"), LABELLED)
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
    exclude: Annotated[Path | None, typer.Option(help="Write EXCLUSIONS from the sentences of this file and stop.")] = None,
    **shared,
):
    """Train a BERT-Tiny on four fifths of VADER's movie-review sentences and measure it on the others. A minute or two.

    Example: acceltran train --variant sparse -o build/sparse --held-out build/held-out.tsv
    """
    return train_command(variant=variant, output=output, start=start, seed=seed, train_model=train_model, evaluate=evaluate,
                         held_out=held_out, exclude=exclude, **shared)
