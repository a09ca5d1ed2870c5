"""The section that divides all cycles by what the matrix engine worked on or waited for."""

from .bar import bar, swatch
from .html import join, tag
from .numbers import count, percent
from .section import Section
from .table import table

__all__ = ["phases_section"]

_PARTS = (
    ("multiplying", "work"), ("operands", "operands"), ("output", "output"), ("imbalance", "imbalance"),
    ("waiting", "idle"),
)
_WAITS = ("memory", "vector", "matrix", "fetch")


def phases_section(phases, *, cycles):
    """The Section.

    Parameters
    ----------
    phases : of `sw.estimate.phases`
    cycles : all
    """
    rows = []
    for one in phases:
        waits = sum(one.get(name, 0) for name in _WAITS)
        values = [one.get("multiplying", 0), one.get("operands", 0), one.get("output", 0), one.get("imbalance", 0), waits]
        whole = sum(values) or one["cycles"]
        parts = [(name, value, colour) for (name, colour), value in zip(_PARTS, values, strict=True)]
        rows.append([one["kind"], bar(parts, cycles), count(round(whole)), percent(whole, cycles),
                     *(count(round(one[name])) if name in one else "" for name in _WAITS)])
    heads = ["product", "", "cycles", "share", *(f"wait: {name}" for name in _WAITS)]
    legend = tag("p", *(swatch(name, colour) for name, colour in _PARTS), class_="note")
    return Section(name="phases", title="What the matrix engine worked on, or waited for", body=join(
        legend, table(heads, rows, texts=2),
        tag("p", "All cycles are here once: those in which products of a kind are worked on, and the waits before them, for "
            "data from main memory, for softmax and layer-norm, for earlier products, or for instructions.", class_="note")))
