"""The page of a sweep."""

from ..report.page import page
from ..report.pareto import pareto_section
from ..report.points import points_section
from .results import Results

__all__ = ["sweep_page"]

_DETAILS = ("setting.", "fields.", "counters.", "seconds.", "wall_seconds", "cpu_seconds")
"""Columns of numbers that are not on the page; all are in the files."""


def sweep_page(results: Results, measures):
    """The text of the page.

    Parameters
    ----------
    results : Results
    measures : Measure each
    """
    varied = results.varied()
    labels = {column: column.removeprefix("setting.").removeprefix("fields.") for column in varied}
    compared = [{"settings": {labels[column]: results.setting(row, column) for column in varied} or {"point": row["point"]},
                 **{one.column: row.get(one.column) for one in measures}} for row in results.done]
    shown = [{"key": one.column, "label": one.column, "better": one.better} for one in measures]
    numbers = [column for column in results.numeric() if not column.startswith(_DETAILS)]
    sections = [points_section(results.rows, numbers, total=len(results.points))]
    if compared:
        sections.insert(0, pareto_section(compared, shown, note="Every figure is an estimate, made without RTL."))
    return page(f"{results.name}, {len(results.points)} points", sections)
