"""Where the area of a block goes, as a plot."""

import matplotlib
from matplotlib.figure import Figure

from ...sw.figures import STYLE, save_figure
from .area import plain_name

__all__ = ["plot_areas"]

_BARS = 15


def plot_areas(values, path):
    """Draw the modules with the most area of their own, all copies together; returns the path of the SVG."""
    totals = {}
    for module in values["modules"]:
        label = plain_name(module["name"].rsplit("_", 1)[0])
        totals[label] = totals.get(label, 0) + module["own_area"] * module["count"]
    largest = sorted(totals.items(), key=lambda item: item[1])[-_BARS:]
    rest = sum(totals.values()) - sum(area for _, area in largest)
    bars = [("all others", rest), *largest] if rest else largest
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 0.6 + 0.24 * len(bars)), layout="constrained")
        axes = figure.subplots()
        axes.barh([label for label, _ in bars], [100 * area / values["area"] for _, area in bars])
        axes.set(xlabel=f"share of {values['area']:,.6g} {values['unit']}, %", title=f"{values['top']} of {values['config']}")
        axes.grid(visible=False, axis="y")
    return save_figure(figure, path)
