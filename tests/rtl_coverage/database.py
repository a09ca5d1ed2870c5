"""Counts of coverage as Verilator writes them, and their sum over runs."""

import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

__all__ = ["KINDS", "LIBRARY", "CoverageError", "Point", "add_files", "read", "write"]

KINDS = ("line", "branch", "toggle", "user")

LIBRARY = re.compile(r"acceltran_(sram|crossbar)(__.*)?")
"""Modules of every design that are no generated Verilog."""

_HEADER = "# SystemC::Coverage-3"
_ESCAPED = re.compile(r"__0([0-9A-F]{2})")
"""A character that may not be in a name of C++."""


class CoverageError(ValueError):
    """Counts, or a list of what is not counted, that cannot be used."""


class Point(NamedTuple):
    """What is counted, once for all instances of a module.

    Parameters
    ----------
    kind : of `KINDS`
    module : of the Verilog
    line, column : where it stands in the file of the module
    name : the branch (``if``, ``else``, ``case``), the signal with its bit and direction, or the cover point
    lines : lines that run with a line or branch, as ``12-14,16``
    """

    kind: str
    module: str
    line: int
    column: int
    name: str
    lines: str = ""

    @property
    def numbers(self):
        """The lines that run with it, as a set."""
        parts = (part.partition("-") for part in self.lines.split(",") if part)
        return {number for first, _, last in parts for number in range(int(first), int(last or first) + 1)}


def read(path, known=None):
    """Counts of a file by Point.

    Parameters
    ----------
    known : dict that keeps what the keys of a design mean, for further files of the same design

    Raises
    ------
    CoverageError : it is no file of counts, or not whole
    """
    counts, known = Counter(), {} if known is None else known
    number = 0
    try:
        with open(path) as file:
            if not (header := next(file, "")).startswith(_HEADER):
                raise CoverageError(f"{path}: begins with {header.strip()[:40]!r}, and counts of Verilator with {_HEADER!r}")
            for number, line in enumerate(file, 2):
                _, key, count = line.split("'")
                if (point := known.get(key)) is None:
                    point = known[key] = _point(key, f"{path}, line {number}")
                counts[point] += int(count)
    except CoverageError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise CoverageError(f"{path}: cannot be read as counts of coverage: {error}") from None
    except (ValueError, KeyError):
        raise CoverageError(f"{path}, line {number}: is no count: the run was cut off; leave its file out") from None
    return counts


def _point(key, where):
    fields = dict(part.split("\x02") for part in key.split("\x01")[1:])
    kind, _, module = fields["page"].partition("/")
    kind, name = kind.removeprefix("v_"), fields["o"]
    if kind not in KINDS:
        raise CoverageError(f"{where}: counts {fields['page']!r}, which is none of {', '.join(KINDS)}")
    if "__0" in name:
        name = _ESCAPED.sub(lambda found: chr(int(found.group(1), 16)), name)
    if kind == "user":
        return Point(kind, module, 0, 0, name)  # Its line depends on the system around the accelerator.
    return Point(kind, module, int(fields["l"]), int(fields["n"]), name, fields.get("S", ""))


def add_files(counts, paths, modules):
    """Add the counts of files to `counts`, all of one design, whatever system is around it.

    Parameters
    ----------
    counts : Counter by Point
    paths : of the files
    modules : names of the modules of the design; of others only cover points are added

    Raises
    ------
    CoverageError : see `read`; or a file counts other points than `counts` has
    """
    known = {}
    for path in paths:
        found = {point: count for point, count in read(path, known).items()
                 if point.kind == "user" or point.module in modules or LIBRARY.fullmatch(point.module)}
        if counts and found.keys() != counts.keys():
            other = next(iter(found.keys() ^ counts.keys()))
            raise CoverageError(f"{path}: counts of another design: {other.kind} {other.name} of {other.module} is not in "
                                "both; leave it out, or begin in another folder")
        for point, count in found.items():
            counts[point] += count


def write(counts, path):
    """Write counts in the same format; a file that is there is replaced as a whole."""
    part = Path(path).with_suffix(".part")
    with open(part, "w") as file:
        file.write(_HEADER + "\n")
        for p, count in sorted(counts.items()):
            lines = f"\x01S\x02{p.lines}" if p.lines else ""
            place = f"\x01page\x02v_{p.kind}/{p.module}\x01l\x02{p.line}\x01n\x02{p.column}"
            file.write(f"C '{place}\x01o\x02{p.name}{lines}' {count}\n")
    part.replace(path)
