"""What cannot be covered, or need not be, with the reason: rules of `exclusions.toml`."""

import re
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from .database import KINDS, CoverageError

__all__ = ["LIST", "Exclusion", "load"]

LIST = Path(__file__).with_name("exclusions.toml")

_FIELDS = {"kind": str, "module": str, "name": str, "reason": str, "configs": list}
_OPTIONAL = ("configs",)


@dataclass(frozen=True)
class Exclusion:
    """One rule.

    Parameters
    ----------
    kind : "line", "branch", "toggle" or "user"; "line" is for lines and branches
    module : of the Verilog, a pattern of the shell
    name : regular expression of the whole name: of a toggle the signal with its bit, of a cover point its label, of a line or
        branch what `VerilogText.describe` says
    reason : in a sentence
    configs : names of configurations that it is for; empty for all
    """

    kind: str
    module: str
    name: str
    reason: str
    configs: tuple[str, ...] = ()

    def is_about(self, kind, module):
        """Whether it is for points of a kind in a module."""
        return kind in (("line", "branch") if self.kind == "line" else (self.kind,)) and fnmatchcase(module, self.module)

    def names(self, name):
        """Whether a name is one of those that it leaves out."""
        return re.fullmatch(self.name, name) is not None

    def is_for(self, config):
        return not self.configs or config in self.configs


def load(path=LIST):
    """The rules of a file, in order.

    Raises
    ------
    CoverageError : no TOML, a field is missing, unknown or of the wrong kind, or a pattern is none
    """
    try:
        entries = tomllib.loads(Path(path).read_text()).get("exclusion", [])
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise CoverageError(f"{path}: cannot be read as a list of [[exclusion]]: {error}") from None
    return [_checked(entry, f"{Path(path).name}, entry {number}") for number, entry in enumerate(entries, 1)]


def _checked(entry, where):
    for name, kind in _FIELDS.items():
        if name not in entry and name not in _OPTIONAL or not isinstance(entry.get(name, kind()), kind):
            raise CoverageError(f"{where}: {name} is missing or no {kind.__name__}")
    if unknown := set(entry) - set(_FIELDS):
        raise CoverageError(f"{where}: has no field {', '.join(sorted(unknown))}; it has {', '.join(_FIELDS)}")
    if entry["kind"] not in KINDS:
        raise CoverageError(f"{where}: kind = {entry['kind']!r}: choose one of {', '.join(KINDS)}")
    if not entry["reason"].strip():
        raise CoverageError(f"{where}: reason is empty: say why it cannot be covered")
    try:
        re.compile(entry["name"])
    except re.error as error:
        raise CoverageError(f"{where}: name = {entry['name']!r}: no regular expression: {error}") from None
    return Exclusion(**entry | {"configs": tuple(entry.get("configs", ()))})
