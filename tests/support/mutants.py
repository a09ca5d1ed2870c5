"""Faults planted on purpose, one at a time, and whether the tests that should see each do: ``python -m support.mutants``.

`tests/mutants/*.toml` lists them. Each is planted in an overlay of the packages, links to all files but the changed one.
"""

import argparse
import fnmatch
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["FOLDER", "PACKAGES", "ROOT", "Mutant", "MutantError", "Outcome", "finish", "load", "overlay", "report", "run_tests"]

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "mutants"
PACKAGES = ("hw", "sw", "sim", "silicon", "cli")

_FIELDS = {"name": str, "file": str, "old": str, "new": str, "tests": list, "equivalent": str}
_OPTIONAL = ("equivalent",)
_BLOCKS = "tests/hw/"
"""Tests of single blocks, which need nothing of tests/conftest.py; that loads PyTorch, half of a small test's time."""

_CAUGHT = (1, 2)
"""Statuses of pytest with which a fault is caught: a test failed, or could not be collected."""


class MutantError(ValueError):
    """A list, or an entry of it, that cannot be used."""


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One planted fault.

    Parameters
    ----------
    name : list and name, as ``streams/skid-forgets-held``
    file : path from the root of the repository
    old, new : text of the file, which occurs once, and what replaces it
    tests : node ids of pytest, quick ones, of which one should fail
    equivalent : why no test can see it; empty for a fault that must be caught
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    equivalent: str = ""

    def source(self):
        """The file with the fault.

        Raises
        ------
        MutantError : no such file, the text does not occur exactly once, or what comes out is no Python
        """
        path = ROOT / self.file
        if self.file.split("/")[0] not in PACKAGES or not path.is_file():
            raise MutantError(f"{self.name}: file = {self.file!r} is no file of {', '.join(PACKAGES)}")
        text = path.read_text()
        if (times := text.count(self.old)) != 1:
            raise MutantError(f"{self.name}: its text occurs {times} times in {self.file}, it must occur once")
        changed = text.replace(self.old, self.new)
        if changed == text:
            raise MutantError(f"{self.name}: changes nothing")
        if path.suffix == ".py":
            try:
                compile(changed, self.file, "exec")
            except SyntaxError as error:
                raise MutantError(f"{self.name}: is no Python: {error}") from None
        return changed


@dataclass(frozen=True)
class Outcome:
    """What became of a fault: ``caught``, ``survived``, ``limit`` (stopped by the runner) or ``equivalent``."""

    name: str
    result: str
    seconds: float
    reason: str


def load(folder=FOLDER):
    """Every Mutant of the lists in a folder, checked but for the text of its file.

    Raises
    ------
    MutantError : a list is no TOML, a field is missing, unknown or of the wrong kind, or a name occurs twice
    """
    mutants, seen = [], set()
    for path in sorted(folder.glob("*.toml")):
        try:
            entries = tomllib.loads(path.read_text())["mutant"]
        except (tomllib.TOMLDecodeError, KeyError) as error:
            raise MutantError(f"{path.name}: is no list of [[mutant]]: {error}") from None
        for number, entry in enumerate(entries, 1):
            where = f"{path.name}, entry {number} ({entry.get('name', 'without a name')})"
            for field, kind in _FIELDS.items():
                if field not in entry and field not in _OPTIONAL or not isinstance(entry.get(field, kind()), kind):
                    raise MutantError(f"{where}: {field} is missing or no {kind.__name__}")
            if unknown := set(entry) - set(_FIELDS):
                raise MutantError(f"{where}: has no field {', '.join(sorted(unknown))}")
            if not entry["tests"]:
                raise MutantError(f"{where}: tests is empty")
            mutant = Mutant(**entry | {"name": f"{path.stem}/{entry['name']}", "tests": tuple(entry["tests"])})
            if mutant.name in seen:
                raise MutantError(f"{where}: a name that occurs twice")
            seen.add(mutant.name)
            mutants.append(mutant)
    return mutants


