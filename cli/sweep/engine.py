"""Points on the workers of Dask, one after the other on each, their outcomes as they come."""

import itertools
import os
import time
import traceback
import uuid
from dataclasses import dataclass

from distributed import KilledWorker, as_completed
from distributed.client import FutureCancelledError

from ...hw.spec.errors import AcceltranError, InputError, RunError

__all__ = ["Outcome", "run_points"]

_LOST = "the scheduler of Dask was lost: start it again, and go on with --resume"

_LOOK = 1.0
"""Seconds after which workers are counted again."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a point.

    Members
    -------
    state : "done"; "refused", by an InputError, which comes again whenever it is tried; or "failed", by anything else
    value : what the function gave, where it is done
    error : what was told otherwise, one line
    seconds, cpu_seconds : that it took on its worker; None where that died
    worker : name of its process; None where that died
    """

    state: str
    value: object = None
    error: str | None = None
    seconds: float | None = None
    cpu_seconds: float | None = None
    worker: str | None = None


def run_points(client, function, points, *, tell=lambda line: None):
    """Call a function with each point, on the workers of a cluster.

    No worker has more than one point per thread, so that a death is blamed on the point that was under way. Points are begun in
    their order: if those that need the same come one after the other, a worker that keeps it finds it again. A point whose
    worker dies is tried again, as often as Dask allows (``distributed.scheduler.allowed-failures``).

    Parameters
    ----------
    client : distributed.Client
    function : of one argument, importable by the workers
    points : list of (key, argument)
    tell : gets lines about workers that are lost

    Yields
    ------
    (key, Outcome) of each point, as they come

    Raises
    ------
    RunError : the scheduler is gone
    """
    workers, under_way, keys = _Workers(client, tell), as_completed(loop=client.loop), {}
    name, waiting = f"{function.__name__}-{uuid.uuid4().hex[:8]}", enumerate(points)

    def fill():
        for number, (key, argument) in itertools.islice(waiting, max(0, max(1, workers.threads()) - len(keys))):
            future = client.submit(_attempt, function, argument, key=(name, number), pure=False)
            keys[future.key] = key
            under_way.add(future)

    fill()
    for future in under_way:
        outcome = _outcome(future)
        yield keys.pop(future.key), outcome
        future.release()
        fill()


class _Workers:
    """How many threads there are; a worker that is gone is told."""

    def __init__(self, client, tell):
        self._client, self._tell, self._seen, self._looked = client, tell, {}, -_LOOK

    def threads(self):
        if time.monotonic() - self._looked >= _LOOK:
            try:
                found = self._client.nthreads()
            except OSError:
                raise RunError(_LOST) from None
            if gone := self._seen.keys() - found.keys():
                lost = "a worker was" if len(gone) == 1 else f"{len(gone)} workers were"
                self._tell(f"{lost} lost; what was under way there is tried again")
            self._seen, self._looked = found, time.monotonic()
        return sum(self._seen.values())


def _attempt(function, argument):
    """On a worker: the members of an Outcome."""
    begin, spent = time.perf_counter(), time.process_time()
    try:
        found = {"state": "done", "value": function(argument)}
    except AcceltranError as error:
        found = {"state": "refused" if isinstance(error, InputError) else "failed", "error": str(error)}
    except (Exception, SystemExit) as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        said = " ".join(str(error).split())
        found = {"state": "failed", "error": f"{type(error).__name__}: {said} ({os.path.basename(place.filename)}, line "
                                             f"{place.lineno})"}
    return found | {"seconds": time.perf_counter() - begin, "cpu_seconds": time.process_time() - spent,
                    "worker": f"{os.uname().nodename} {os.getpid()}"}


def _outcome(future):
    if future.cancelled():
        raise RunError(_LOST)
    try:
        return Outcome(**future.result())
    except KilledWorker as error:
        return Outcome(state="failed", error=f"its worker died {error.allowed_failures + 1} times while it was under way: it "
                                             "may need more memory than there is")
    except FutureCancelledError:
        raise RunError(_LOST) from None
    except Exception as error:
        return Outcome(state="failed", error=f"{type(error).__name__}: {' '.join(str(error).split())}")
