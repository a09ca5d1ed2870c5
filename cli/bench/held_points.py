"""Settings whose cycles were measured on the RTL: what the performance model is held to."""

import json
from dataclasses import dataclass

from ...hw.spec.errors import InputError
from ..estimate.setting import Setting

__all__ = ["HeldPoint", "Errors", "errors_of", "read_points", "write_points"]

_FORMAT = 1


@dataclass(frozen=True)
class HeldPoint:
    """A Setting, and what it took on the RTL.

    Members
    -------
    name : of the point
    setting : Setting
    cycles : measured; None: not yet
    """

    name: str
    setting: Setting
    cycles: int | None = None


@dataclass(frozen=True)
class Errors:
    """How far estimates are from measurements, as shares of the latter.

    Members
    -------
    mean : of the absolute errors
    most : the largest of them
    within : share of the points whose error is at most 3 %
    """

    mean: float
    most: float
    within: float


def read_points(path):
    """The points of a file, in order.

    Raises
    ------
    InputError : it is no file of points
    """
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: is no file of points: {getattr(error, 'strerror', None) or error}") from None
    if not isinstance(values, dict) or values.get("format") != _FORMAT:
        raise InputError(f"{path}: is no file of points of format {_FORMAT}; write one like "
                         "tests/sw/estimate/points.json, and record it with acceltran bench estimate --record")
    return [HeldPoint(one["name"], Setting.from_dict(one["setting"]), one.get("cycles")) for one in values["points"]]


def write_points(points):
    """The text of such a file."""
    lines = [json.dumps({"name": one.name, "setting": one.setting.to_dict(), "cycles": one.cycles}) for one in points]
    return f'{{"format": {_FORMAT}, "points": [\n' + ",\n".join(lines) + "\n]}\n"


def errors_of(pairs):
    """The Errors of (measured, estimated) cycles."""
    shares = [abs(estimated / measured - 1) for measured, estimated in pairs]
    return Errors(sum(shares) / len(shares), max(shares), sum(share <= 0.03 for share in shares) / len(shares))
