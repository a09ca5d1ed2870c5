"""A picture of points over two measures."""

import math

from .html import tag
from .numbers import plain

__all__ = ["scatter", "ticks"]

_WIDTH, _HEIGHT = 460, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 90, 16, 14, 48
_WIDE = 30
"""Ratio of the largest to the smallest value from which on an axis is logarithmic."""


def scatter(points, x, y):
    """An SVG as Html. Points on the front are filled, and a line joins those that are best in these two measures.

    Parameters
    ----------
    points : each with number, name, on_front, and values {key: number}; of these only points with both measures are drawn
    x, y : each with key, label and better, which is "less" or "more"
    """
    drawn = [point for point in points if all(point["values"].get(one["key"]) is not None for one in (x, y))]
    axes = [_Axis([point["values"][one["key"]] for point in drawn], start, end)
            for one, start, end in ((x, _LEFT, _WIDTH - _RIGHT), (y, _HEIGHT - _BOTTOM, _TOP))]
    places = [tuple(axis.place(point["values"][one["key"]]) for axis, one in zip(axes, (x, y), strict=True)) for point in drawn]
    parts = []
    for value in axes[0].ticks:
        at = axes[0].place(value)
        parts += [_line(at, _TOP, at, _HEIGHT - _BOTTOM, "grid"), _text(at, _HEIGHT - _BOTTOM + 16, plain(value), "middle")]
    for value in axes[1].ticks:
        at = axes[1].place(value)
        parts += [_line(_LEFT, at, _WIDTH - _RIGHT, at, "grid"), _text(_LEFT - 6, at + 4, plain(value), "end")]
    parts += [_line(_LEFT, _HEIGHT - _BOTTOM, _WIDTH - _RIGHT, _HEIGHT - _BOTTOM, "axis"),
              _line(_LEFT, _TOP, _LEFT, _HEIGHT - _BOTTOM, "axis"),
              _text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 8, x["label"], "middle"),
              _text(0, 0, y["label"], "middle", transform=f"translate(14 {(_TOP + _HEIGHT - _BOTTOM) / 2}) rotate(-90)")]
    best = _staircase(drawn, places, x, y)
    if len(best) > 1:
        parts.append(tag("polyline", points=" ".join(f"{a:.1f},{b:.1f}" for a, b in best), class_="front"))
    order = sorted(zip(drawn, places, strict=True), key=lambda pair: pair[0]["on_front"])
    parts += [tag("circle", cx=f"{a:.1f}", cy=f"{b:.1f}", r=5, data_point=point["number"],
                  class_="point" + (" best" if point["on_front"] else ""), aria_label=point["name"]) for point, (a, b) in order]
    return tag("svg", *parts, viewBox=f"0 0 {_WIDTH} {_HEIGHT}", role="img", class_="scatter",
               aria_label=f"{y['label']} over {x['label']}, {len(drawn)} points")


def ticks(low, high, count=5):
    """Round numbers from `low` to `high`, about `count` of them."""
    step = 10.0 ** math.floor(math.log10((high - low) / count))
    step = next(step * factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= count)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


class _Axis:
    """Places values between two coordinates."""

    def __init__(self, values, start, end):
        low, high = min(values, default=0), max(values, default=1)
        self._log = low > 0 and high / low > _WIDE
        if self._log:
            low, high = math.log10(low), math.log10(high)
        margin = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
        self._low, self._high, self._start, self._end = low - margin, high + margin, start, end
        if self._log:
            self.ticks = [10.0**n for n in range(math.ceil(self._low), math.floor(self._high) + 1)]
        else:
            self.ticks = ticks(self._low, self._high)

    def place(self, value):
        """The coordinate of a value."""
        value = math.log10(value) if self._log else value
        return self._start + (value - self._low) / (self._high - self._low) * (self._end - self._start)


def _staircase(points, places, x, y):
    """The corners of the line that joins the points that are best in two measures."""
    signs = [1 if one["better"] == "less" else -1 for one in (x, y)]
    ranked = sorted(((signs[0] * point["values"][x["key"]], signs[1] * point["values"][y["key"]], place)
                     for point, place in zip(points, places, strict=True)))
    corners, least = [], math.inf
    for _, second, (a, b) in ranked:
        if second < least:
            if corners:
                corners.append((a, corners[-1][1]))
            corners.append((a, b))
            least = second
    return corners


def _line(x1, y1, x2, y2, kind):
    return tag("line", x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}", y2=f"{y2:.1f}", class_=kind)


def _text(x, y, text, anchor, **more):
    return tag("text", text, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor, **more)
