"""Markup that is escaped as it is made."""

from html import escape

__all__ = ["Html", "join", "tag"]


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def tag(name, /, *children, **attributes):
    """An element of HTML or SVG, as Html.

    Parameters
    ----------
    name : of the element
    children : Html, or plain values, which are escaped; None is left out
    attributes : plain values, which are escaped; None is left out, True is an attribute without a value. An underscore in a
        name stands for a hyphen, and one at its end is left out (``class_``)
    """
    given = "".join(f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{escape(str(value))}"')
                    for key, value in attributes.items() if value is not None)
    start = Html(f"<{name}{given}>")
    return start if name == "meta" else Html(start + join(*children) + f"</{name}>")


def join(*children):
    """Children of an element one behind the other, as Html."""
    return Html("".join(child if isinstance(child, Html) else escape(str(child)) for child in children if child is not None))
