"""Explore the PE array with its cycle model: the points of `docs/exploration.md` as tables and JSON."""

import re
from dataclasses import dataclass, fields
from itertools import product

from rich.progress import MofNCompleteColumn, Progress

from ..hw.spec.design_name import differences, nearest_preset
from ..hw.spec.errors import ConfigError
from ..hw.spec.files import write_json, write_text
from ..sim.grid_model import run_points
from ..sim.grid_work import GridPoint
from ..sw.models.weight_sparsity import GroupSparsity
from .console import check_outputs, console, progress

__all__ = [
    "REFERENCES", "SECTIONS", "Reference", "Section", "compare", "explore", "explore_command", "markdown", "point_name",
    "total_runs", "update_document", "values",
]

PAIRS = ((0.5, 0.5), (0.5, 0.0), (0.9, 0.0), (0.0, 0.5), (0.7, 0.5))
_SHORT = ((0.5, 0.5), (0.5, 0.0))
_WEIGHTS = (*((0.0, b) for b in (0.5, GroupSparsity("2:4"), GroupSparsity("1:4"), GroupSparsity("4:8"))),
            *((0.5, b) for b in (0.5, GroupSparsity("2:4"))))
_SEEDS = (1, 2, 3)


@dataclass(frozen=True, kw_only=True)
class Section:
    """One table: a base point, changed in one row after the other, over pairs of sparsities.

    Parameters
    ----------
    key : its marker in the document
    base : GridPoint
    changes : one dictionary of `GridPoint` fields per row
    pairs : sparsities of A and B; dense operands come first of themselves
    """

    key: str
    base: GridPoint
    changes: tuple
    pairs: tuple = PAIRS

    def points(self):
        """Row by row, dense first."""
        return [self.base.but(**change, a_sparsity=a, b_sparsity=b)
                for change in self.changes for a, b in ((0.0, 0.0), *self.pairs)]


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A figure measured on the RTL: cycles of a MATMUL, or cycles per step of a PE core once its first output tile is out.

    `what` is "array" or "PE core".
    """

    what: str
    point: GridPoint
    cycles: int | None = None
    cycles_per_step: float | None = None

    @property
    def name(self):
        """What was measured; an array by its design."""
        return self.what if self.cycles is None else point_name(self.point)


def point_name(point):
    """The design of a point: the nearest preset, with what differs from it and from the PE array that is built for it."""
    preset, changed = nearest_preset({
        "fraction_bits": 16, "tile": point.tile, "grid_rows": point.rows, "grid_columns": point.columns, "skip": point.skip,
        "window": point.window, "operand_slots": point.operand_slots, "psum_tiles": point.psum_tiles,
        "lines_per_beat": point.lines_per_beat})
    lines, slots = point.lines_per_beat, point.operand_slots
    built = {"a_rows": min(lines * point.psum_tiles, max(lines, point.tile // 2)), "b_rows": lines, "a_slots": slots,
             "b_slots": slots, "write_lines": lines, "fifo_tiles": 2, "holds": 1, "drain": 1, "ports": "diagonal",
             "step_queue": 4, "shared": "b"}
    values = {name: getattr(point, name) for name in built}
    values |= {"a_rows": point.rows_per_beat[0], "b_rows": point.rows_per_beat[1], "a_slots": point.a_slots or slots,
               "b_slots": point.b_slots or slots}
    return differences(preset, changed | {name: value for name, value in values.items() if value != built[name]})


def _grid(**lists):
    return tuple(dict(zip(lists, values, strict=True)) for values in product(*lists.values()))


_MINI = GridPoint(m=128, k=512, n=64)
_BUILT = _MINI.but(psum_tiles=2, a_rows=8, write_lines=4)
_ONE = GridPoint(rows=1, columns=1, m=128, k=512, n=16)
_EDGE = GridPoint(rows=8, columns=8, operand_slots=3, m=512, k=128, n=128)
_SHARING = (
    {},
    *({"fifo_tiles": n} for n in (3, 4, 6)),
    {"a_slots": 3}, {"b_slots": 3}, {"operand_slots": 3},
    {"lines_per_beat": 8},
    {"a_rows": 8},
    {"psum_tiles": 2}, {"psum_tiles": 2, "shared": "a"}, {"psum_tiles": 4},
    {"psum_tiles": 2, "a_rows": 8}, {"psum_tiles": 2, "a_rows": 16}, {"psum_tiles": 4, "a_rows": 8},
    {"psum_tiles": 2, "a_rows": 8, "holds": 2},
    {"psum_tiles": 2, "a_rows": 8, "b_slots": 3},
    {"psum_tiles": 2, "a_rows": 8, "operand_slots": 3},
    {"psum_tiles": 2, "a_rows": 8, "window": 8},
    {"psum_tiles": 2, "a_rows": 8, "window": 8, "holds": 2},
    {"psum_tiles": 2, "b_rows": 8, "shared": "a"},
)
_WAYS_OUT = (
    {},
    {"write_lines": 2}, {"write_lines": 4}, {"write_lines": 2, "drain": 2}, {"write_lines": 4, "drain": 2},
    {"ports": "balanced"}, {"ports": "balanced", "write_lines": 2}, {"ports": "balanced", "write_lines": 4},
    {"ports": "balanced", "write_lines": 4, "drain": 2},
    {"ports": "own"}, {"ports": "own", "write_lines": 4, "drain": 2},
    {"ports": "balanced", "write_lines": 4, "holds": 2},
    {"ports": "balanced", "write_lines": 4, "fifo_tiles": 4, "step_queue": 8},
    {"ports": "balanced", "write_lines": 4, "operand_slots": 2},
    {"ports": "balanced", "write_lines": 4, "window": 8},
    {"ports": "balanced", "write_lines": 4, "window": 8, "drain": 2},
    {"ports": "balanced", "write_lines": 4, "psum_tiles": 2},
    {"ports": "balanced", "write_lines": 4, "psum_tiles": 2, "window": 8, "drain": 2},
)
_FACTORIAL = _grid(window=(2, 4, 8), operand_slots=(2, 3), lines_per_beat=(2, 4))

SECTIONS = (
    Section(key="one", base=_ONE, changes=_FACTORIAL),
    Section(key="mini", base=_MINI, changes=_FACTORIAL),
    Section(key="mini-sharing", base=_MINI, changes=_SHARING),
    Section(key="mini-weights", base=_BUILT, changes=(
        *({"window": n} for n in (2, 4, 5, 6, 8)), {"operand_slots": 3}, {"shared": "a"}, {"psum_tiles": 1},
    ), pairs=_WEIGHTS),
    Section(key="mini-short", base=_MINI.but(m=256, k=64, n=128), changes=(
        {}, {"write_lines": 2}, {"write_lines": 4}, {"write_lines": 4, "drain": 2}, {"ports": "balanced"},
        {"ports": "balanced", "write_lines": 4, "drain": 2}, {"holds": 2, "write_lines": 4},
    ), pairs=_SHORT),
    Section(key="mini-cube", base=_MINI.but(m=64, k=64, n=64), changes=(
        {}, {"drain": 2, "write_lines": 2}, {"write_lines": 4}, {"ports": "balanced"},
        {"ports": "balanced", "write_lines": 4}, {"ports": "balanced", "write_lines": 4, "drain": 2}, {"lines_per_beat": 8},
    ), pairs=_SHORT),
    Section(key="edge", base=_EDGE, changes=_WAYS_OUT, pairs=_SHORT),
    Section(key="edge-short", base=_EDGE.but(m=1024, k=64), changes=_WAYS_OUT, pairs=_SHORT),
    Section(key="edge-transposed", base=_EDGE.but(m=1024, k=64, transpose=True), changes=_WAYS_OUT[:9], pairs=_SHORT),
    Section(key="edge-operands", base=_EDGE.but(m=128, k=512, write_lines=4, ports="balanced"), changes=(
        *_grid(window=(2, 4, 8), operand_slots=(2, 3)), *({"fifo_tiles": n} for n in (3, 4, 6)),
        {"fifo_tiles": 4, "step_queue": 8},
    )),
)

_RTL = GridPoint()
_CORE = GridPoint(rows=1, columns=1, m=160, k=256, n=16)
_CORE_8 = GridPoint(rows=1, columns=1, tile=8, m=160, k=128, n=8)
REFERENCES = (
    *(Reference(what="array", point=_RTL.but(a_sparsity=a, b_sparsity=b), cycles=cycles) for a, b, cycles in (
        (0, 0, 8250), (0.5, 0.5, 3281), (0.5, 0, 4501), (0.9, 0, 2105), (0.7, 0.5, 2312), (0, 0.5, 5678))),
    Reference(what="array", point=_RTL.but(m=64, k=64, n=64), cycles=314),
    *(Reference(what="PE core", point=_CORE.but(a_sparsity=a, b_sparsity=b), cycles_per_step=16 / speed)
      for a, b, speed in ((0, 0, 1), (0.5, 0.5, 2.599), (0.5, 0, 1.907), (0.7, 0.5, 3.724), (0.9, 0, 3.969), (0, 0.5, 1.467))),
    *(Reference(what="PE core", point=_CORE_8.but(a_sparsity=a, b_sparsity=b), cycles_per_step=8 / speed)
      for a, b, speed in ((0, 0, 1), (0.5, 0.5, 2.438), (0.5, 0, 1.724), (0.9, 0, 3.879), (0, 0.5, 1.501))),
    *(Reference(what="PE core", point=_CORE_8.but(a_sparsity=a, b_sparsity=b, window=2, lines_per_beat=2),
                cycles_per_step=8 / speed)
      for a, b, speed in ((0.5, 0.5, 1.984), (0.5, 0, 1.703), (0.9, 0, 1.992), (0, 0.5, 1.28))),
    *(Reference(what="PE core", point=_CORE_8.but(a_sparsity=a, b_sparsity=b, skip="activation", operand_slots=3,
                                                  lines_per_beat=2), cycles_per_step=8 / speed)
      for a, b, speed in ((0.5, 0.5, 1.889), (0.5, 0, 1.772), (0.9, 0, 2.0), (0, 0.5, 1.0))),
)
"""Recorded on the RTL: products on whole arrays with their operands in the buffers, and PE cores by themselves (`check_speed`
of `tests/hw/test_pe_core.py`)."""


def compare(finished=None, references=REFERENCES):
    """Run the recorded points with three sets of masks; returns [(reference, mean of the model, deviation)]."""
    results = run_points([r.point.but(seed=s) for r in references for s in _SEEDS], finished)
    rows = []
    for n, reference in enumerate(references):
        own = results[n * len(_SEEDS):(n + 1) * len(_SEEDS)]
        per_step = reference.cycles is None
        model = sum(x.cycles_per_step if per_step else x.cycles for x in own) / len(_SEEDS)
        rows.append((reference, model, model / (reference.cycles_per_step if per_step else reference.cycles) - 1))
    return rows


def explore(finished=None, sections=SECTIONS):
    """Run the sections; {key: results in the order of `Section.points`}."""
    points = [(s.key, p) for s in sections for p in s.points()]
    results = run_points([p for _, p in points], finished)
    found = {s.key: [] for s in sections}
    for (key, _), result in zip(points, results, strict=True):
        found[key].append(result)
    return found


def _percent(value):
    return value if isinstance(value, str) else f"{100 * value:.0f}"


def _pair(a, b):
    return f"{_percent(a)}x{_percent(b)}"


def _label(change, base):
    return ", ".join(f"{name} {value}" for name, value in change.items()) or f"start: {point_name(base)}"


def _line(cells):
    return "| " + " | ".join(cells) + " |"


def section_table(section, results):
    """Speed-up over dense operands on the same point; the causes of idle multipliers with the first pair."""
    width = 1 + len(section.pairs)
    head = ["change", "dense: cycles / bound", *(_pair(*p) for p in section.pairs)]
    head.append(f"idle at {_pair(*section.pairs[0])}: A / B / output / imbalance, %")
    text = [_line(head), _line("---" for _ in head)]
    for n, change in enumerate(section.changes):
        dense, *sparse = results[n * width:(n + 1) * width]
        lost = sparse[0].lost
        text.append(_line([
            _label(change, section.base), f"{dense.cycles:,} / {dense.point.bound:,}",
            *(f"{dense.cycles / x.cycles:.2f}" for x in sparse),
            " / ".join(_percent(lost[cause]) for cause in ("a operand", "b operand", "output", "imbalance")),
        ]))
    return "\n".join(text)


def reference_table(rows):
    """Model and RTL, side by side."""
    head = ("what", "T, lines per beat, window, slots, output tiles, skip", "product", "sparsity", "RTL", "model", "deviation")
    text = [_line(head), _line("---" for _ in head)]
    for reference, model, deviation in rows:
        p = reference.point
        window = p.window if p.skip == "both" else 1
        measured = f"{reference.cycles:,}" if reference.cycles else f"{reference.cycles_per_step:.3f} per step"
        text.append(_line([
            reference.name, f"{p.tile}, {p.lines_per_beat}, {window}, {p.operand_slots}, {p.psum_tiles}, {p.skip}",
            f"{p.m} x {p.k} x {p.n}",
            _pair(p.a_sparsity, p.b_sparsity), measured, f"{model:,.0f}" if reference.cycles else f"{model:.3f}",
            f"{100 * deviation:+.1f} %",
        ]))
    return "\n".join(text)


def markdown(found, rows):
    """{key: table} for all sections and "rtl"."""
    return {"rtl": reference_table(rows)} | {s.key: section_table(s, found[s.key]) for s in SECTIONS}


def update_document(text, tables):
    """Replace the table behind each ``<!-- key -->``, up to the next empty line.

    Raises
    ------
    ValueError : a table has no marker
    """
    for key, table in tables.items():
        text, count = re.subn(rf"(<!-- {re.escape(key)} -->\n)(\|.*\n)*", lambda m, t=table: f"{m[1]}{t}\n", text)
        if count != 1:
            raise ValueError(f"<!-- {key} -->: found {count} times; the document needs each marker once")
    return text


def values(found, rows):
    """Everything as plain values."""
    def plain(point):
        return {f.name: getattr(point, f.name) for f in fields(point)}

    return {
        "rtl": [{"point": plain(r.point), "rtl_cycles": r.cycles, "rtl_cycles_per_step": r.cycles_per_step, "model": model,
                 "deviation": deviation} for r, model, deviation in rows],
        "points": [{"section": key, "point": plain(x.point), "cycles": x.cycles, "bound": x.point.bound,
                    "utilisation": x.utilisation, "lost": x.lost} for key, results in found.items() for x in results],
    }


def total_runs():
    """How many runs `compare` and `explore` have, for a progress bar."""
    return len(REFERENCES) * len(_SEEDS) + sum(len(s.points()) for s in SECTIONS)


def explore_command(*, output, json_path):
    """Options are those of the command, see its help."""
    check_outputs(output, json_path)
    document = None
    if output:
        if not output.is_file():
            raise ConfigError(f"output = {str(output)!r}: there is no such document; start from docs/exploration.md")
        document = output.read_text()
    with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=progress) as bar:
        task = bar.add_task("points", total=total_runs())
        rows = compare(lambda _: bar.advance(task))
        found = explore(lambda _: bar.advance(task))
    tables = markdown(found, rows)
    if document:
        try:
            write_text(output, update_document(document, tables))
        except ValueError as error:
            raise ConfigError(f"output = {str(output)!r}: {error}") from error
    if json_path:
        write_json(json_path, values(found, rows))
    if not document:
        for key, table in tables.items():
            console.print(f"{key}\n{table}\n", markup=False)
