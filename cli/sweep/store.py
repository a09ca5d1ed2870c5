"""Rows that are kept as they come, in a folder of Parquet files."""

import fcntl
import json
import re
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ...hw.spec.errors import InputError
from ...hw.spec.files import replacing
from .points import flat

__all__ = ["Store", "read_table"]

_MOST = 64
"""Files of a level, from which on they are made one of the next."""

_PART = re.compile(r"rows-(\d+)-(\d+)\.parquet")


class Store:
    """A folder that takes rows, one at a time, and loses none that it took, whenever the program is killed.

    Every row is written to a file of its own, which is there as a whole or not at all. Sixty-four files become one, whose rows
    are the same; if the program is killed in between, rows are there twice, and are read once. One program at a time can write.

    Parameters
    ----------
    folder : is made, if need be
    key : column by which rows are known; of rows with the same value the last one counts
    resume : go on with the rows that are there

    Raises
    ------
    InputError : the folder holds something, and is not to be resumed, or another program writes to it
    """

    def __init__(self, folder, *, key="identity", resume=False):
        self._folder, self._key = Path(folder), key
        if self._folder.exists() and not self._folder.is_dir():
            raise InputError(f"output = {str(folder)!r}: is a file; name a folder")
        if not resume and self._folder.is_dir() and any(self._folder.iterdir()):
            raise InputError(f"output = {str(folder)!r}: is not empty; add --resume to go on with it, or name another folder")
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self._folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise InputError(f"output = {str(folder)!r}: another sweep writes to it; wait for its end, or name another "
                             "folder") from None
        for left in self._folder.glob(".partial-*"):
            shutil.rmtree(left, ignore_errors=True)
        self._next = 1 + max((number for _, number, _ in _parts(self._folder)), default=0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._lock.close()

    def append(self, row):
        """Keep a row, {column: value}; tables in it become columns with dots, and lists become JSON text."""
        self._write(0, pa.Table.from_pylist([_plain(row)]))
        self._merge()

    def _write(self, level, table):
        with replacing(self._folder / f"rows-{level}-{self._next:07}.parquet") as new:
            pq.write_table(table, new)
        self._next += 1

    def _merge(self):
        """Make one file of many, level by level."""
        level = 0
        while True:
            parts = [path for of, _, path in _parts(self._folder) if of == level]
            if len(parts) < _MOST:
                return
            tables, damaged = _read(parts)
            self._write(level + 1, _joined(tables))
            for path in set(parts) - set(damaged):
                path.unlink()
            for path in damaged:
                path.rename(path.with_name(path.name + ".damaged"))
            level += 1


def read_table(folder, *, key="identity"):
    """All rows of a folder that a `Store` wrote, or is writing.

    Returns
    -------
    pyarrow.Table with a row for each value of `key`, in the order in which they came, and the files that could not be read
    """
    for last in (False, False, True):
        try:
            tables, damaged = _read([path for *_, path in _parts(Path(folder))])
            break
        except FileNotFoundError:  # It may just have become part of another file.
            if last:
                raise
    if not tables:
        return pa.table({}), damaged
    table = _joined(tables)
    last = {value: number for number, value in enumerate(table[key].to_pylist())}
    return table.take(sorted(last.values())), damaged


def _parts(folder):
    """(level, number, path) of the files, in the order in which they were written, except that merged ones come first.

    A merged file has rows older than all of the level below that are left.
    """
    found = [(int(match[1]), int(match[2]), path) for path in folder.iterdir() if (match := _PART.fullmatch(path.name))]
    return sorted(found, key=lambda part: (-part[0], part[1]))


def _read(paths):
    tables, damaged = [], []
    for path in paths:
        try:
            tables.append(pq.read_table(path, partitioning=None))
        except FileNotFoundError:
            raise
        except (pa.ArrowException, OSError):
            damaged.append(path)
    return tables, damaged


def _joined(tables):
    """One table, with every column of any."""
    kinds = {}
    for table in tables:
        for field in table.schema:
            kinds.setdefault(field.name, set()).add(field.type)
    chosen = {name: _common(types) for name, types in kinds.items()}
    same = []
    for table in tables:
        columns = {name: _as(table[name], chosen[name]) for name in table.column_names}
        same.append(pa.table(columns))
    return pa.concat_tables(same, promote_options="default")


def _common(types):
    """The type that a column has where its rows have several: numbers beside text become text."""
    types = {kind for kind in types if not pa.types.is_null(kind)} or {pa.null()}
    if len(types) == 1:
        return types.pop()
    if all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in types):
        return pa.float64()
    return pa.string()


def _as(column, kind):
    if column.type == kind:
        return column
    if kind == pa.string():
        return pa.chunked_array([[None if value is None else _text(value) for value in column.to_pylist()]], kind)
    return column.cast(kind)


def _text(value):
    return value if isinstance(value, str) else json.dumps(value)


def _plain(row):
    """What a row of a table can hold."""
    return {name: json.dumps(value) if isinstance(value, list | tuple) else value for name, value in flat(row).items()}