@contextmanager
def overlay(changed):
    """A folder from which the packages can be imported as they are, but for `changed`, {file: text}."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        folder, touched = Path(name), {str(Path(file).parent) for file in changed}
        for package in PACKAGES:
            for place, inner, files in os.walk(ROOT / package):
                here = Path(place).relative_to(ROOT)
                target = folder / "acceltran" / here
                target.mkdir(parents=True)
                if "__pycache__" in inner:
                    inner.remove("__pycache__")
                    if str(here) not in touched:
                        (target / "__pycache__").symlink_to(Path(place) / "__pycache__")
                for file in files:
                    if (text := changed.get(str(here / file))) is None:
                        (target / file).symlink_to(Path(place) / file)
                    else:
                        (target / file).write_text(text)
        yield folder


def run_tests(folder, tests, limit, *options):
    """Run tests with the packages of an overlay; returns pytest's status, or None beyond the limit, and what it said."""
    command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT), "-q", "-rfE",
               "-p", "no:cacheprovider", "--tb=no", *options, *(str(ROOT / test) for test in tests)]
    if all(test.startswith(_BLOCKS) for test in tests):
        command.append("--noconftest")
    with subprocess.Popen(command, cwd=folder, env=os.environ | {"PYTHONPATH": str(folder)}, text=True, start_new_session=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            said, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return None, ""
    return process.returncode, said


def _first_failure(said):
    return next((line.split(" - ")[0] for line in said.splitlines() if line.startswith(("FAILED", "ERROR"))), "")


def _check_overlay():
    """An overlay must be what Python imports, or every fault would survive."""
    with overlay({}) as folder:
        said = subprocess.run([sys.executable, "-c", "import acceltran.hw.generate as g, acceltran.sim.unit as u;"
                               "print(g.__file__, u.__file__)"], cwd=folder, env=os.environ | {"PYTHONPATH": str(folder)},
                              capture_output=True, text=True, check=False).stdout
    if not all(one.startswith(str(folder)) for one in said.split()) or not said:
        raise MutantError(f"Python does not import the overlay, but {said.strip() or 'nothing'}")


def _check_tests(tests, jobs, limit):
    """Every named test passes on the unchanged tree; builds are then in the cache."""
    with overlay({}) as folder:
        status, said = run_tests(folder, tests, limit, *(("-n", str(jobs)) if jobs > 1 else ()))
    if status:
        raise MutantError(f"on the unchanged tree: {_first_failure(said) or said.strip()[-300:]}")
    if status is None:
        raise MutantError(f"the unchanged tree takes more than {limit} seconds")


def _run(mutant, limit):
    started = time.monotonic()
    with overlay({mutant.file: mutant.source()}) as folder:
        status, said = run_tests(folder, mutant.tests, limit, "-x")
    seconds = time.monotonic() - started
    if status is None:
        return Outcome(mutant.name, "limit", seconds, f"more than {limit} seconds")
    if status in _CAUGHT:
        return Outcome(mutant.name, "caught", seconds, _first_failure(said))
    if status:
        raise MutantError(f"{mutant.name}: pytest ends with {status}: {said.strip()[-300:]}")
    return Outcome(mutant.name, "survived", seconds, ", ".join(mutant.tests))


def _main(arguments):
    parser = argparse.ArgumentParser(prog="support.mutants", description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", metavar="PATTERN", help="names, as 'streams/*'; may be given again")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="at once")
    parser.add_argument("--limit", type=int, default=600, metavar="SECONDS", help="for each fault")
    parser.add_argument("--unchecked", action="store_true", help="do not run the tests on the unchanged tree first")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the outcomes")
    parser.add_argument("--list", action="store_true", help="only list them")
    given = parser.parse_args(arguments)
    if given.jobs < 1 or given.limit < 1:
        raise MutantError("--jobs and --limit: at least 1")
    every, patterns = load(), given.only or ["*"]
    for pattern in patterns:
        if not fnmatch.filter((mutant.name for mutant in every), pattern):
            raise MutantError(f"--only {pattern}: no fault has such a name")
    chosen = [mutant for mutant in every if any(fnmatch.fnmatch(mutant.name, pattern) for pattern in patterns)]
    for mutant in chosen:
        mutant.source()
    if given.list:
        print("\n".join(f"{mutant.name:50} {mutant.file}" for mutant in chosen))
        return 0
    outcomes = [Outcome(one.name, "equivalent", 0.0, one.equivalent) for one in chosen if one.equivalent]
    planted = [mutant for mutant in chosen if not mutant.equivalent]
    _check_overlay()
    if planted and not given.unchecked:
        tests = sorted({test for mutant in planted for test in mutant.tests})
        print(f"{len(tests)} tests on the unchanged tree", flush=True)
        _check_tests(tests, given.jobs, given.limit * len(planted))
    with ThreadPoolExecutor(given.jobs) as pool:
        for future in as_completed([pool.submit(_run, mutant, given.limit) for mutant in planted]):
            outcomes.append(one := future.result())
            print(f"{len(outcomes):4} of {len(chosen)}  {one.result:10} {one.seconds:6.1f} s  {one.name}", flush=True)
    return report(outcomes, given.json)


def report(outcomes, file):
    """Print a table of outcomes, and write them to `file` unless it is None; returns 1 if a fault was not caught, else 0."""
    print(f"\n{'fault':50} {'result':10} {'by, or why':60}")
    for one in sorted(outcomes, key=lambda one: (one.result == "caught", one.name)):
        print(f"{one.name:50} {one.result:10} {one.reason}")
    counts = Counter(one.result for one in outcomes)
    print(f"{len(outcomes)} faults: " + ", ".join(f"{count} {result}" for result, count in sorted(counts.items())))
    if file:
        file.write_text(json.dumps([asdict(one) for one in outcomes], indent=1) + "\n")
    return int(counts["survived"] + counts["limit"] > 0)


def finish(main):
    """Run a program and exit with its status; what cannot be used is one line, and status 2."""
    try:
        sys.exit(main(sys.argv[1:]))
    except (MutantError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    finish(_main)
