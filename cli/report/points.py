"""The section with every point of a sweep."""

from .html import join, tag
from .numbers import count, plain
from .section import Section
from .table import facts, table

__all__ = ["points_section"]


def points_section(rows, numbers, *, total=None):
    """The Section.

    Parameters
    ----------
    rows : in order, each with point (its name), state ("done" or another word), maybe error, and a value for each of `numbers`,
        which may be missing
    numbers : columns that are shown
    total : points that there are to be; by default as many as rows
    """
    done = sum(row["state"] == "done" for row in rows)
    total = len(rows) if total is None else total
    failed = [row for row in rows if row["state"] != "done"]
    parts = [facts([("points", count(total)), ("done", count(done)), ("failed", count(len(failed))),
                    ("not tried yet", count(total - len(rows)) if total > len(rows) else None)])]
    if failed:
        reasons = [[row["point"], row["state"], row.get("error", "")] for row in failed]
        parts += [tag("h3", "Without result"), table(["point", "", "reason"], reasons, texts=3)]
    shown = [row for row in rows if row["state"] == "done"]
    if shown:
        values = [[row["point"], *(plain(row.get(name)) for name in numbers)] for row in shown]
        parts += [tag("h3", "Done"), table(["point", *numbers], values)]
    return Section(name="points", title="All points", body=join(*parts))
