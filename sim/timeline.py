"""A run as a timeline for Perfetto or chrome://tracing: engines, PEs, softmax and layer-norm units."""

import json

from ..hw.control.layouts import ENGINES
from ..hw.spec.files import write_text
from .clock import cycle_at

__all__ = ["apart", "instruction_labels", "tracks", "write_timeline", "write_tracks"]

_MERGED_GAP = 4


def write_timeline(path, config, result, labels):
    """Write the Trace Event JSON of a run; one microsecond on the screen is one cycle.

    Parameters
    ----------
    path : file to write, all or nothing
    config, result, labels : see `tracks`
    """
    write_tracks(path, tracks(config, result, labels))


def write_tracks(path, shown):
    """The same from what `tracks` gives."""
    events, processes = [], {}
    for thread, track in enumerate(shown, start=1):
        process = processes.setdefault(track["group"], len(processes) + 1)
        event = {"pid": process, "tid": thread}
        events.append(event | {"name": "thread_name", "ph": "M", "args": {"name": track["name"]}})
        events.append(event | {"name": "thread_sort_index", "ph": "M", "args": {"sort_index": thread}})
        events += [event | {"name": label, "ph": "X", "ts": start, "dur": max(1, end - start)}
                   for label, start, end in track["periods"]]
    events += [{"name": "process_name", "ph": "M", "pid": pid, "args": {"name": name}} for name, pid in processes.items()]
    write_text(path, json.dumps({"traceEvents": events, "displayTimeUnit": "ms"}))


def tracks(config, result, labels):
    """A run as plain values, in cycles from its start on.

    An engine has as many tracks as instructions in it overlap at most.

    Parameters
    ----------
    config : AcceleratorConfig
    result : RunResult of a simulation with `activity`
    labels : {instruction number: text}

    Returns
    -------
    list of {"group": "engines" or "units", "name", "periods": [(label, first cycle, end cycle)], in order}
    """
    found = []
    for engine in ENGINES:
        periods = [(labels.get(interval.number, "SYNC"), interval.start - result.started, interval.end - result.started)
                   for interval in result.intervals if interval.engine == engine]
        found += [{"group": "engines", "name": f"{engine} engine", "periods": chosen} for chosen in apart(periods) or [[]]]
    names = _unit_names(config)
    busy = [[] for _ in names]
    for bit, start, end in _busy_periods(result.folder / "activity.log", len(names), result):
        if end > result.started:
            busy[bit].append(("busy", max(0, start - result.started), end - result.started))
    found += [{"group": "units", "name": name, "periods": sorted(periods, key=lambda p: p[1])}
              for name, periods in zip(names, busy, strict=True)]
    return found


def instruction_labels(program):
    """{instruction number: the tensor that it makes, or its opcode} of a Program, for `tracks`."""
    return {number: opcode.name for number, (opcode, _) in enumerate(program.instructions)} | program.made


def apart(periods):
    """Periods dealt to as few lists as keep those of one list apart."""
    lists = []
    for period in sorted(periods, key=lambda p: p[1:]):
        target = next((chosen for chosen in lists if chosen[-1][2] <= period[1]), None)
        if target is None:
            lists.append(target := [])
        target.append(period)
    return lists


def _unit_names(config):
    """PEs, softmax and layer-norm units, in the order of the bits of `activity`."""
    return [
        *(f"PE {n // config.grid_columns},{n % config.grid_columns}" for n in range(config.pes)),
        *(f"softmax unit {n}" for n in range(config.softmax_units)),
        *(f"layer-norm unit {n}" for n in range(config.layernorm_units)),
    ]


def _busy_periods(log, count, result):
    """(bit, first cycle, end cycle) of each period in which a bit is set, short gaps closed."""
    since, ended, periods = {}, {}, []
    for line in log.read_text().splitlines():
        when, word = line.split()
        cycle, bits = cycle_at(int(when)), int(word, 16)
        for bit in range(count):
            busy = bits >> bit & 1
            if busy and bit in ended and cycle - ended[bit] <= _MERGED_GAP:
                del ended[bit]
            elif busy and bit not in since:
                since[bit] = cycle
            elif busy and bit in ended:
                periods.append((bit, since[bit], ended.pop(bit)))
                since[bit] = cycle
            elif not busy and bit in since and bit not in ended:
                ended[bit] = cycle
    last = max((i.end for i in result.intervals), default=0)
    periods += [(bit, start, ended.get(bit, last)) for bit, start in since.items()]
    return periods
