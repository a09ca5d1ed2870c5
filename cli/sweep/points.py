"""The points of a sweep, as a TOML file tells them."""

import difflib
import itertools
import tomllib
from dataclasses import dataclass
from pathlib import Path

from ...hw.spec.errors import InputError

__all__ = ["Point", "flat", "read_points"]

_TABLES = ("setting", "vary", "together", "point")


@dataclass(frozen=True)
class Point:
    """One point.

    Parameters
    ----------
    name : unique in the sweep
    values : plain values, tables in tables
    """

    name: str
    values: dict


def read_points(path, check=lambda values: None):
    """Read the points of a file, in its order.

    ``[setting]`` has the values that all points share. In ``[vary]`` every name has a list, and every value of a list meets
    every value of the others; there may be several such tables (``[[vary]]``), whose points follow each other. In a table
    ``[[together]]`` the lists go together, the first value with the first, and such a table meets the rest like one list.
    ``[[point]]`` is a single point, which may have a ``name``. A name with dots, quoted or not, stands for a table in a table.

    Parameters
    ----------
    path : of the file
    check : is called with the values of each point, and raises InputError for what cannot be

    Returns
    -------
    list of Point

    Raises
    ------
    InputError : naming the file and the table or the point
    """
    try:
        return _points(_tables(path), check)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _tables(path):
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError("is no text in UTF-8: save it as such") from None
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"not valid TOML: {error}") from None
    for name, table in tables.items():
        if name not in _TABLES:
            near = difflib.get_close_matches(name, _TABLES, n=1)
            raise InputError(f"unknown table {name!r}: " + (f"did you mean {near[0]!r}?" if near else
                             f"the tables are {', '.join(_TABLES)}; what all points share stands in [setting]"))
        several = isinstance(table, list) and all(isinstance(one, dict) for one in table) and name != "setting"
        if not (isinstance(table, dict) or several):
            raise InputError(f"{name} = {table!r}: is a table; write [{name}] on a line of its own, and its values below")
    return tables


def _points(tables, check):
    shared = flat(tables.get("setting", {}))
    found = {}
    together = [_rows(table) for table in _several(tables, "together")]
    varies = _several(tables, "vary") or ([{}] if together or not _several(tables, "point") else [])
    for table in varies:
        axes = [[{name: value} for value in values] for name, values in _lists("vary", table).items()] + together
        names = [name for axis in axes for name in axis[0]]
        if twice := [name for at, name in enumerate(names) if name in names[:at]]:
            raise InputError(f"{twice[0]} stands in two lists that vary: leave it in one of them")
        for chosen in itertools.product(*axes):
            varied = {name: value for part in chosen for name, value in part.items()}
            _add(found, ", ".join(f"{name}={value}" for name, value in varied.items()) or "setting", shared | flat(varied))
    for number, table in enumerate(_several(tables, "point"), 1):
        name = table.get("name", f"point {number}")
        if not isinstance(name, str) or not name:
            raise InputError(f"point {number}: name = {name!r}: give a text in quotes")
        _add(found, name, shared | flat({key: value for key, value in table.items() if key != "name"}))
    points = [Point(name, _nested(values)) for name, values in found.items()]
    for point in points:
        try:
            check(point.values)
        except InputError as error:
            raise InputError(f"point {point.name!r}: {error}") from None
    return points


def _several(tables, name):
    table = tables.get(name, [])
    return table if isinstance(table, list) else [table]


def _lists(kind, table):
    """{name with dots: its values} of a table whose values are lists."""
    lists = flat(table)
    for name, values in lists.items():
        if not isinstance(values, list):
            raise InputError(f"[{kind}] {name} = {values!r}: give a list, such as [{values!r}], or move it to [setting]")
        if not values:
            raise InputError(f"[{kind}] {name} = []: give at least one value")
    return lists


def _rows(table):
    """The values of a table whose lists go together, as {name: value} each."""
    lists = _lists("together", table)
    if not lists:
        raise InputError("[[together]] is empty: give two lists or more, or leave it out")
    (first, values), *others = lists.items()
    for name, other in others:
        if len(other) != len(values):
            raise InputError(f"[[together]] {first} has {len(values)} values and {name} has {len(other)}: lists that go "
                             "together have equally many")
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]


def _add(found, name, values):
    if found.setdefault(name, values) != values:
        raise InputError(f"two points have the name {name!r}: give one of them another")


def flat(values, before=""):
    """Tables in tables as one, {name with dots: value}."""
    found = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found |= flat(value, f"{before}{name}.")
        else:
            found[before + name] = value
    return found


def _nested(values):
    """Tables in tables, of names with dots."""
    found = {}
    for name, value in values.items():
        *tables, last = name.split(".")
        inner = found
        for table in tables:
            inner = inner.setdefault(table, {})
            if not isinstance(inner, dict):
                raise InputError(f"{name}: {table} is a value and a table; leave one of them out")
        if isinstance(inner.get(last), dict):
            raise InputError(f"{name}: is a value and a table; leave one of them out")
        inner[last] = value
    return found
