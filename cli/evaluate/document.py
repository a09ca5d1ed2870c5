"""Tables and plots of a study."""


import matplotlib
from matplotlib.figure import Figure

from ..documents import update_part
from ..figures import STYLE, save_figure
from .study import Curve

__all__ = ["best", "figures", "formats", "summary", "tables", "update_document"]


_COLUMNS = {"zeros": "sparsity", "padded": "sparsity_padded", "left to multiply": "remaining_multiplications",
            "left, padded": "remaining_multiplications_padded"}
_STRENGTHS = {"none": "", "dynatran": "tau", "top-k": "keep", "per-site": "point"}


def _groups(values):
    """{(model, weight sparsity): {method: runs}}, in the order of the study."""
    groups = {}
    for run in values.values():
        if run["format"] is None:
            groups.setdefault((run["model"], run["weight_sparsity"]), {}).setdefault(run["method"], []).append(run)
    return groups


def formats(values):
    """Markdown: accuracy and multiplications left by word length."""
    text = ["| model | bits | method | accuracy % | +- | left to multiply |", "|---|---|---|---|---|---|"]
    for run in values.values():
        if run["format"] is not None:
            word, slash, weight = run["format"].partition("/")
            bits = f"{sum(map(int, word.split('.')))}{f', weights {weight}' if slash else ''}"
            method = f"{run['method']}, {_STRENGTHS[run['method']]} {run['strength']}" if run["strength"] else run["method"]
            cells = [_title(run["model"], run["weight_sparsity"]), f"{bits}", method, f"{100 * run['accuracy']:.2f}",
                     f"{100 * run['accuracy_stderr']:.2f}", f"{100 * run['remaining_multiplications']['all']:.1f}"]
            text.append("| " + " | ".join(cells) + " |")
    return "\n".join([*text, ""])


def _title(model, weight_sparsity):
    if isinstance(weight_sparsity, str):
        weights = f"weights pruned {weight_sparsity}"
    else:
        weights = f"{weight_sparsity:.0%} of the weights pruned" if weight_sparsity else "weights as trained"
    return f"{model.rpartition('/')[2]}, {weights}"


def tables(values):
    """Markdown: a table for each model and set of weights."""
    text = []
    for (model, weight_sparsity), methods in _groups(values).items():
        heads = ["method", "strength", "accuracy %", "+-", *_COLUMNS]
        text += [f"### {_title(model, weight_sparsity)}", "", "| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
        for method, runs in methods.items():
            for run in runs:
                strength = f"{_STRENGTHS[method]} {run['strength']}".strip()
                shares = [f"{100 * run[key]['all']:.1f}" for key in _COLUMNS.values()]
                cells = [method, strength, f"{100 * run['accuracy']:.2f}", f"{100 * run['accuracy_stderr']:.2f}", *shares]
                text.append("| " + " | ".join(cells) + " |")
        text.append("")
    return "\n".join(text)


def best(runs, reference, loss, key, most):
    """The run with the most (or the least) of `key` among those that lose at most `loss` points against `reference`."""
    within = [run for run in runs if 100 * (reference["accuracy"] - run["accuracy"]) <= loss + 1e-9]
    return (max if most else min)(within, key=lambda run: run[key]["all"], default=None)


_COMPARISONS = (
    ("zeros: DynaTran against top-k", "sparsity", ("dynatran", "top-k"), 0.5, True),
    ("zeros, padded: DynaTran against top-k", "sparsity_padded", ("dynatran", "top-k"), 0.5, True),
    ("multiplications removed: per site against one tau", "remaining_multiplications", ("per-site", "dynatran"), 1.0, False),
)


def summary(values, choices):
    """Markdown: DynaTran against top-k, and thresholds per site against one, at a loss of accuracy.

    Each once with the strengths of `choices`, see `study.choose_strengths`, and once with those read off the curves.
    """
    head = ["model", "what", "lost at most", "strengths", "one", "other", "ratio"]
    text = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for (model, weight_sparsity), methods in _groups(values).items():
        reference = methods["none"][0]
        for what, key, names, loss, most in _COMPARISONS:
            chosen = [_chosen(methods.get(name, ()), choices, loss) for name in names]
            read = [best(methods.get(name, ()), reference, loss, key, most) for name in names]
            for origin, pair in (("chosen on training data", chosen), ("read off", read)):
                amounts = [run and (run[key]["all"] if most else reference[key]["all"] - run[key]["all"]) for run in pair]
                text.append("| " + " | ".join([_title(model, weight_sparsity), what, f"{loss} points", origin,
                                               *map(_cell, pair, amounts), _ratio(*amounts)]) + " |")
    return "\n".join([*text, ""])


def _chosen(runs, choices, budget):
    """The run with the strength that was chosen."""
    for run in runs:
        curve = Curve(run["model"], run["weight_sparsity"], run["method"], {})
        if choices.get(curve.key(budget)) == run["strength"]:
            return run
    return None


def _cell(run, amount):
    if run is None:
        return "none"
    return f"{100 * amount:.1f} % ({_STRENGTHS[run['method']]} {run['strength']}, accuracy {100 * run['accuracy']:.2f} %)"


def _ratio(one, other):
    return f"{one / other:.2f}" if one is not None and other else ""


def figures(values):
    """{name: Figure}: accuracy against zeros, padded zeros, and multiplications left."""
    found, groups = {}, _groups(values)
    for name, (label, key) in {"sparsity": ("zeros of operands, %", "sparsity"),
                               "padded": ("zeros of operands, padding included, %", "sparsity_padded"),
                               "remaining": ("multiplications left, %", "remaining_multiplications")}.items():
        figure = Figure(figsize=(4.5 * len(groups), 3.2), layout="constrained")
        axes = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
        for place, (group, methods) in zip(axes, groups.items(), strict=True):
            reference = methods["none"][0]
            place.axhline(100 * reference["accuracy"], color="0.7", linewidth=0.8)
            for number, method in enumerate(m for m in _STRENGTHS if m in methods):
                runs = sorted([reference, *methods[method]], key=lambda run: run[key]["all"])
                place.errorbar(
                    [100 * run[key]["all"] for run in runs], [100 * run["accuracy"] for run in runs],
                    yerr=[100 * run["accuracy_stderr"] for run in runs], color=f"C{number}", marker="o", markersize=3,
                    linewidth=1, elinewidth=0.4, label=method)
            place.set(title=_title(*group), xlabel=label)
        axes[0].set_ylabel("accuracy, %")
        axes[0].legend()
        found[name] = figure
    return found


def update_document(path, values, choices):
    """Write summary and tables between their markers in a document, and the plots beside it; returns the plots' paths."""
    folder = path.parent / "plots"
    folder.mkdir(exist_ok=True)
    with matplotlib.rc_context(STYLE):
        plots = [save_figure(figure, folder / f"dynatran-{name}.svg") for name, figure in figures(values).items()]
    for marker, part in (("summary", summary(values, choices)), ("tables", tables(values)), ("formats", formats(values))):
        update_part(path, marker, part)
    return plots
