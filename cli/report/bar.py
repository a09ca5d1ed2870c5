"""A bar that shows what a whole is made of."""

from .html import join, tag
from .numbers import percent

__all__ = ["bar", "swatch"]


def bar(parts, whole):
    """A bar as Html.

    Parameters
    ----------
    parts : (name, value, colour) each; a colour is a class of ``page.css``
    whole : what the full length of the bar stands for, at least the sum of the values
    """
    shown = [(name, value, colour) for name, value, colour in parts if value]
    said = ", ".join(f"{name} {percent(value, whole)}" for name, value, _ in shown)
    return tag("div", *(tag("span", class_=f"part {colour}", style=f"width:{100 * value / whole:.4f}%",
                            data_tip=f"{name}: {percent(value, whole)}") for name, value, colour in shown),
               class_="bar", role="img", aria_label=said or "nothing")


def swatch(name, colour):
    """A name with the colour that a bar shows it in, as Html."""
    return join(tag("i", class_=f"swatch {colour}"), name)
