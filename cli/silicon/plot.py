"""Where the area and the energy of a block go, as plots."""

import matplotlib
from matplotlib.figure import Figure

from ...silicon.area import plain_name
from ..figures import STYLE, save_figure

__all__ = ["plot_areas", "plot_shares"]

_MOST = 15


def plot_areas(values, path):
    """Draw the modules with the most area of their own, all copies together; returns the path of the SVG."""
    totals = {}
    for module in values["modules"]:
        label = plain_name(module["name"].rsplit("_", 1)[0])
        totals[label] = totals.get(label, 0) + module["own_area"] * module["count"]
    largest = sorted(totals.items(), key=lambda item: item[1])[-_MOST:]
    rest = sum(totals.values()) - sum(area for _, area in largest)
    bars = [("all others", rest), *largest] if rest else largest
    return _bars(path, [label for label, _ in bars], [area / values["area"] for _, area in bars],
                 unit=f"{values['area']:,.6g} {values['unit']}", title=f"{values['top']} of {values['config']}")


def plot_shares(values, path):
    """Draw the energy of each block, the largest at the top; returns the path of the SVG."""
    rows = values["blocks"][::-1]
    return _bars(path, [row["block"] for row in rows], [row["share"] for row in rows],
                 unit=f"{values['energy_uJ']:,.4g} uJ per inference",
                 title=f"{values['config']} at {values['clock_mhz']:g} MHz, {values['library']}")


def _bars(path, labels, shares, *, unit, title):
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 0.6 + 0.24 * len(labels)), layout="constrained")
        axes = figure.subplots()
        axes.barh(labels, [100 * share for share in shares])
        axes.set(xlabel=f"share of {unit}, %", title=title)
        axes.grid(visible=False, axis="y")
    return save_figure(figure, path)
