"""How far a sweep is, on standard error."""

import contextlib
import time

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ..console import progress, tell

__all__ = ["SweepProgress"]

_PAUSE = 10.0
"""Seconds between two lines of a log."""

_SURE = 5
"""Points from which on the time that is left is told."""


class SweepProgress(contextlib.ExitStack):
    """Shows points done, failed and left, and the time that is likely left: a bar on a terminal, else a line now and then.

    Parameters
    ----------
    total : points that are to be done
    """

    def __init__(self, total):
        super().__init__()
        self._total, self._done, self._failed = total, 0, 0
        self._begin = self._told = time.monotonic()
        self._first = None
        self._bar = None
        if progress.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                       TextColumn("{task.fields[failed]} failed, {task.fields[left]} left,"), TimeRemainingColumn(),
                       TextColumn("to go,"), TimeElapsedColumn(), TextColumn("so far"))
            self._bar = self.enter_context(Progress(*columns, console=progress))
            self._task = self._bar.add_task("points", total=total, failed=0, left=total)

    def ended(self, state):
        """A point has ended, in a state of `engine.Outcome`."""
        self._done += state == "done"
        self._failed += state != "done"
        ended = self._done + self._failed
        left = self._total - ended
        self._first = self._first or time.monotonic()
        if self._bar:
            self._bar.update(self._task, advance=1, failed=self._failed, left=left)
        elif not left or time.monotonic() - self._told >= _PAUSE:
            self._told = time.monotonic()
            ahead = f", {_duration(self._told - self._begin)}"
            if left:  # The first points are no measure, since every worker begins by loading what it needs.
                each = (self._told - self._first) / (ended - 1) if ended >= _SURE else None
                ahead = f", about {_duration(each * left)} to go" if each else ""
            tell(f"sweep: {self._done} of {self._total} points done, {self._failed} failed, {left} left{ahead}")


def _duration(seconds):
    if seconds < 100:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 6000 else f"{seconds / 3600:.1f} hours"
