"""Attack the accelerator with random programs, encoders, resets and bus errors: ``make campaign``.

Each seed of a kind makes one batch: one simulation on one of the configurations of --list, with everything in it that is
random. A batch that fails is made as small as possible and written as a file, which --replay runs again.
"""

import argparse
import shutil
import sys
import time
from pathlib import Path

from acceltran.hw.spec.config import DIVIDED
from acceltran.hw.spec.errors import AcceltranError
from acceltran.hw.spec.files import write_json
from acceltran.sim.sources import source_identity
from acceltran.sim.verilator import toolchain

from .attack import attack
from .batch_file import load_batch, save_batch
from .campaign import Plan, found_lines, run_campaign
from .configurations import SEED, build_size, configurations, wanted_pairs
from .errors import CampaignError
from .kinds import KINDS, chosen_kinds
from .ledger import Ledger
from .seeds import parse_seeds

__all__ = ["main"]

_QUICK = 2
"""Seeds of each kind."""

_EXAMPLES = """examples:
  python -m campaign --quick                                   two seeds of each kind, on the smallest configurations
  python -m campaign --hours 3 --jobs 2 --ledger ledger.json   go on where the ledger ends
  python -m campaign --kind moments --seed 5-20                those seeds
  python -m campaign --replay build/campaign/encoders-7.json   a case that failed, once more

exit codes: 0 nothing found, 1 something found, 2 cannot be used"""


def _parser():
    parser = argparse.ArgumentParser(prog="python -m campaign", description=__doc__, epilog=_EXAMPLES,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", action="append", default=[], metavar="NAME",
                        help=f"one of {', '.join(KINDS)}; may be given again; all by default")
    parser.add_argument("--seed", metavar="LIST", help="seeds, such as 1,4,9-20; by default 1, 2, 3 and so on, without end")
    parser.add_argument("--quick", action="store_true", help=f"seeds 1 to {_QUICK} of each kind: minutes")
    parser.add_argument("--count", type=int, metavar="N", help="batches at most")
    parser.add_argument("--hours", type=float, metavar="H", help="begin no batch after so many hours")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="batches at once on this machine (default: 1)")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="run on the workers of this scheduler of Dask, tcp://host:8786; "
                        "they need this checkout at the same place")
    parser.add_argument("--ledger", type=Path, metavar="FILE", help="add up over sessions, such as build/ledger.json; what "
                        "it has is not repeated")
    parser.add_argument("--output", type=Path, default=Plan.folder, metavar="FOLDER",
                        help=f"for files of what was found, and their logs (default: {Plan.folder})")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run a file that the campaign wrote, nothing else")
    parser.add_argument("--shrink", action="store_true", help="with --replay: make it smaller, if it still fails")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what this session did, or the list")
    parser.add_argument("--list", action="store_true", help="show the configurations and the pairs of values they have")
    return parser


def main(arguments):
    """Run the campaign; the exit code."""
    given = _parser().parse_args(arguments)
    for name in ("count", "hours", "jobs"):
        value = getattr(given, name)
        if value is not None and value <= 0:
            raise CampaignError(f"--{name} {value}: give more than 0")
    if given.scheduler and given.jobs != 1:
        raise CampaignError("--jobs and --scheduler: give one of them, a cluster has the workers that it has")
    if given.quick and given.seed:
        raise CampaignError("--quick and --seed: give one of them")
    if given.list:
        return _list(given.json)
    toolchain()
    if given.replay:
        return _replay(given)
    kinds = chosen_kinds(given.kind, KINDS)
    seeds = sorted(parse_seeds(given.seed, "--seed")) if given.seed is not None else [*range(1, _QUICK + 1)] * given.quick
    if given.seed is not None and not seeds:
        raise CampaignError(f"--seed {given.seed!r}: names no seed")
    if not seeds and given.count is None and given.hours is None:
        raise CampaignError("no end is given: give --quick, --hours, --count or --seed")
    ledger = Ledger(given.ledger, sources=source_identity("acceltran.hw")[:16])
    plan = Plan(kinds=kinds, seeds=seeds or None, most=given.count, jobs=given.jobs, scheduler=given.scheduler,
                until=given.hours and time.monotonic() + 3600 * given.hours, folder=given.output)
    session, files = run_campaign(plan, ledger, tell=_tell)
    _summary(session, files)
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        write_json(given.json, {"kinds": session.kinds, "found": [str(file) for file in files]})
    return 1 if files else 0


def _tell(line):
    print(line, flush=True)


def _replay(given):
    batch, kind = load_batch(given.replay, KINDS)
    folder = given.output / "logs" / f"replay-{given.replay.stem}"
    shutil.rmtree(folder, ignore_errors=True)
    attacked = attack(kind, batch, folder.absolute(), shrinking=given.shrink)
    if not attacked.failures:
        _tell(f"{given.replay}: nothing found, {_counts(attacked.counts)}")
        return 0
    file = given.replay
    if given.shrink and attacked.smallest != batch:
        file = given.replay.with_name(f"{given.replay.stem}-smaller.json")
        save_batch(attacked.smallest, file, attacked.reason)
    for line in found_lines(attacked, file):
        _tell(line)
    _tell(f"       logs: {folder}")
    return 1


def _counts(counts):
    return ", ".join(f"{value:,.0f} {name}" for name, value in sorted(counts.items()))


def _summary(session, files):
    for name, entry in session.kinds.items():
        counts, seconds = dict(entry["counts"]), entry["counts"].get("cpu_seconds", 0)
        _tell(f"\n{name}: {entry['batches']} batches on {len(entry['configurations'])} configurations, "
              f"{entry['failures']} failures")
        for what, value in counts.items():
            rate = f"{value / seconds:14,.1f} per CPU second" if seconds and what != "cpu_seconds" else ""
            _tell(f"  {what:24} {value:16,.0f} {rate}")
    _tell(f"\n{len(files)} found" + "".join(f"\n  {file}" for file in files) if files else "\nnothing found")


def _list(file):
    """Show the configurations, and what pairs of values they have and have not."""
    chosen, left = configurations()
    for values, config in chosen:
        changed = ", ".join(f"{name}={'+'.join(value) or 'none' if name == 'functions' else value}"
                            for name, value in values.items())
        _tell(f"{config.name:14} {build_size(config)['PEs, banks and units']:3}  {changed}")
    wanted = wanted_pairs()
    _tell(f"\nOf {', '.join(DIVIDED)} the values are those of one cluster.")
    _tell(f"{len(chosen)} configurations of seed {SEED} have {len(wanted) - len(left):,} pairs of values of two fields; "
          f"{len(left)} are left out:")
    for ((one, first), (other, second)), reason in left.items():
        _tell(f"  {one} = {first}, {other} = {second}: {reason}")
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, {
            "configurations": [config.to_dict() for _, config in chosen], "pairs": len(wanted) - len(left),
            "left_out": [{"pair": [list(one) for one in pair], "reason": reason} for pair, reason in left.items()],
        })
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except AcceltranError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("stopped; the ledger has what was done", file=sys.stderr)
        sys.exit(130)
