"""What `acceltran train` does."""

import math
from dataclasses import replace

import torch
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from ...hw.spec.files import write_json
from ...sw.models.checkpoint import load_checkpoint
from ...sw.models.errors import ModelError
from ..console import announce, check_outputs, console, progress
from ..data_files import read_labelled, read_sentences, write_tsv
from ..labels import Targets
from .reviews import contains_excluded, fetch_minilm, fetch_reviews, read_exclusions, write_exclusions
from .train import CONFIG, VARIANTS, accuracy, save_model, split_reviews, train

__all__ = ["check_variant", "split_data", "train_command", "train_into"]


def train_command(*, variant, weight_sparsity, seed, output, start, cache, exclusions, exclude, held_out, evaluate, train_model,
                  json_path, layout=None):
    """Options are those of the command, see its help."""
    check_variant(variant)
    if weight_sparsity is not None:
        _check_weights(variant, weight_sparsity, output)
    check_outputs(json_path, held_out)
    if exclude is not None:
        found = read_sentences(exclude, layout)
        console.print(escape(found.describe()))
        write_exclusions(exclusions, found.texts)
        return
    measured = evaluate and read_labelled(evaluate, Targets(CONFIG), layout)
    torch.set_num_threads(1)
    models = exclusions.parent
    output = output or models / VARIANTS[variant].folder
    training, kept = split_data(cache, exclusions)
    sets = {"held out": ([review.text for review in kept], [int(review.rating > 0) for review in kept])}
    if held_out:
        write_tsv(held_out, *sets["held out"])
    if train_model:
        if VARIANTS[variant].start and start is None:
            start = models / VARIANTS[VARIANTS[variant].start].folder
        train_into(output, variant, seed, start, training, cache, weight_sparsity)
    if measured:
        announce(measured)
        sets[evaluate.name] = measured.texts, measured.labels
    checkpoint, values = load_checkpoint(output), {}
    for name, (texts, labels) in sets.items():
        share, error = accuracy(checkpoint, texts, labels)
        values[name] = {"sentences": len(texts), "accuracy": share, "accuracy_stderr": error}
        console.print(f"{name}: {share:.2%} of {len(texts)} (standard error {error:.2%})")
    if json_path:
        write_json(json_path, {"model": str(output), "variant": variant, "seed": seed, "sets": values})


def check_variant(variant):
    """Refuse a name that is not in `VARIANTS`: ModelError."""
    if variant not in VARIANTS:
        raise ModelError(f"variant = {variant!r}: choose {', '.join(VARIANTS)}")


def _check_weights(variant, weight_sparsity, output):
    asked = f"weight_sparsity = {weight_sparsity}"
    if VARIANTS[variant].pruning is None:
        pruned = [name for name, one in VARIANTS.items() if one.pruning]
        raise ModelError(f"{asked}: the variant {variant} is not pruned, choose --variant {' or '.join(pruned)}")
    if output is None:
        raise ModelError(f"{asked}: is not that of the packaged model, name another folder with --output")


def split_data(cache, exclusions):
    """(training, held-out) Reviews, fetched into the folder `cache` (None: that of the user) unless they are there."""
    with progress.status("Fetching sentences"):
        rated = fetch_reviews(cache)
    excluded = read_exclusions(exclusions)
    allowed = [review for review in rated if not contains_excluded(review.text, excluded)]
    reviews = [review for review in allowed if review.rating]
    training, kept = split_reviews(reviews)
    console.print(f"{len(rated)} sentences: {len(rated) - len(allowed)} excluded, {len(allowed) - len(reviews)} rated "
                  f"neutral, {len(training)} to train on, {len(kept)} held out")
    return training, kept


def train_into(output, variant, seed, start, reviews, cache, weight_sparsity=None):
    """Train a variant and write its folder.

    Parameters
    ----------
    output : folder of the model
    variant : name in `VARIANTS`
    seed : of the recipe
    start : folder of the model to go on from, or None
    reviews : Reviews to train on
    cache : folder that keeps MiniLM
    weight_sparsity : in place of the variant's own; see `Pruning`
    """
    with progress.status("Fetching embeddings"):
        folder = fetch_minilm(cache)
    chosen = VARIANTS[variant]
    pruning = chosen.pruning if weight_sparsity is None else replace(chosen.pruning, weight_sparsity=weight_sparsity)
    numbers = TextColumn("{task.completed}/{task.total} loss {task.fields[loss]:.3f}")
    with Progress(TextColumn(f"training {output.name}"), BarColumn(), numbers, TimeRemainingColumn(), console=progress,
                  transient=True) as bar:
        task = bar.add_task("training", total=None, loss=math.log(2))
        tensors = train(chosen.config, load_checkpoint(folder), reviews, replace(chosen.recipe, seed=seed),
                        lambda done, total, loss: bar.update(task, completed=done, total=total, loss=loss),
                        start=start and load_checkpoint(start).tensors, pruning=pruning)
    save_model(output, chosen.config, tensors, folder / "tokenizer.json")
