"""Coverage of the RTL by the programs of the system tests: ``make coverage``, see docs/coverage.md."""

import argparse
import json
import os
import re
import shutil
import sys
import time
from collections import Counter
from pathlib import Path

import torch

from acceltran.sim.design import COVERAGE, POINTS_ONLY, accelerator_verilog, covered_design

from . import report
from .configs import CONFIGS
from .constants import constants
from .database import CoverageError, add_files, write
from .exclusions import LIST, load
from .measure import check_used, measure
from .runs import RUNS
from .verilog_text import VerilogText

_PARSER = argparse.ArgumentParser(prog="rtl_coverage", description=__doc__, epilog=f"""
Counts of all runs are added up in OUT, one file for each configuration, also over several calls: begin anew with --clear. The
campaign leaves counts in a folder if {COVERAGE} names it; give that folder with --counts. Exit code 1: a bar is missed;
2: counts or the list of what is left out cannot be used.""")
_PARSER.add_argument("--config", action="append", choices=sorted(CONFIGS), help="measure this one only; may be given again")
_PARSER.add_argument("--run", action="append", metavar="NAME", help="only this run; may be given again; 'none' for no run")
_PARSER.add_argument("--list", action="store_true", help="list the runs and end")
_PARSER.add_argument("--counts", action="append", type=Path, default=[], metavar="FOLDER", help="add the counts in a folder")
_PARSER.add_argument("--points", action="store_true", help="count cover points only, in simulators that are built sooner")
_PARSER.add_argument("--clear", action="store_true", help="forget the counts of earlier calls")
_PARSER.add_argument("--out", type=Path, default=Path("build/coverage"), help="folder of counts and page (build/coverage)")
_PARSER.add_argument("--json", type=Path, metavar="FILE", help="write all figures")


def _main(arguments):
    given = _PARSER.parse_args(arguments)
    if given.list:
        for run in RUNS:
            print(f"{run.name:18}{', '.join(name for name, config in CONFIGS.items() if run.where(config)):20}  {run.what}")
        return 0
    os.environ[POINTS_ONLY] = "1" if given.points else ""
    chosen = _chosen(given.run)
    rules = load(LIST)
    configs = [CONFIGS[name] for name in given.config or CONFIGS]
    designs = {covered_design(config): config for config in configs}
    extra = _extra(given.counts, designs)
    given.out.mkdir(parents=True, exist_ok=True)
    modules = {design: _modules(config) for design, config in designs.items()}
    totals = {design: _total(given.out / f"{design}.dat", given.clear, modules[design]) for design in designs}
    for design, config in designs.items():
        target = given.out / f"{design}.dat"
        for run in chosen:
            if run.where(config):
                _perform(run, config, given.out, totals[design], target, modules[design])
        if extra[design]:
            print(f"{config.name}: adding {len(extra[design])} files", flush=True)
            add_files(totals[design], extra[design], modules[design])
            write(totals[design], target)
        if not totals[design]:
            raise CoverageError(f"{config.name}: there are no counts in {given.out}; run something, or give --counts")
    return _report(given, designs, totals, rules)


def _chosen(names):
    known = {run.name: run for run in RUNS}
    for name in names or ():
        if name not in known and name != "none":
            raise CoverageError(f"--run {name}: no run has that name; --list shows them")
    return [run for run in RUNS if not names or run.name in names]


def _extra(folders, designs):
    """Files of counts in folders, by design."""
    found = {design: [] for design in designs}
    for folder in folders:
        paths = sorted(folder.rglob("*.dat"))
        if not paths:
            raise CoverageError(f"--counts {folder}: there are no files of counts (*.dat)")
        for path in paths:
            design = path.name.split(".")[0]
            if design not in found and design.rpartition("-")[0] in {config.name for config in designs.values()}:
                raise CoverageError(f"{path}: counts of another design than the {design.rpartition('-')[0]} of these sources; "
                                    "leave it out")
            found.get(design, []).append(path)
    return found


def _modules(config):
    """Names of the modules of an accelerator."""
    return {name.lstrip("\\") for name in re.findall(r"^module ([^\s(]+)", accelerator_verilog(config), re.MULTILINE)}


def _total(path, clear, modules):
    counts = Counter()
    if clear:
        path.unlink(missing_ok=True)
    elif path.exists():
        add_files(counts, [path], modules)
    return counts


def _perform(run, config, out, total, target, modules):
    """One run: its files of counts are added and removed."""
    counts, logs = out / "counts", out / "logs" / config.name / run.name
    shutil.rmtree(counts, ignore_errors=True)
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True)
    os.environ[COVERAGE] = str(counts)
    started = time.monotonic()
    try:
        run.run(config, logs)
    finally:
        os.environ.pop(COVERAGE)
    files = sorted(counts.glob("*.dat"))
    if not files:
        raise CoverageError(f"{run.name} on {config.name} left no counts")
    add_files(total, files, modules)
    write(total, target)
    shutil.rmtree(counts)
    reached = sum(count > 0 for count in total.values())
    print(f"{config.name:14}{run.name:18}{time.monotonic() - started:7.0f} s   {reached:,} of {len(total):,} points so far",
          flush=True)


def _report(given, designs, totals, rules):
    used, measured = set(), []
    for design, config in designs.items():
        verilog = accelerator_verilog(config)
        figures = measure(config.name, totals[design], text=VerilogText(verilog), fixed=constants(config), exclusions=rules,
                          used=used)
        measured.append(figures)
        print(f"\n{config.name}\n{report.summary(figures)}")
    page = given.out / "index.html"
    page.write_text(report.html(measured, [(run.name, run.what) for run in RUNS]))
    print(f"\n{page}")
    if given.json:
        given.json.write_text(json.dumps({f.config: report.values(f) for f in measured}, indent=1) + "\n")
    if len(designs) == len(CONFIGS):
        check_used(rules, used, [config.name for config in designs.values()])
    return int(any(figures.missed for figures in measured))


if __name__ == "__main__":
    torch.set_num_threads(1)
    try:
        sys.exit(_main(sys.argv[1:]))
    except (CoverageError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
