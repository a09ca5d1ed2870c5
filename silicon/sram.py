"""SRAM macros: area, energy and access time from a table, between its entries by interpolation."""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from ..hw.spec.errors import ConfigError

__all__ = ["SRAM_TABLE", "SramEstimate", "SramTable"]

SRAM_TABLE = Path(__file__).parent / "sram.csv"
_COLUMNS = ("area_um2", "read_pJ", "write_pJ", "leakage_mW", "read_latency_ns")
_KEYS = ("node_nm", "width_bits", "depth")


@dataclass(frozen=True)
class SramEstimate:
    """Of one memory: um2, pJ per access, mW and ns, and the macros of the table's sizes that it is made of."""

    area_um2: float
    read_pJ: float  # noqa: N815
    write_pJ: float  # noqa: N815
    leakage_mW: float  # noqa: N815
    read_latency_ns: float
    macros: int


class SramTable:
    """Macros of one process node.

    Parameters
    ----------
    path : CSV with columns node_nm, width_bits, depth, area_um2, read_pJ, write_pJ, leakage_mW, read_latency_ns
    node : process node in nm; None for the smallest in the table

    Raises
    ------
    ConfigError : the file is missing, has other columns, or has no such node
    """

    def __init__(self, path=SRAM_TABLE, node=None):
        try:
            lines = [line for line in Path(path).read_text().splitlines() if not line.startswith("#")]
            rows = [{key: float(row[key]) for key in (*_KEYS, *_COLUMNS)} for row in csv.DictReader(lines)]
        except (OSError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
            reason = getattr(error, "strerror", None) or f"{error} is missing or no number"
            raise ConfigError(f"memories = {str(path)!r}: {reason}; give a CSV with the columns "
                              f"{', '.join((*_KEYS, *_COLUMNS))}") from None
        nodes = sorted({int(row["node_nm"]) for row in rows})
        if not rows or (node is not None and node not in nodes):
            raise ConfigError(f"memory node = {node}: not in {str(path)!r}; choose one of {', '.join(map(str, nodes))}")
        self.node = nodes[0] if node is None else node
        rows = [row for row in rows if row["node_nm"] == self.node]
        self._entries = {(row["width_bits"], row["depth"]): row for row in rows}
        self._widths = sorted({width for width, _ in self._entries})
        self._depths = sorted({depth for _, depth in self._entries})
        missing = [(w, d) for w in self._widths for d in self._depths if (w, d) not in self._entries]
        if missing:
            raise ConfigError(f"memories = {str(path)!r}: no {missing[0][0]:g} bits x {missing[0][1]:g} words at {self.node} "
                              "nm; give every width with every depth")

    def estimate(self, *, width, depth):
        """`SramEstimate` of a memory of `depth` words of `width` bits.

        Between entries, logarithms are interpolated over the logarithms of width and depth. A word is spread over so many
        equal macros, which are accessed together, that their area is the least; a memory deeper than all entries over
        macros of which one is accessed; a smaller one takes the smallest macro.
        """
        rows = math.ceil(depth / self._depths[-1])
        columns = min((math.ceil(width / one) for one in self._widths),
                      key=lambda number: (number * self._interpolate("area_um2", width / number, depth / rows), number))
        one = {name: self._interpolate(name, width / columns, depth / rows) for name in _COLUMNS}
        for name, copies in (("area_um2", columns * rows), ("leakage_mW", columns * rows), ("read_pJ", columns),
                             ("write_pJ", columns)):
            one[name] *= copies
        return SramEstimate(**one, macros=columns * rows)

    def _interpolate(self, name, width, depth):
        across, along = _position(self._widths, width), _position(self._depths, depth)
        value = sum(
            a * b * math.log(max(self._entries[w, d][name], 1e-6)) for w, a in across for d, b in along if a * b
        )
        return math.exp(value)


def _position(values, wanted):
    """[(neighbour in `values`, weight), ...] of `wanted`, by logarithm; at the ends the last value."""
    wanted = min(max(wanted, values[0]), values[-1])
    above = next(n for n, value in enumerate(values) if value >= wanted)
    if values[above] == wanted:
        return [(wanted, 1.0)]
    low, high = values[above - 1], values[above]
    share = math.log(wanted / low) / math.log(high / low)
    return [(low, 1 - share), (high, share)]
