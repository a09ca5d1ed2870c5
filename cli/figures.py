"""How the plots of the documents look and are written."""

import matplotlib

__all__ = ["STYLE", "save_figure"]

STYLE = {"svg.hashsalt": "acceltran", "font.size": 9, "axes.grid": True, "grid.alpha": 0.3, "axes.axisbelow": True}
"""For `matplotlib.rc_context`, while a figure is drawn."""


def save_figure(figure, path):
    """Write an SVG that does not depend on the day, all or nothing; returns the path."""
    partial = path.with_suffix(".partial")
    with matplotlib.rc_context(STYLE):
        figure.savefig(partial, format="svg", metadata={"Date": None}, bbox_inches="tight")
    partial.rename(path)
    return path
