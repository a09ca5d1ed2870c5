"""The section with a timeline, which can be moved and zoomed."""

from .html import Html, join, tag
from .numbers import count
from .section import Section

__all__ = ["timeline_section"]

_BUTTONS = (("in", "+", "Zoom in"), ("out", "\N{MINUS SIGN}", "Zoom out"), ("left", "\N{LEFTWARDS ARROW}", "Earlier"),
            ("right", "\N{RIGHTWARDS ARROW}", "Later"), ("all", "whole run", "Show the whole run"))
_HELP = ("Drag to move. Turn the wheel with Ctrl, or after a click on the picture, to zoom, and with Shift to move; a double "
         "click zooms in. Keys: left and right move, + and - zoom, Home shows all, up and down choose a row, n and p its next "
         "and previous period.")


def timeline_section(tracks, *, cycles, kinds=None, note=None):
    """The Section.

    Parameters
    ----------
    tracks : of `sim.timeline.tracks`, as they are or from JSON
    cycles : of the run
    kinds : {label: what has its colour}; a label that is not there has a colour of its own
    note : a sentence that says what is shown; None: there is nothing to say
    """
    kinds, names, colours, shown = kinds or {}, {}, {}, []
    for track in tracks:
        periods = []
        for label, start, end in track["periods"]:
            colours.setdefault(kinds.get(label, label), len(colours))
            periods += [names.setdefault(label, len(names)), start, end]
        shown.append({"group": track["group"], "name": track["name"], "periods": periods})
    data = {"cycles": cycles, "kinds": list(colours), "tracks": shown,
            "labels": [[label, colours[kinds.get(label, label)]] for label in names]}
    total = sum(len(track["periods"]) for track in tracks)
    body = join(
        note and tag("p", note, class_="note"),
        tag("p", _HELP, class_="note screen"),
        tag("div", *(tag("button", text, type="button", data_do=do, title=title) for do, text, title in _BUTTONS),
            tag("output", Html(), class_="range"), class_="controls screen"),
        tag("div", tag("canvas", tabindex=0, role="application",
                       aria_label=f"Timeline of {count(total)} periods in {len(tracks)} rows over {count(cycles)} cycles"),
            class_="picture"),
        tag("div", class_="legend"),
        tag("noscript", tag("p", "The timeline is drawn by a script, and scripts are switched off.", class_="note")))
    return Section(name="timeline", title="Timeline", body=body, data=data, scripts=("timeline.js",))
