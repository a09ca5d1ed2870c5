"""Functions that stand for an estimate in tests of sweeps; workers of Dask import them from here."""

import os
import signal
import sys
import time
from pathlib import Path

from acceltran.cli.sweep.cluster import local_client
from acceltran.cli.sweep.engine import run_points
from acceltran.cli.sweep.store import Store, read_table
from acceltran.hw.spec.errors import ConfigError, RunError

__all__ = ["LINES", "act", "run_store"]

LINES = "told.txt"


def act(argument):
    """Do what a point asks for, and leave a line in a file when it is done.

    Parameters
    ----------
    argument : (folder of the file, number, deed)
    """
    folder, number, deed = argument
    if deed == "refuse":
        raise ConfigError(f"number = {number}: choose another")
    if deed == "fail":
        raise RunError("no license")
    if deed == "raise":
        raise KeyError(number)
    if deed == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if deed == "die once" and not (mark := Path(folder) / f"died-{number}").exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    with (Path(folder) / LINES).open("a") as file:
        file.write(f"{number}\n")
    return {"square": number**2, "pid": os.getpid()}


def run_store(folder, count, workers=2):
    """Run points that a folder lacks, like the command does; a program that a test kills."""
    folder = Path(folder)
    with Store(folder / "rows", resume=True) as store:
        table, _ = read_table(folder / "rows")
        known = set(table["identity"].to_pylist()) if table.num_rows else set()
        points = [(str(n), (str(folder), n, "")) for n in range(count) if str(n) not in known]
        with local_client(workers) as client:
            for key, outcome in run_points(client, act, points):
                store.append({"identity": key, "state": outcome.state, **outcome.value})


if __name__ == "__main__":
    run_store(sys.argv[1], int(sys.argv[2]))
