"""The figures behind docs/paper.md: each is measured or modelled by a function, and kept in a file."""

import json

from ...hw.spec.files import write_json
from ..bench.estimate_command import measured
from ..estimate.point import estimate_setting, estimated
from ..estimate.setting import Setting
from ..late import Late

__all__ = ["FIGURES", "ON_REQUEST", "collect"]

_EDGE = Setting(config="edge", tokens=128, batch=4, resident=True)
_SERVER = Setting(config="server", tokens=128, batch=32, resident=True)
_HALF = {"weight_sparsity": 0.5, "target_sparsity": 0.5}
_ATTENTION = Setting(config="mini", model="random:bert-base", tokens=384, layers=1, fields={"activation_tiles": 3072})


def _brief(setting):
    values = estimate_setting(setting)
    return {name: values[name] for name in ("cycles", "sequences_per_second", "clock_mhz")} | {
        "multipliers_busy": values["utilisation"]["multipliers"], "setting": values["setting"],
        "energy_uJ": values["energy"]["energy_uJ"]}


def edge():
    """BERT-Tiny on Edge, batch of 4: estimates, dense, half and half, and next embeddings fetched meanwhile."""
    return {"dense": _brief(_EDGE), "half": _brief(_EDGE.but(**_HALF)),
            "half, prefetched": _brief(_EDGE.but(**_HALF | {"weight_sparsity": "2:4"}, prefetch=True))}


def server():
    """The paper's ablation of BERT-Tiny on Server, batch of 32, by estimates."""
    full = _SERVER.but(**_HALF)
    return {
        "full": _brief(full), "without DynaTran": _brief(_SERVER.but(weight_sparsity=0.5)),
        "without weight pruning": _brief(_SERVER.but(target_sparsity=0.5)),
        "without sparsity modules": _brief(full.but(fields={"skip": "none"})),
        "weights from memory": _brief(full.but(resident=False)),
    }


def attention():
    """One attention layer of BERT-Base at 384 tokens on `mini` with a larger activation buffer, estimated, dense and pruned.

    Cycles are those from its first product to the end of its output.
    """
    found = {}
    for name, setting in (("dense", _ATTENTION), ("DynaTran", _ATTENTION.but(target_sparsity=0.5, weight_sparsity=0.5))):
        program, result, _ = estimated(setting)
        found[name] = {"cycles": _attention_cycles(program, {e.number: (e.start, e.end) for e in result.events}),
                       "multipliers": program.config.multipliers}
    return found


def attention_rtl():
    """The same on the RTL: cycles of the whole encoder layer, every integer compared, and of the estimate."""
    return {name: {"measured": measured(setting), "estimated": estimate_setting(setting)["cycles"]}
            for name, setting in (("dense", _ATTENTION),
                                  ("DynaTran", _ATTENTION.but(target_sparsity=0.5, weight_sparsity=0.5)))}


def _attention_cycles(program, events):
    """From the first instruction that makes queries, keys or values to the last that makes the attention's output."""
    kinds = {number: program.tensors[name]["kind"] for number, name in program.made.items()}
    inside = [events[number] for number, kind in kinds.items()
              if kind in ("query", "key", "value", "scores", "probabilities", "context", "attention") and number in events]
    return max(end for _, end in inside) - min(start for start, _ in inside)


def memory():
    """Values of weights, activations and embeddings of BERT-Tiny and BERT-Base at 512 tokens, counted from their shapes."""
    return {name: _memory(layers, hidden, heads) for name, layers, hidden, heads in
            (("BERT-Tiny", 2, 128, 2), ("BERT-Base", 12, 768, 12))}


def _memory(layers, hidden, heads, tokens=512, words=30522):
    weights = layers * (4 * hidden * (hidden + 1) + 2 * 4 * hidden * hidden + 5 * hidden + 4 * hidden)
    one = tokens * hidden * (3 + 1 + 1 + 1 + 4 + 1 + 1) + 2 * heads * tokens * tokens
    return {"weights": weights, "activations": tokens * hidden + layers * one, "embeddings": (words + tokens + 2) * hidden}


cpu = Late("paper", "paper.processor:cpu", "paper")

FIGURES = {one.__name__: one for one in (edge, server, attention, attention_rtl, memory)} | {"cpu": cpu}
"""Functions that make the figures, by name."""

ON_REQUEST = ("attention_rtl",)
"""Those that take a quarter of an hour."""


def collect(path, *, only=None, stage=lambda name: None):
    """The figures of a file; those that it lacks but for `ON_REQUEST`, or `only` some anew, are made and kept.

    Returns
    -------
    {name: plain values}
    """
    values = json.loads(path.read_text()) if path.exists() else {}
    for name, make in FIGURES.items():
        wanted = name in only if only else name not in values and name not in ON_REQUEST
        if not wanted:
            continue
        stage(name)
        values[name] = make()
        write_json(path, values)
    return values
