"""The points of a sweep over two measures, as a plot."""

import matplotlib
from matplotlib.figure import Figure

from ..figures import STYLE, save_figure

__all__ = ["plot_results"]

_WIDE = 30
"""Ratio of the largest to the smallest value from which on an axis is logarithmic, as on a page."""


def plot_results(results, measures, path):
    """Draw all points over the first two measures, those on the front filled; returns the path of the SVG.

    Parameters
    ----------
    results : Results
    measures : two Measure or more
    path : of the file
    """
    x, y = measures[:2]
    chosen = results.on_front((x, y))
    places = [(row.get(x.column), row.get(y.column)) for row in results.done]
    front = sorted({place for place, on_front in zip(places, chosen, strict=True) if on_front})
    others = [place for place, on_front in zip(places, chosen, strict=True) if not on_front and None not in place]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 4.2), layout="constrained")
        axes = figure.subplots()
        for shown, look in ((others, {"color": "0.6", "markerfacecolor": "none", "label": "other points"}),
                            (front, {"color": "C0", "label": "Pareto front"})):
            axes.plot([a for a, _ in shown], [b for _, b in shown], "o", **look)
        axes.step([a for a, _ in front], [b for _, b in front], color="C0", linewidth=1,
                  where="post" if x.better == "less" else "pre")
        for values, scale in zip(zip(*(front + others), strict=True), (axes.set_xscale, axes.set_yscale), strict=False):
            if 0 < _WIDE * min(values) < max(values):
                scale("log")
        axes.set(xlabel=x.column, ylabel=y.column, title=f"{results.name}, {len(results.done)} points")
        axes.legend()
    return save_figure(figure, path)
