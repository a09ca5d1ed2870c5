"""The command `acceltran train`."""

from pathlib import Path
from typing import Annotated

import typer

from ..late import Late
from ..options import CACHE, EXCLUSIONS, LABELLED, OWN, json, takes, weights_option

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)

train_command = Late("train", "train.train_command:train_command", "model")


@app.command()
@takes(OWN, CACHE, EXCLUSIONS, json("the accuracies"), LABELLED)
def train(
    variant: Annotated[str, typer.Option(help="dense; sparse, which goes on from dense with 60 % of the weights pruned and "
                                         "DynaTran in the loop; relu, which is sparse with ReLU; or nm, which is sparse with "
                                         "its weights pruned 2:4.")] = "dense",
    weight_sparsity: Annotated[float | None, weights_option(
        "With sparse, relu and nm: prune the weights so in place of the variant's own way, to a share such as 0.5, or N:M, "
        "such as 1:4. The zeros come step by step, and what is zero may come back until the end.")] = None,
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
    return train_command(variant=variant, weight_sparsity=weight_sparsity, output=output, start=start, seed=seed,
                         train_model=train_model, evaluate=evaluate, held_out=held_out, exclude=exclude, **shared)
