"""Figures that stand in a table of a document, where they were measured: read from there, so that nobody types them again."""

import re
from pathlib import Path

from ...hw.spec.errors import InputError

__all__ = ["DOCUMENTS", "figure", "tables"]

DOCUMENTS = Path(__file__).resolve().parents[2] / "docs"
"""Where the documents are: beside the sources."""


def figure(name, column, row, *, heading=None):
    """What a table of a document has in a column of a row.

    Parameters
    ----------
    name : of the document
    column : the heading of the column
    row : what cells of the row begin with, by the headings of their columns
    heading : that the table stands under, where several tables have such a row

    Raises
    ------
    InputError : none or several tables have it
    """
    found = {cells[column] for above, cells in tables(DOCUMENTS / name)
             if column in cells and heading in (None, above)
             and all(cells.get(key, "").startswith(value) for key, value in row.items())}
    if len(found) != 1:
        raise InputError(f"{name}: {len(found) or 'no'} figures in the column {column!r} of {row}; the table of the "
                         "paper's claims reads one there")
    return found.pop()


def tables(path):
    """Rows of all tables of a Markdown file: (the heading above, {heading of the column: cell}).

    Raises
    ------
    InputError : the file cannot be read
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; acceltran paper needs the documents of a checkout") from None
    above, columns, found = None, None, []
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("#"):
            above = line.lstrip("# ")
        if not line.startswith("|"):
            columns = None
        elif columns is None:
            columns = _cells(line) if re.fullmatch(r"[|\s:-]+", after) else None
        elif not re.fullmatch(r"[|\s:-]+", line):
            found.append((above, dict(zip(columns, _cells(line), strict=True))))
    return found


def _cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]
