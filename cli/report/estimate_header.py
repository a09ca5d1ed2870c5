"""The section at the top of the page of an estimate: what was estimated, and how long it takes."""

from .html import join, tag
from .numbers import count, plain
from .section import Section
from .table import facts

__all__ = ["estimate_header_section"]


def estimate_header_section(values):
    """The Section.

    Parameters
    ----------
    values : plain values: ``model``, ``config``, ``fields`` of the configuration, ``setting``, ``sentences``, ``tokens``,
        ``cycles``, ``clock_mhz``, ``milliseconds``, ``sequences_per_second``, ``note``
    """
    numbers = facts([
        ("cycles", count(values["cycles"])), (f"at {values['clock_mhz']:g} MHz", f"{plain(values['milliseconds'])} ms"),
        ("sequences per second", count(round(values["sequences_per_second"]))), ("sentences", count(values["sentences"])),
        ("tokens of the longest", count(max(values["tokens"])))])
    groups = [(title, [(name, _text(value)) for name, value in given.items() if name != "texts"])
              for title, given in (("Setting", values["setting"]), (f"Configuration {values['config']}", values["fields"]))]
    return Section(name="summary", title="Summary", body=join(
        tag("p", values["note"], class_="note"), numbers,
        *(tag("details", tag("summary", title), facts(rows)) for title, rows in groups)))


def _text(value):
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
