"""A page: sections, their data and scripts in one file that loads nothing."""

import base64
import hashlib
import json
from pathlib import Path

from .html import Html, tag

__all__ = ["embedded", "page"]

_FOLDER = Path(__file__).parent
_SCRIPTS = ("tooltip.js",)
"""Of every page, in front of those of its sections."""


def page(title, sections):
    """The text of a page.

    Its policy allows the one script in it, by digest, and no address at all: whatever a text in it holds, a browser runs and
    loads nothing else.

    Parameters
    ----------
    title : plain text
    sections : Section each, in order
    """
    names = dict.fromkeys([*_SCRIPTS, *(script for section in sections for script in section.scripts)])
    script = "\n" + "".join(_read(name) for name in names)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    head = tag("head", tag("meta", charset="utf-8"),
               tag("meta", http_equiv="Content-Security-Policy", content=policy),
               tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
               tag("title", title), tag("style", Html("\n" + _read("page.css"))))
    links = [tag("a", section.title, href=f"#{section.name}") for section in sections]
    parts = [tag("section", tag("h2", section.title), section.body, id=section.name) for section in sections]
    data = [embedded(section.name, section.data) for section in sections if section.data is not None]
    body = tag("body", tag("header", tag("h1", title), tag("nav", *links)), tag("main", *parts), *data,
               tag("script", Html(script)))
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def embedded(name, values):
    """Plain values as a block that scripts read as JSON and that no value can end, as Html."""
    text = json.dumps(values, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return tag("script", Html(text), type="application/json", id=f"data-{name}")


def _read(name):
    return (_FOLDER / name).read_text(encoding="utf-8")
