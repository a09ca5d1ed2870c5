"""One batch on its simulator; one that fails is made as small as it can be."""

import resource
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from .kind import Tally

__all__ = ["MOST_TRIES", "Attacked", "attack", "fewer_cases", "shrink"]

MOST_TRIES = 150
"""Smaller batches that are run before one is as small as it gets."""


@dataclass(frozen=True, kw_only=True)
class Attacked:
    """What became of a batch.

    Members
    -------
    batch : as it was
    counts : as in `Tally`, with ``cpu_seconds`` of this process and of the tools and simulators that it ran
    failures : as in `Tally`
    smallest : a smaller batch that still fails, None where nothing failed
    reason : what the smallest one's first failure is
    tries : smaller batches that were run
    """

    batch: dict
    counts: dict
    failures: list = field(default_factory=list)
    smallest: dict | None = None
    reason: str = ""
    tries: int = 0


def attack(kind, batch, folder, *, shrinking=True):
    """Run a batch, and shrink it if it fails; `folder` holds the logs of what failed, and is gone where nothing did."""
    folder, begun = Path(folder), _cpu_seconds()
    tally = _run(kind, batch, folder / "first")
    counts = Counter(tally.counts) | Counter({"cpu_seconds": _cpu_seconds() - begun})
    if not tally.failures:
        shutil.rmtree(folder, ignore_errors=True)
        return Attacked(batch=batch, counts=dict(counts))
    smallest, failures, tries = shrink(kind, batch, folder) if shrinking else (batch, [], 0)
    return Attacked(batch=batch, counts=dict(counts), failures=tally.failures, smallest=smallest,
                    reason=(failures or tally.failures)[0][1], tries=tries)


def shrink(kind, batch, folder):
    """The first smaller batch that still fails, of that the first again, and so on.

    Returns
    -------
    the batch, its failures (none where no smaller one fails), and how many were tried
    """
    failures, tries = [], 0
    while tries < MOST_TRIES:
        for smaller in kind.smaller(batch):
            tries += 1
            place = folder / f"smaller-{tries}"
            found = _run(kind, smaller, place).failures
            if found:
                batch, failures = smaller, found
                break
            shutil.rmtree(place, ignore_errors=True)
            if tries == MOST_TRIES:
                break
        else:
            break
    return batch, failures, tries


def _run(kind, batch, folder):
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return kind.run(batch, folder)
    except Exception as error:  # Whatever goes wrong in a random case is a find, and the campaign goes on.
        return Tally(failures=[(None, f"{type(error).__name__}: {' '.join(str(error).split())}")])


def fewer_cases(cases):
    """Lists with some of the cases left out: first half, second half, then without each quarter, and so on down to one."""
    part = (len(cases) + 1) // 2
    while part and len(cases) > 1:
        for first in range(0, len(cases), part):
            if rest := cases[:first] + cases[first + part:]:
                yield rest
        part = part // 2


def _cpu_seconds():
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, (resource.RUSAGE_SELF,
                                                                                    resource.RUSAGE_CHILDREN)))
