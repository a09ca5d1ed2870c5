"""The page and the table of a measurement."""

import re
from collections import defaultdict

from acceltran.cli.report.html import join, tag
from acceltran.cli.report.page import page
from acceltran.cli.report.section import Section
from acceltran.cli.report.table import facts, table

from .measure import BARS, Share

__all__ = ["component", "html", "summary", "values"]

_TITLES = {"line": "lines", "branch": "branches", "toggle": "toggles", "user": "cover points"}
_MOST = 400
"""Holes of a module that are shown one by one."""


def component(module):
    """The component that a module of the Verilog was made from: its path, without numbers of copies and digests."""
    name = re.sub(r"\$\d+", "", module)
    name = re.sub(r"^(\w+?)_[0-9a-f]{6}(?=\.|$)", r"\1", name)
    return re.sub(r"_\d+(?=\.|$)", "_*", name)


def _components(figures):
    """Shares by kind of each component, copies added up."""
    found = defaultdict(lambda: defaultdict(Share))
    for module, shares in figures.modules.items():
        for kind, share in shares.items():
            found[component(module)][kind].add(share)
    return dict(sorted(found.items()))


def _percent(share):
    return f"{100 * share.share:.1f} %" if share.total else "-"


def values(figures):
    """Figures of a configuration as plain values."""
    def shares(given):
        return {_TITLES[kind]: {"covered": s.covered, "of": s.total, "left out": s.excluded, "share": round(s.share, 5)}
                for kind, s in given.items()}

    return {
        "total": shares(figures.total),
        "bars": {_TITLES[kind]: bar for kind, bar in BARS.items()},
        "missed": [_TITLES[kind] for kind in figures.missed],
        "components": {name: shares(given) for name, given in _components(figures).items()},
        "holes": [{"kind": _TITLES[h.kind], "module": h.module, "line": h.line, "name": h.name} for h in figures.holes],
        "cover points": {name: {"hits": count, "reason": reason} for name, count, reason in sorted(figures.bins)},
        "left out": dict(figures.reasons.most_common()),
    }


def summary(figures):
    """Lines for a terminal: shares of a configuration against the bars."""
    lines = [f"{'':14}{'covered':>10}{'of':>10}{'share':>9}{'bar':>9}{'left out':>10}"]
    for kind, bar in BARS.items():
        if not (share := figures.total[kind]).total:
            continue
        missed = "  missed" if kind in figures.missed else ""
        lines.append(f"{_TITLES[kind]:14}{share.covered:10,}{share.total:10,}{_percent(share):>9}{100 * bar:7.0f} %"
                     f"{share.excluded:10,}{missed}")
    return "\n".join(lines)


def html(measured, runs):
    """The page.

    Parameters
    ----------
    measured : Figures of each configuration
    runs : (name, sentence) of what was run
    """
    sections = [_overview(measured, runs)]
    for figures in measured:
        sections += [_by_component(figures), _points(figures), _holes(figures), _left_out(figures)]
    return page("Coverage", sections)


def _overview(measured, runs):
    rows = [[figures.config, *(_percent(figures.total[kind]) for kind in BARS),
             ", ".join(f"{_TITLES[kind]} missed" for kind in figures.missed) or "met"] for figures in measured]
    bars = [["bar", *(f"{100 * bar:.0f} %" for bar in BARS.values()), ""]]
    body = join(table(["configuration", *(_TITLES[kind] for kind in BARS), "bars"], rows + bars),
                tag("h3", "Runs"), facts(runs))
    return Section(name="overview", title="Overview", body=body)


def _by_component(figures):
    rows = [[name, *(cell for kind in BARS if kind != "user" for cell in (
        (_percent(shares[kind]) if shares[kind].total else "", shares[kind].total - shares[kind].covered)))]
        for name, shares in _components(figures).items()]
    headings = ["component", *(heading for kind in BARS if kind != "user" for heading in (_TITLES[kind], "not covered"))]
    return Section(name=f"components-{figures.config}", title=f"Components of {figures.config}", body=table(headings, rows))


def _points(figures):
    groups = defaultdict(list)
    for name, count, reason in sorted(figures.bins):
        group, _, rest = name.partition("__")
        groups[group].append([rest.replace("__", ", ").replace("_", " "), count, "" if count else reason or "NOT HIT"])
    parts = [tag("details", tag("summary", f"{group}: {sum(bool(row[1]) for row in rows)} of {len(rows)}"),
                 table(["point", "hits", "reason"], [[row[0], f"{row[1]:,}", row[2]] for row in rows]), open=any(
                     row[2] == "NOT HIT" for row in rows) or None) for group, rows in groups.items()]
    return Section(name=f"points-{figures.config}", title=f"Cover points of {figures.config}", body=join(*parts))


def _holes(figures):
    groups = defaultdict(list)
    for hole in figures.holes:
        groups[hole.module].append(hole)
    parts = []
    for module, holes in sorted(groups.items()):
        rows = [[hole.name, _TITLES[hole.kind], hole.line] for hole in sorted(holes, key=lambda h: (h.kind, h.line))[:_MOST]]
        more = tag("p", f"and {len(holes) - _MOST:,} more, see the JSON") if len(holes) > _MOST else None
        parts.append(tag("details", tag("summary", f"{module}: {len(holes):,}"),
                         table(["what", "kind", "line"], rows, texts=2), more))
    return Section(name=f"holes-{figures.config}", title=f"Not covered in {figures.config}", body=join(*parts))


def _left_out(figures):
    rows = [[reason, count] for reason, count in figures.reasons.most_common()]
    return Section(name=f"excluded-{figures.config}", title=f"Left out in {figures.config}",
                   body=table(["reason", "points"], rows))
