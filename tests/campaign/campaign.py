"""Seeds of every kind one after the other, here or on workers of Dask; what fails is written as a file that replays it."""

import contextlib
import time
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from acceltran.cli.sweep.cluster import local_client, remote_client
from acceltran.cli.sweep.engine import run_points
from acceltran.hw.spec.errors import RunError

from .attack import attack
from .batch_file import save_batch
from .ledger import Ledger

__all__ = ["Plan", "found_lines", "run_campaign"]

_SHOWN = ("encoders", "values", "programs", "moments", "hangs", "violations", "cycles")
"""Counts in the line of a batch."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be run.

    Parameters
    ----------
    kinds : {name: Kind}
    seeds : their numbers in order, None for 1, 2, 3 and so on
    most : batches at most; None for as many as there is time for
    until : reading of `time.monotonic` after which none begins; None for no end
    jobs : batches at once on this machine
    scheduler : address of a scheduler of Dask, None for this machine
    folder : for the files of what was found, and the logs
    """

    kinds: dict
    seeds: list | None = None
    most: int | None = None
    until: float | None = None
    jobs: int = 1
    scheduler: str | None = None
    folder: Path = Path("build") / "campaign"

    def points(self, ledger):
        """(name of the kind, seed) of every batch that the ledger does not have, as long as there is time."""
        taken = 0
        for seed in self.seeds or count(1):
            for name in self.kinds:
                if ledger.done(name, seed):
                    continue
                if taken == self.most or self.until is not None and time.monotonic() > self.until:
                    return
                taken += 1
                yield name, seed


def run_campaign(plan, ledger, tell=print):
    """Run the batches of a plan into a ledger, with a line for each.

    Returns
    -------
    Ledger with this session alone, and the files of what was found
    """
    session, files, begun, number = Ledger(), [], time.monotonic(), 0
    for name, seed, attacked in _attacked(plan, ledger, tell):
        number += 1
        file = None
        if attacked.failures:
            file = plan.folder / f"{name}-{seed}.json"
            save_batch(attacked.smallest, file, attacked.reason)
            files.append(file)
        ledger.add(attacked, file)
        session.add(attacked, file)
        shown = ", ".join(f"{attacked.counts[what]:,} {what}" for what in _SHOWN if attacked.counts.get(what))
        tell(f"{number:5}  {time.monotonic() - begun:7.0f} s  {name:9} seed {seed:<5} {attacked.batch['config']['name']:12} "
             f"{shown or 'nothing done'}")
        for line in found_lines(attacked, file):
            tell(line)
    return session, files


def found_lines(attacked, file):
    """What is told of a batch that failed."""
    if not attacked.failures:
        return []
    case, reason = attacked.failures[0]
    return [f"FOUND  {len(attacked.failures)} failures, the first in {'no single case' if case is None else f'case {case}'}: "
            f"{reason}",
            f"       smallest of {attacked.tries} tries: {len(attacked.smallest['cases'])} of {len(attacked.batch['cases'])} "
            f"cases: {attacked.reason}",
            f"       again: make campaign REPLAY={file}"]


def _attacked(plan, ledger, tell):
    """(kind, seed, Attacked) of every batch, as they come."""
    points = plan.points(ledger)
    if plan.scheduler is None and plan.jobs == 1:
        for name, seed in points:
            yield name, seed, _attack_point((plan.kinds[name], seed, plan.folder))
        return
    client = remote_client(plan.scheduler) if plan.scheduler else local_client(plan.jobs)
    with client as workers, contextlib.closing(run_points(
            workers, _attack_point, (((name, seed), (plan.kinds[name], seed, plan.folder)) for name, seed in points),
            tell=tell)) as outcomes:
        for (name, seed), outcome in outcomes:
            if outcome.state != "done":
                raise RunError(f"{name} seed {seed}: {outcome.error}")
            yield name, seed, outcome.value


def _attack_point(point):
    """The batch of a seed; Attacked."""
    kind, seed, folder = point
    (batch,) = kind.batches(seed, 1)
    return attack(kind, batch, Path(folder).absolute() / "logs" / f"{kind.name}-{seed}")
