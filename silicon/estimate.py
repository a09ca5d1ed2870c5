"""Activity of a configuration that was not simulated with counters, from another that was."""

import re
from collections import Counter, defaultdict

from ..hw.spec.errors import ConfigError
from .activity import BANK, Activity
from .energy import block_counts

__all__ = ["estimated_accesses", "estimated_activity"]

_SHAPE = re.compile(r"_\d+x\d+x\d+$")


def _kind(name):
    """Of a distinct module: its name without digest and shape."""
    return _SHAPE.sub("", name.rpartition("_")[0])


def _use(counters, multipliers):
    return counters["multiplications"] / (counters["cycles"] * multipliers)


def estimated_activity(modules, config, counters, earlier):
    """{name: Activity} of `modules`: that of the modules of the same kind in `earlier`, times the ratio of how many of the
    multipliers work in a cycle. A kind that is not there takes the mean of all nets.

    Parameters
    ----------
    modules : distinct modules of `config`
    counters : of its run
    earlier : report of `acceltran power` with another configuration

    Raises
    ------
    ConfigError : `earlier` has no MACs
    """
    sums = defaultdict(lambda: [0.0, 0.0, 0])
    for name, entry in earlier["activity"].items():
        for kind in (_kind(name), None):
            row = sums[kind]
            row[0] += entry["driven"] * entry["instances"]
            row[1] += entry["inputs"] * entry["instances"]
            row[2] += entry["instances"]
    multipliers = sums["mac"][2] if "mac" in sums else 0
    if not multipliers:
        raise ConfigError(f"activity: the report of {earlier.get('config')} has no MACs; give one of acceltran power")
    ratio = _use(counters, config.multipliers) / _use(earlier["counters"], multipliers)
    copies = Counter()
    for (_, name), number in block_counts(modules).items():
        copies[name] += number
    found = {}
    for name in modules:
        driven, inputs, instances = sums[_kind(name)] if _kind(name) in sums else sums[None]
        found[name] = Activity(ratio * driven / instances, ratio * inputs / instances, copies[name])
    return found


def estimated_accesses(modules, config, counters):
    """{module of a bank: (reads, writes)} of all its copies, from the performance counters of a run.

    Words are read and written evenly in all banks of lines; a mask for every tile that is loaded, and for every tile's worth
    of words that is written. The vector buffer, whose words are as wide as one line, is left out.
    """
    shapes, copies = {}, Counter()
    for (_, name), number in block_counts(modules).items():
        if name.startswith(BANK):
            shapes[name] = int(name.removeprefix(BANK).split("_")[0].split("x")[2])
            copies[name] += number
    tiles = counters["a_tile_loads"] + counters["b_tile_loads"]
    words = frozenset(config.lines_per_beat * bits for bits in (config.line_bits, config.weight_line_bits))
    totals = {
        words: (counters["word_reads"], counters["word_writes"]),
        frozenset([config.tile**2]): (tiles, counters["word_writes"] * config.lines_per_beat / config.tile),
    }
    found = dict.fromkeys(shapes, (0.0, 0.0))
    for widths, counts in totals.items():
        names = [name for name, width in shapes.items() if width in widths]
        banks = sum(copies[name] for name in names)
        found |= {name: tuple(count * copies[name] / banks for count in counts) for name in names}
    return found
