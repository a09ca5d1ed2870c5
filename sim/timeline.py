"""A run as a timeline for Perfetto or chrome://tracing: engines, PEs, softmax and layer-norm units."""

import json
from pathlib import Path

from ..hw.control.layouts import ENGINES

__all__ = ["tracks", "write_timeline"]

_PERIOD = 10
_CLOCK_OFFSET = 5
_MERGED_GAP = 4


def write_timeline(path, config, result, labels):
    """Write the Trace Event JSON of a run; one microsecond on the screen is one cycle.

    Parameters
    ----------
    path : file to write, all or nothing
    config : AcceleratorConfig
    result : RunResult of a simulation with `activity`
    labels : {instruction number: text}
    """
    events = []
    engines = {"memory": 1, "matrix": 2, "vector": 3}
    for engine, thread in engines.items():
        events.append(_name(1, thread, f"{engine} engine"))
    for interval in result.intervals:
        events.append(_slice(1, engines[interval.engine], labels.get(interval.number, "SYNC"), interval.start, interval.end,
                             {"instruction": interval.number}))

    names = _unit_names(config)
    for bit, name in enumerate(names):
        events.append(_name(2, bit + 1, name))
    for bit, start, end in _busy_periods(result.folder / "activity.log", len(names), result):
        events.append(_slice(2, bit + 1, "busy", start, end, {}))
    events += [{"name": "process_name", "ph": "M", "pid": pid, "args": {"name": name}}
               for pid, name in ((1, "engines"), (2, "units"))]
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps({"traceEvents": events, "displayTimeUnit": "ms"}))
    partial.rename(path)


def tracks(config, result, labels):
    """The same as plain values: per engine and unit a name and its (label, first cycle, end cycle), from the start on."""
    found = {f"{engine} engine": [] for engine in ENGINES}
    for interval in result.intervals:
        found[f"{interval.engine} engine"].append(
            (labels.get(interval.number, "SYNC"), interval.start - result.started, interval.end - result.started))
    names = _unit_names(config)
    found |= {name: [] for name in names}
    for bit, start, end in _busy_periods(result.folder / "activity.log", len(names), result):
        if end > result.started:
            found[names[bit]].append(("busy", max(0, start - result.started), end - result.started))
    return [{"name": name, "periods": sorted(periods, key=lambda p: p[1])} for name, periods in found.items()]


def _unit_names(config):
    """PEs, softmax and layer-norm units, in the order of the bits of `activity`."""
    return [
        *(f"PE {n // config.grid_columns},{n % config.grid_columns}" for n in range(config.pes)),
        *(f"softmax unit {n}" for n in range(config.softmax_units)),
        *(f"layer-norm unit {n}" for n in range(config.layernorm_units)),
    ]


def _name(process, thread, name):
    return {"name": "thread_name", "ph": "M", "pid": process, "tid": thread, "args": {"name": name}}


def _slice(process, thread, name, start, end, arguments):
    return {"name": name, "ph": "X", "pid": process, "tid": thread, "ts": start, "dur": max(1, end - start),
            "args": arguments}


def _busy_periods(log, count, result):
    """(bit, first cycle, end cycle) of each period in which a bit is set, short gaps closed."""
    since, ended, periods = {}, {}, []
    for line in log.read_text().splitlines():
        when, word = line.split()
        cycle, bits = (int(when) - _CLOCK_OFFSET) // _PERIOD, int(word, 16)
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
