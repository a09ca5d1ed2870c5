"""What `acceltran cost` does."""

import torch
from rich.table import Table

from ...hw.spec.files import write_json
from ...sw.models.checkpoint import load_checkpoint
from ...sw.models.sentences import count_cut
from ..console import announce, check_outputs, console, progress
from ..data_files import read_sentences
from .cost import SHAPES, attention_probabilities, pass_times, selector_gates

__all__ = ["cost_command"]


def cost_command(*, data, model, tau, keep, length, json_path, layout=None):
    """Options are those of the command, see its help."""
    check_outputs(json_path)
    torch.set_num_threads(1)
    checkpoint, found = load_checkpoint(model), read_sentences(data, layout)
    texts = found.texts[:16]
    tensors = {f"{model.name}, {len(texts)} sentences": attention_probabilities(checkpoint, texts, length)}
    announce(found, cut=count_cut(checkpoint, texts, length), total=len(texts), longest=length)
    tensors |= {name: torch.rand(shape, generator=torch.Generator().manual_seed(0)).softmax(-1).flatten(0, -2)
                for name, shape in SHAPES.items()}
    values = {"tau": tau, "keep": keep, "passes": {}, "gates": {}}
    table = Table("attention probabilities", "threshold ms", "top-k ms", "ratio", title="one pass in PyTorch, one thread")
    for name, tensor in tensors.items():
        times = values["passes"][name] = pass_times(tensor, tau=tau, keep=keep)
        table.add_row(name, *(f"{1e3 * times[key]:.2f}" for key in ("threshold", "top_k")), f"{times['ratio']:.2f}")
    console.print(table)
    table = Table("values in a row", "DynaTran GE", "top-k GE", "ratio", title="hardware for one row per cycle, 20 bits")
    with progress.status("mapping"):
        values["gates"] = selector_gates(20, (8, 16, 32))
    for tile, gates in values["gates"].items():
        table.add_row(f"{tile}", *(f"{gates[key]:,.0f}" for key in ("dynatran", "top_k")),
                      f"{gates['top_k'] / gates['dynatran']:.2f}")
    console.print(table)
    if json_path:
        write_json(json_path, values)
