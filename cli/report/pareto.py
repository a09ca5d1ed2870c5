"""The section with settings that were compared, and the Pareto front among them."""

from itertools import combinations

from .front import front
from .html import join, tag
from .numbers import count, plain
from .scatter import scatter
from .section import Section
from .table import table

__all__ = ["pareto_section"]


def pareto_section(points, measures, *, note=None):
    """The Section: a picture of each pair of measures, and a table of all points, those on the front first.

    Parameters
    ----------
    points : each with settings {name: value}, and a number for each measure; None where it is not known
    measures : one or more, in order, each with key, label, and better: "less" (default) or "more"
    note : what the figures rest on, in whole sentences
    """
    measures = [{"better": "less"} | one for one in measures]
    chosen = front(points, {one["key"]: one["better"] for one in measures})
    first = measures[0]
    order = sorted(range(len(points)), key=lambda number: (not chosen[number], points[number].get(first["key"]) is None,
                                                           _rank(points[number], first)))
    shown = [{"number": number, "on_front": chosen[number], "name": _name(points[number]["settings"]),
              "values": {one["key"]: points[number].get(one["key"]) for one in measures}} for number in order]
    pictures = [scatter(shown, x, y) for x, y in combinations(measures, 2)]
    names = list(dict.fromkeys(name for point in points for name in point["settings"]))
    rows = [["front" if chosen[number] else "", *(points[number]["settings"].get(name, "") for name in names),
             *(plain(points[number].get(one["key"])) for one in measures)] for number in order]
    attributes = [{"data_point": number, "tabindex": 0, "class_": "best" if chosen[number] else None} for number in order]
    body = join(
        tag("p", f"{count(sum(chosen))} of {count(len(points))} points are on the Pareto front: no other point is at least as "
                 "good in everything and better in something. They are filled; the line joins those that are best in the two "
                 "measures of a picture.", class_="note"),
        note and tag("p", note, class_="note"),
        tag("div", *pictures, class_="pictures"),
        table(["", *names, *(_heading(one) for one in measures)], rows, texts=1 + len(names), attributes=attributes))
    return Section(name="pareto", title="Pareto front", body=body, scripts=("pareto.js",))


def _rank(point, measure):
    value = point.get(measure["key"]) or 0
    return value if measure["better"] == "less" else -value


def _name(settings):
    return ", ".join(f"{name} = {value}" for name, value in settings.items())


def _heading(measure):
    return measure["label"] + (" (more is better)" if measure["better"] == "more" else "")
