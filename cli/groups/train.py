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
    variant: Annotated[str, typer.Option(help="dense; sparse, which goes on from dense with pruned weights and DynaTran in the "
                                         "loop; or relu, which is sparse with ReLU.")] = "dense",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder to write the model to (default: that of the "
                                                "packaged model).")] = None,
    start: Annotated[Path | None, typer.Option(help="Folder of the dense model to go on from (default: the packaged "
                                                    "one).")] = None,
    seed: Annotated[int, typer.Option(help="Seed of weights, order and dropout.")] = 0,
    train_model: Annotated[bool, typer.Option("--train/--no-train", help="Train, or only measure the model.")] = True,
    evaluate: Annotated[Path | None, typer.Option(help="Labelled sentences (csv, tsv or jsonl) to report the accuracy on, "
                                                       "too.")] = None,
    held_out: Annotated[Path | None, typer.Option(help="Write the held-out sentences to this sentence<TAB>label file.")] = None,
    exclude: Annotated[Path | None, typer.Option(help="Only write the file of --exclusions, from the sentences of this "
                                                      "file.")] = None,
    **shared,
):
    """Train a BERT-Tiny on four fifths of VADER's movie-review sentences and measure it on the others. A minute or two.

    Example: acceltran train --variant sparse -o build/sparse --held-out build/held-out.tsv
    """
    return train_command(variant=variant, output=output, start=start, seed=seed, train_model=train_model, evaluate=evaluate,
                         held_out=held_out, exclude=exclude, **shared)
