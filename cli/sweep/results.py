"""The folder of a sweep: which points it has, and their rows."""

import difflib
import json
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from ...hw.spec.errors import InputError
from ...hw.spec.files import write_json
from ..report.front import front
from .store import read_table

__all__ = ["Measure", "Results", "read_results", "read_sweep", "write_sweep"]

_SWEEP = "sweep.json"
_FORMAT = 1


@dataclass(frozen=True)
class Measure:
    """A column by which points are compared.

    Parameters
    ----------
    column : its name
    better : "less" or "more"
    """

    column: str
    better: str = "less"

    @classmethod
    def several(cls, text):
        """Those of a text such as ``cycles,utilisation.multipliers:more``.

        Raises
        ------
        InputError : it is not made like that
        """
        found = []
        for one in text.split(","):
            column, colon, better = one.strip().partition(":")
            if not column or colon and better not in ("less", "more"):
                raise InputError(f"--pareto {text}: give columns with commas between them, such as cycles,area.mm2; if more "
                                 "is better, with :more behind the name")
            found.append(cls(column, better or "less"))
        return list(dict.fromkeys(found))


@dataclass(frozen=True)
class Results:
    """What is known of a sweep.

    Members
    -------
    name : of the sweep
    points : {name: identity}, all that it is to have
    rows : {column: value} each, of the points that are there, in the order of `points`
    damaged : files that could not be read
    """

    name: str
    points: dict
    rows: list
    damaged: list

    @property
    def done(self):
        """Rows of points that are done."""
        return [row for row in self.rows if row["state"] == "done"]

    @property
    def failed(self):
        """Rows of points that were refused or have failed."""
        return [row for row in self.rows if row["state"] != "done"]

    @property
    def left(self):
        """How many points have no row."""
        return len(self.points) - len(self.rows)

    def varied(self):
        """Columns of what the points that are done differ in."""
        columns = list(dict.fromkeys(column for row in self.done for column in row if column.startswith("setting.")))
        return [column for column in columns if len({repr(self.setting(row, column)) for row in self.done}) > 1]

    @staticmethod
    def setting(row, column):
        """What a row has in a column of `varied`; a field that its point does not name has the value of its configuration."""
        return row.get(column, row.get(column.removeprefix("setting."), ""))

    def numeric(self):
        """Columns of numbers."""
        columns = dict.fromkeys(column for row in self.done for column in row)
        return [column for column in columns if any(_number(row.get(column)) for row in self.done) and
                all(row.get(column) is None or _number(row[column]) for row in self.done)]

    def check(self, measures):
        """Refuse a Measure whose column is none of numbers, where there are rows at all.

        Raises
        ------
        InputError : naming the one that is meant
        """
        known = self.numeric()
        for one in measures:
            if known and one.column not in known:
                near = difflib.get_close_matches(one.column, known, n=1) or [
                    name for name in known if name.rpartition(".")[2] == one.column][:1]
                raise InputError(f"--pareto {one.column}: no such column of numbers: " + (
                    f"did you mean {near[0]}?" if near else f"they are {', '.join(known)}"))

    def on_front(self, measures):
        """Of each row that is done, whether it is on the Pareto front."""
        return front(self.done, {one.column: one.better for one in measures})


def _number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)


def write_sweep(folder, name, points, sources):
    """Write which points a sweep has.

    Parameters
    ----------
    folder : of the sweep
    name : of the sweep
    points : {name: identity}
    sources : digest of the sources
    """
    write_json(Path(folder) / _SWEEP, {"format": _FORMAT, "name": name, "sources": sources, "points": points})


def read_results(folder):
    """The Results in a folder.

    Raises
    ------
    InputError : it is no folder of a sweep
    """
    sweep, table, damaged = _read(folder)
    rows = {row["identity"]: {column: value for column, value in row.items() if value is not None} for row in table.to_pylist()}
    names = {identity: name for name, identity in sweep["points"].items()}
    found = [rows[identity] | {"point": name} for identity, name in names.items() if identity in rows]
    return Results(sweep["name"], sweep["points"], found, damaged)


def read_sweep(folder):
    """The rows of a sweep as one table, for an analysis of your own; see docs/sweep.md for its columns.

    Returns
    -------
    pyarrow.Table with a row for each point that is there; ``to_pandas`` makes a data frame of it
    """
    sweep, table, _ = _read(folder)
    if not table.num_rows:
        return table
    wanted = set(sweep["points"].values())
    return table.filter(pa.array([identity in wanted for identity in table["identity"].to_pylist()]))


def _read(folder):
    path = Path(folder) / _SWEEP
    if not path.is_file():
        raise InputError(f"{folder}: is not the folder of a sweep, since it has no {_SWEEP}: name one that acceltran sweep "
                         "wrote")
    try:
        sweep = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise InputError(f"{path}: is damaged: run the sweep again with --resume") from None
    if sweep.get("format") != _FORMAT:
        raise InputError(f"{path}: has format {sweep.get('format')}, and this program reads {_FORMAT}: use the version of "
                         "AccelTran that wrote it")
    return sweep, *read_table(folder)
