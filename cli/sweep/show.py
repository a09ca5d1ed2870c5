"""What a sweep found: tables, and files on request."""

import csv
import io

from rich.console import Console
from rich.measure import Measurement

from ...hw.spec.errors import InputError
from ...hw.spec.files import write_json, write_text
from ..console import console, plain_table, tell
from ..late import Late
from ..report.numbers import plain
from .page import sweep_page
from .results import Measure

__all__ = ["show_results"]

plot_results = Late("sweep --plot", "sweep.plot:plot_results", "silicon")

_ERRORS = 10
"""Points without result that are told."""

_WIDEST = 40
"""Characters of a column."""


def show_results(results, *, pareto, best, files):
    """Print the best points, the Pareto front and what failed, and write files.

    Parameters
    ----------
    results : Results
    pareto : measures, see `Measure.several`
    best : rows of the table of the best
    files : {"json", "csv", "plot", "report": path or None}

    Returns
    -------
    exit code: 0 all points are done, 1 some are not

    Raises
    ------
    InputError : a measure is no column of numbers, or a plot has no two of them
    """
    measures = Measure.several(pareto)
    results.check(measures)
    if files["plot"] and len(measures) < 2:
        raise InputError(f"--plot needs two measures, and --pareto {pareto} has one: give another, such as cycles,area.mm2")
    if results.done:
        _print_tables(results, measures, best)
    if results.failed:
        _print_failed(results)
    console.print(_told(results), markup=False)
    if files["json"]:
        write_json(files["json"], _values(results, measures))
    if files["csv"]:
        write_text(files["csv"], _csv(results.rows), encoding="utf-8")
    if files["plot"]:
        plot_results(results, measures, files["plot"])
    if files["report"]:
        write_text(files["report"], sweep_page(results, measures), encoding="utf-8")
    return int(bool(results.failed or results.left))


def _told(results):
    missing = f", {results.left} not tried yet: go on with --resume" if results.left else ""
    return f"{_count(results.points)}: {len(results.done)} done, {len(results.failed)} failed{missing}"


def _count(points):
    return f"{len(points)} {'point' if len(points) == 1 else 'points'}"


def _print_tables(results, measures, best):
    on_front, first = results.on_front(measures), measures[0]
    known = [at for at, row in enumerate(results.done) if row.get(first.column) is not None]
    order = sorted(known, key=lambda at: results.done[at][first.column] * (1 if first.better == "less" else -1))
    shown = list(dict.fromkeys(["cycles", *(one.column for one in measures)])) if "cycles" in results.numeric() else [
        one.column for one in measures]
    front = [at for at in order if on_front[at]]
    names = " and ".join(one.column for one in measures)
    _print_points(results, order[:best], shown, on_front, f"the best {min(best, len(order))} of {_count(order)}, by "
                                                          f"{first.column}")
    _print_points(results, front[:2 * best], shown, None, f"{_count(front)} on the Pareto front of {names}")


def _print_points(results, order, shown, on_front, title):
    varied = results.varied()
    heads = [column.removeprefix("setting.").removeprefix("fields.") for column in varied] or ["point"]
    table = plain_table(*heads, *shown, *(["front"] if on_front else []), title=title)
    for at in order:
        row = results.done[at]
        settings = [str(results.setting(row, column)) for column in varied] or [row["point"]]
        table.add_row(*settings, *(plain(row.get(column)) for column in shown),
                      *(["*" if on_front[at] else ""] if on_front else []))
    for column in table.columns:
        column.max_width = _WIDEST
    # A terminal may be narrower, but numbers stay whole.
    wide = Console(width=_WIDEST * (1 + len(table.columns)), soft_wrap=True, highlight=False)
    wide.width = Measurement.get(wide, wide.options, table).maximum
    wide.print(table)


def _print_failed(results):
    for row in results.failed[:_ERRORS]:
        tell(f"{row['point']}: {row['state']}: {row['error']}")
    if more := len(results.failed) - _ERRORS:
        if more > 0:
            tell(f"... and {more} more, see --json or --csv")


def _values(results, measures):
    on_front = iter(results.on_front(measures))
    return {
        "name": results.name, "points": len(results.points), "done": len(results.done), "failed": len(results.failed),
        "left": results.left, "measures": {one.column: one.better for one in measures},
        "rows": [row | {"on_front": row["state"] == "done" and next(on_front)} for row in results.rows],
    }


def _csv(rows):
    columns = dict.fromkeys(column for row in rows for column in row)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
