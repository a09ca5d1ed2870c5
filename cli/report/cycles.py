"""The section of the page of a run that says where its cycles went."""

from .bar import bar, swatch
from .html import join, tag
from .numbers import count, percent
from .section import Section
from .table import facts, table

__all__ = ["cycles_section"]

_ENGINES = ("memory", "matrix", "vector")
_CAUSES = (
    ("multiplications", "multiplications", "multiplied", "work"),
    ("lost_operands", "lost to operands", "the lane had a step, but no operand yet", "operands"),
    ("lost_output", "lost to output", "a result waited to be read", "output"),
    ("lost_imbalance", "lost to imbalance", "other multipliers of the lane had more to do", "imbalance"),
    ("lost_idle", "idle", "the lane had no work", "idle"),
)


def cycles_section(counters, *, multipliers, bus_bytes, ideal_cycles=None, planned_cycles=None):
    """The Section.

    Parameters
    ----------
    counters : the performance counters of a run by name; those of stalls may be missing
    multipliers : of the grid
    bus_bytes : that the bus takes in a cycle, each way
    ideal_cycles : of the dense products with every multiplier busy; None: not known
    planned_cycles : that the compiler expected; None: not known
    """
    cycles = counters["cycles"]
    body = join(
        tag("h3", "Engines"), _engines(counters, cycles),
        tag("h3", "Multipliers"), _multipliers(counters, cycles * multipliers, multipliers),
        tag("h3", "Bus"), _bus(counters, cycles * bus_bytes, bus_bytes),
        facts([("dense multiplications", count(counters["dense_multiplications"])),
               ("of them skipped", percent(counters["skipped_multiplications"], counters["dense_multiplications"])),
               ("cycles if dense and never waiting", ideal_cycles and count(ideal_cycles)),
               ("cycles planned by the compiler", planned_cycles and count(planned_cycles)),
               ("tiles of A loaded", count(counters["a_tile_loads"])), ("tiles of B loaded", count(counters["b_tile_loads"])),
               ("instructions", count(counters["instructions"]))]))
    return Section(name="cycles", title="Where the cycles went", body=body)


def _engines(counters, cycles):
    rows = []
    for engine in _ENGINES:
        busy, stalled = counters[f"{engine}_busy"], counters.get(f"{engine}_stalled", 0)
        parts = (("working", busy - stalled, "work"), ("stalled", stalled, "operands"), ("idle", cycles - busy, "idle"))
        rows.append([f"{engine} engine", bar(parts, cycles), *(percent(value, cycles) for _, value, _ in parts)])
    headings = ["engine", "", swatch("working", "work"), swatch("stalled", "operands"), swatch("idle", "idle")]
    known = any(f"{engine}_stalled" in counters for engine in _ENGINES)
    said = "An engine is stalled where it has an instruction, and nothing of it moves." if known else (
        "Whether an engine is stalled while it has an instruction is not estimated.")
    return join(table(headings, rows, texts=2), tag("p", said, class_="note"))


def _multipliers(counters, whole, multipliers):
    parts = [(name, counters[key], colour) for key, name, _, colour in _CAUSES]
    rows = [[swatch(name, colour), meaning, count(counters[key]), count(counters[key] / multipliers),
             percent(counters[key], whole)] for key, name, meaning, colour in _CAUSES]
    headings = ["multiplier cycles", "in them", "number", "as cycles of all", "share"]
    return join(bar(parts, whole), table(headings, rows, texts=2))


def _bus(counters, most, bus_bytes):
    rows = []
    for name, key in (("read", "bytes_read"), ("written", "bytes_written")):
        moved = counters[key]
        rows.append([name, bar([("used", moved, "work"), ("free", max(0, most - moved), "idle")], max(most, moved)),
                     count(moved), count(most), percent(moved, most)])
    return join(table(["bytes", "", "moved", "possible", "share"], rows, texts=2),
                tag("p", f"The bus could bring {bus_bytes} bytes each way in every cycle.", class_="note"))
