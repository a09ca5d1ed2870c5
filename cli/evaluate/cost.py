"""What pruning itself costs: a threshold pass against a top-k pass over the same tensors."""

import torch
from torch.utils.benchmark import Timer

from ...hw.post_process.dynatran import DynaTran
from ...hw.post_process.top_k_selector import TopKSelector
from ...silicon.component import component_gate_equivalents
from ...sw.models.sentences import encode_texts

__all__ = ["SHAPES", "attention_probabilities", "pass_times", "selector_gates", "threshold_pass",
           "top_k_pass"]

SHAPES = {"BERT-Base, random": (12, 12, 128, 128)}
"""Attention of other models, random: layers, heads, rows, columns."""


def attention_probabilities(checkpoint, texts, length):
    """All layers' attention probabilities, [layers * sentences * heads * length, length], every sentence padded or cut."""
    values = checkpoint.float_encoder().run(*encode_texts(checkpoint, texts, length, longest=length))
    found = [values[attention.probabilities] for attention in checkpoint.parts().attentions]
    return torch.stack(found).flatten(0, -2)


def threshold_pass(x, tau):
    """Elements smaller in magnitude than `tau` become zero."""
    return torch.where(x.abs() < tau, 0.0, x)


def top_k_pass(x, keep):
    """All but the `keep` largest elements of each row become zero; equals of the last that stays do too."""
    return torch.where(x < x.topk(keep).values[..., -1:], 0.0, x)


def pass_times(x, *, tau, keep, seconds=1.0):
    """Median seconds of either pass on one thread, and their ratio.

    Parameters
    ----------
    x : tensor, the same for both
    tau, keep : of the passes; the time of the first does not depend on it
    seconds : to measure each for, at least

    Returns
    -------
    dict : "threshold", "top_k", "ratio" (top-k over threshold)
    """
    times = {name: Timer(statement, globals={"f": function, "x": x, "by": by}, num_threads=1).blocked_autorange(
        min_run_time=seconds).median for name, statement, function, by in (
            ("threshold", "f(x, by)", threshold_pass, tau), ("top_k", "f(x, by)", top_k_pass, keep))}
    return times | {"ratio": times["top_k"] / times["threshold"]}


def selector_gates(width, tiles):
    """NAND2 equivalents of DynaTran and of a top-k selector, for rows of each of the lengths `tiles`, one row per cycle."""
    return {tile: {name: component_gate_equivalents(component(tile=tile, width=width), name)
                   for name, component in (("dynatran", DynaTran), ("top_k", TopKSelector))} for tile in tiles}
