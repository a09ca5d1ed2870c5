"""What `acceltran bench estimate` does."""

import tempfile
from dataclasses import replace
from pathlib import Path

from rich.table import Table

from ...hw.spec.errors import InputError
from ...hw.spec.files import write_json, write_text
from ...sim.errors import SimulationError
from ...sim.inference import infer
from ..console import check_outputs, console, stages
from ..documents import update_part
from ..estimate.point import estimated
from .held_points import errors_of, read_points, write_points

__all__ = ["estimate_points_command", "measured"]


def estimate_points_command(*, points, record, only, json_path, output):
    """Options are those of the command, see its help."""
    held = read_points(points)
    known = {one.name for one in held}
    for name in only or ():
        if name not in known:
            raise InputError(f"only = {name!r}: no such point in {points}; choose one of {', '.join(sorted(known))}")
    check_outputs(json_path, output)
    chosen = [one for one in held if not only or one.name in only]
    if record:
        for one in chosen:
            with stages(one.name) as stage:
                cycles = measured(one.setting, stage=stage)
            held = [replace(other, cycles=cycles) if other.name == one.name else other for other in held]
            # What was measured stays, whatever comes of the next one.
            write_text(points, write_points(held))
    chosen = [one for one in held if one.name in {other.name for other in chosen} and one.cycles is not None]
    if not chosen:
        raise InputError(f"{points}: no point with measured cycles; give --record")
    rows = []
    for one in chosen:
        with stages(one.name) as stage:
            program, result, seconds = estimated(one.setting, stage=stage)
        rows.append({"name": one.name, "measured": one.cycles, "estimated": result.cycles,
                     "planned": program.planned_cycles, "seconds": seconds["estimating"]})
    _report(rows, json_path)
    if output:
        update_part(output, points.stem, _markdown(rows))
        console.print(f"wrote {output}")
    return 0


def measured(setting, *, stage=lambda name: None):
    """Cycles of a Setting on the RTL, every integer compared.

    Raises
    ------
    InputError : a setting that the simulated memory does not have
    SimulationError : a tensor differs
    """
    if setting.bytes_per_cycle is not None:
        raise InputError(f"bytes_per_cycle = {setting.bytes_per_cycle}: the simulated memory brings what the bus takes; "
                         "leave it out of points that are to be recorded")
    checkpoint = setting.checkpoint()
    with tempfile.TemporaryDirectory(prefix="acceltran-") as folder:
        run = infer(setting.hardware(), checkpoint, setting.sentences(checkpoint), folder=Path(folder), stage=stage,
                    latency=setting.latency, **setting.options(checkpoint))
    if run.mismatches:
        raise SimulationError(f"the RTL and the golden model differ in {', '.join(run.mismatches)}: see acceltran run")
    return run.run.counters["cycles"]


def _report(rows, json_path):
    errors = _errors(rows)
    table = Table("point", "RTL", "estimated", "deviation %", "planned", "deviation %", "seconds")
    for row in rows:
        planned = row["planned"]
        table.add_row(row["name"], f"{row['measured']:,}", f"{row['estimated']:,}",
                      f"{100 * (row['estimated'] / row['measured'] - 1):+.2f}", "" if planned is None else f"{planned:,}",
                      "" if planned is None else f"{100 * (planned / row['measured'] - 1):+.1f}", f"{row['seconds']:.2f}")
    console.print(table)
    console.print(_summary(rows))
    if json_path:
        write_json(json_path, {"points": rows, "mean": errors.mean, "most": errors.most, "within_3_percent": errors.within})


def _errors(rows):
    return errors_of([(row["measured"], row["estimated"]) for row in rows])


def _summary(rows):
    errors = _errors(rows)
    return (f"{len(rows)} points: {100 * errors.within:.1f} % within 3 %, none beyond {100 * errors.most:.2f} %, mean of "
            f"absolute errors {100 * errors.mean:.2f} %")


def _markdown(rows):
    lines = ["| point | RTL | estimated | deviation, % |", "|---|---|---|---|"]
    lines += [f"| {row['name']} | {row['measured']:,} | {row['estimated']:,} | "
              f"{100 * (row['estimated'] / row['measured'] - 1):+.2f} |" for row in rows]
    return "\n".join([*lines, "", f"{_summary(rows)}.", ""])
