"""The section with what a run or a design costs: energy, area, and what they are made of."""

from .bar import bar
from .html import join, tag
from .numbers import percent, plain
from .section import Section
from .table import table

__all__ = ["costs_section"]


def costs_section(quantities, *, note=None):
    """The Section.

    Parameters
    ----------
    quantities : each with name, unit and parts {name: value}
    note : what the figures rest on, in whole sentences
    """
    body = []
    for one in quantities:
        total = sum(one["parts"].values())
        parts = sorted(one["parts"].items(), key=lambda item: -item[1])
        rows = [[name, bar([(name, value, "work"), ("others", max(0.0, total - value), "idle")], total or 1), plain(value),
                 percent(value, total)] for name, value in parts]
        rows.append(["all", "", plain(total), percent(total, total)])
        body += [tag("h3", one["name"]), table(["part", "", one["unit"], "share"], rows, texts=2,
                                               attributes=[{} for _ in parts] + [{"class_": "total"}])]
    return Section(name="costs", title="Energy and area", body=join(*body, note and tag("p", note, class_="note")))
