"""The plots of docs/benchmarks.md."""

import matplotlib
from matplotlib.figure import Figure

from ..figures import STYLE, save_figure
from .points import ACTIVATIONS, INNER, WEIGHTS

__all__ = ["plot_all"]

_SKIPS = {"both": "mini", "activation": "mini_activation", "none": "mini_none"}
_WIDTH = 7.2


def plot_all(values, folder):
    """Draw what has been measured.

    Returns
    -------
    {name: path of the SVG file}, of the plots for which there are measurements
    """
    found = {}
    with matplotlib.rc_context(STYLE):
        for name, needed, draw in (
            ("speedup", _SKIPS.values(), _speedup),
            ("inner", ("mini",), _inner),
            ("timeline", ("model",), _timeline),
        ):
            if all(group in values for group in needed):
                found[name] = save_figure(draw(values), folder / f"{name}.svg")
    return found


def _cycles(runs, **wanted):
    return next(run["cycles"] for run in runs if all(run[name] == value for name, value in wanted.items()))


def _speedup(values):
    """Dense cycles over cycles, against the share of zero activations."""
    figure = Figure(figsize=(_WIDTH, 3.2), layout="constrained")
    for axes, weights in zip(figure.subplots(1, len(WEIGHTS), sharey=True), WEIGHTS, strict=True):
        for skip, group in _SKIPS.items():
            shape = {"m": 128, "k": 512, "n": 128}
            dense = _cycles(values[group]["runs"], **shape, act_sparsity=0.0, weight_sparsity=0.0)
            axes.plot([100 * a for a in ACTIVATIONS],
                      [dense / _cycles(values[group]["runs"], **shape, act_sparsity=a, weight_sparsity=weights)
                       for a in ACTIVATIONS], marker="o", label=f"skip = {skip}")
        axes.set(title=f"{weights:.0%} of B are zeros", xlabel="zeros in A, %")
    figure.axes[0].set_ylabel("dense cycles / cycles")
    figure.axes[0].legend()
    return figure


def _inner(values):
    """Utilisation of dense products against K."""
    figure = Figure(figsize=(_WIDTH / 2, 2.8), layout="constrained")
    axes = figure.subplots()
    runs = values["mini"]["runs"]
    axes.plot(INNER, [100 * next(r["utilisation"] for r in runs if (r["m"], r["k"], r["n"]) == (128, k, 128)
                                 and not r["act_sparsity"] and not r["weight_sparsity"]) for k in INNER], marker="o")
    axes.set_xscale("log", base=2)
    axes.set_xticks(INNER, [str(k) for k in INNER])
    axes.set(xlabel="K", ylabel="utilisation, %", ylim=(0, 100))
    return figure


def _timeline(values):
    """Engines and units over the cycles of the dense inference."""
    run = next(run for run in values["model"]["runs"] if "tracks" in run)
    tracks = run["tracks"][::-1]
    kinds = sorted({label for track in tracks for label, _, _ in track["periods"]})
    colours = {kind: f"C{n}" for n, kind in enumerate(kinds)} | {"busy": "0.6"}
    figure = Figure(figsize=(_WIDTH, 0.32 * len(tracks) + 1), layout="constrained")
    axes = figure.subplots()
    for row, track in enumerate(tracks):
        for kind in kinds:
            spans = [(start, end - start) for label, start, end in track["periods"] if label == kind]
            axes.broken_barh(spans, (row - 0.4, 0.8), facecolors=colours[kind], edgecolors="white", linewidths=0.4)
    for kind in kinds:
        axes.plot([], [], color=colours[kind], linewidth=6, label=kind)
    axes.set_yticks(range(len(tracks)), [track["name"] for track in tracks])
    axes.set(xlabel="cycle", xlim=(0, run["cycles"]))
    axes.legend(ncols=len(kinds), loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=7, frameon=False)
    return figure
