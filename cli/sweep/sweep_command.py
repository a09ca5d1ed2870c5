"""`acceltran sweep FILE`: the points of a file, estimated on Dask."""

import os
import uuid
from pathlib import Path

from ...hw.spec.errors import InputError, RunError
from ..console import check_outputs, console, tell
from .cluster import local_client, remote_client
from .engine import run_points
from .estimates import Request, check_values, described, estimate_row, group_of, identity_of, sources
from .points import read_points
from .progress import SweepProgress
from .results import Measure, read_results, write_sweep
from .show import show_results
from .store import Store, read_table

__all__ = ["sweep_command"]

_FOLDER = Path("build/sweeps")


def sweep_command(file, *, output, resume, dry_run, workers, scheduler, outputs):
    """Run the command.

    Parameters
    ----------
    file : with the points
    output : folder of the results; None: one named after the file
    resume, dry_run : see the command
    workers : processes; None: one per core
    scheduler : address of a running one; None: none
    outputs : keywords of `show_results`

    Returns
    -------
    exit code
    """
    if workers and scheduler:
        raise InputError("--workers and --scheduler: give one of them, since a running cluster has the workers that it has")
    Measure.several(outputs["pareto"])
    check_outputs(*outputs["files"].values())
    points = read_points(file, check_values)
    if dry_run:
        for number, point in enumerate(points, 1):
            console.print(f"{number:>5}  {point.name}", markup=False)
        console.print(f"{len(points)} points", markup=False)
        return 0
    points, folder = _distinct(points), Path(output or _FOLDER / Path(file).stem)
    with Store(folder, resume=resume) as store:
        identities = {point.name: identity for identity, point in points.items()}
        write_sweep(folder, Path(file).stem, identities, sources())
        left = _left(folder, points)
        if left:
            _run(store, left, workers, scheduler, folder)
    return show_results(read_results(folder), **outputs)


def _distinct(points):
    """{identity: Point}, and a remark where two are equal."""
    found, equal = {}, []
    for point in points:
        first = found.setdefault(identity_of(point.values), point)
        if first is not point:
            equal.append(f"{point.name!r} is the same as {first.name!r}")
    if equal:
        tell(f"sweep: {len(equal)} of {len(points)} points are the same as others, and are left out: {equal[0]}"
             + (", ..." if len(equal) > 1 else ""))
    return found


def _left(folder, points):
    """Those of {identity: Point} that are still to be done, points of one group together."""
    table, damaged = read_table(folder)
    for path in damaged:
        tell(f"sweep: {path} is damaged and left out; its points are done again")
    rows = table.select(["identity", "state"]).to_pylist() if table.num_rows else []
    known = {row["identity"] for row in rows if row["state"] in ("done", "refused")}
    left = {identity: point for identity, point in points.items() if identity not in known}
    if rows:
        others = len({row["identity"] for row in rows} - points.keys())
        tell(f"sweep: {len(points) - len(left)} of {len(points)} points are there already" + (
            f"; {others} rows in {folder} are of other points or of other sources, and are not shown" if others else ""))
    groups = {}
    for identity, point in left.items():
        groups.setdefault(group_of(point.values), {})[identity] = point
    return {identity: point for group in groups.values() for identity, point in group.items()}


def _run(store, points, workers, scheduler, folder):
    count = min(workers or len(os.sched_getaffinity(0)), len(points))
    where = f"on {scheduler}" if scheduler else f"on {count} {'process' if count == 1 else 'processes'}"
    tell(f"sweep: {len(points)} {'point' if len(points) == 1 else 'points'} {where}; results go to {folder}")
    this = uuid.uuid4().hex
    requests = [(identity, Request(point.values, sources(), this)) for identity, point in points.items()]
    try:
        with remote_client(scheduler) if scheduler else local_client(count) as client, SweepProgress(len(points)) as shown:
            for identity, outcome in run_points(client, estimate_row, requests, tell=lambda line: tell(f"sweep: {line}")):
                store.append(_row(points[identity], identity, outcome))
                shown.ended(outcome.state)
    except KeyboardInterrupt:
        raise RunError(f"stopped: the points that were done are kept in {folder}; the same command with --resume goes on"
                       ) from None


def _row(point, identity, outcome):
    return {
        "point": point.name, "identity": identity, "sources": sources(), "state": outcome.state, "error": outcome.error,
        "setting": described(point.values), **(outcome.value or {}),
        "wall_seconds": outcome.seconds, "cpu_seconds": outcome.cpu_seconds, "worker": outcome.worker,
    }
