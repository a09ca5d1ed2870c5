"""What `acceltran calibrate` does."""

import random

from rich.progress import Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ...hw.spec.files import write_json
from ...sw.models.checkpoint import load_checkpoint
from ...sw.models.errors import ModelError
from ...sw.models.sentences import count_cut
from ..console import announce, check_outputs, console, progress
from ..data_files import read_labelled
from ..labels import Targets, check_classifier
from .sites import calibrate_sites

__all__ = ["SEARCH", "calibrate_command", "draw"]

SEARCH = 400
"""Sentences to search thresholds on."""


def calibrate_command(*, data, output, model, budget, weight_sparsity, sentences, check, seed, layout=None):
    """Options are those of the command, see its help."""
    check_outputs(output)
    checkpoint = load_checkpoint(model)
    check_classifier(checkpoint, "calibrate", classes=True)
    found = read_labelled(data, Targets(checkpoint.config), layout)
    parts = draw(data, found.sentences, found.labels, sentences, check, seed)
    positions = checkpoint.config.max_position_embeddings
    announce(found, cut=count_cut(checkpoint, found.sentences, positions), longest=positions)
    columns = TextColumn("removed {task.percentage:.1f} % of the multiplications"), TimeElapsedColumn()
    with Progress(*columns, console=progress, transient=True) as bar:
        task = bar.add_task("", total=1.0)
        curves = calibrate_sites(checkpoint, *parts, budget=budget, weight_sparsity=weight_sparsity,
                                 report=lambda removed: bar.update(task, completed=removed))
    write_json(output, curves.to_dict() | {"settings": {
        "model": str(model), "data": str(data), "budget": budget, "weight_sparsity": weight_sparsity,
        "sentences": sentences, "check": len(parts[1][0]), "seed": seed}})
    table = Table("operating point", "multiplications left %", "divergence", "accuracy %",
                  title="on the sentences of the search")
    for n, point in enumerate(curves.points):
        table.add_row(f"{n / (len(curves.points) - 1):.3f}", f"{100 * point['remaining']:.1f}", f"{point['divergence']:.4f}",
                      f"{100 * point['accuracy']:.2f}")
    console.print(table)
    console.print(f"within {budget} points on {len(parts[1][0])} others: operating point {curves.point:.3f}")


def draw(data, texts, labels, sentences, check, seed):
    """(texts, labels) to search on, and others to choose on: `check` of them, or all that are left."""
    total = len(texts) if check is None else sentences + check
    if len(texts) < total or sentences >= total:
        raise ModelError(f"data = {str(data)!r}: has {len(texts)} sentences, not {sentences} + {check or 1}; give more, "
                         "or lower --sentences or --check")
    drawn = random.Random(seed).sample(range(len(texts)), total)
    return [([texts[n] for n in part], [labels[n] for n in part]) for part in (drawn[:sentences], drawn[sentences:])]
