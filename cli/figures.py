"""How the plots of the documents look and are written."""

import matplotlib

from ..hw.spec.files import replacing

__all__ = ["STYLE", "save_figure"]

STYLE = {"svg.hashsalt": "acceltran", "font.size": 9, "axes.grid": True, "grid.alpha": 0.3, "axes.axisbelow": True}
"""For `matplotlib.rc_context`, while a figure is drawn."""


def save_figure(figure, path):
    """Write an SVG that does not depend on the day, all or nothing; returns the path."""
    with matplotlib.rc_context(STYLE), replacing(path) as new:
        figure.savefig(new, format="svg", metadata={"Date": None}, bbox_inches="tight")
    return path
