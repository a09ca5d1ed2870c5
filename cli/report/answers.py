"""The section with the answer for each sentence."""

from .bar import bar
from .html import Html, join, tag
from .numbers import count
from .section import Section
from .table import table

__all__ = ["answers_section"]

_MOST = 500
"""Sentences that are shown."""

_FEW = 5
"""Probabilities that are shown of a sentence."""


def answers_section(answers, *, host=None):
    """The Section.

    Parameters
    ----------
    answers : in order, each with text, and maybe pair, line (of a file), said (lines of text), label, probabilities {label:
        from 0 to 1}, cosine (with the float model), equals_golden
    host : what of the answer is computed on the host, in words
    """
    numbered = any(one.get("line") for one in answers)
    rows = [[one.get("line") or number, _sentence(one), _answer(one), _equal(one),
             "-" if one.get("cosine") is None else f"{one['cosine']:.8f}"] for number, one in enumerate(answers[:_MOST], 1)]
    headings = ["line" if numbered else "number", "sentence", "answer", "as the golden model", "cosine with the float model"]
    parts = [table(headings, rows, texts=4)]
    if len(answers) > _MOST:
        parts.append(tag("p", f"These are the first {_MOST} of {count(len(answers))} sentences; --json writes all.",
                         class_="note"))
    if host:
        parts.append(tag("p", f"On the host: {host}.", class_="note"))
    return Section(name="answers", title="Answers", body=join(*parts))


def _sentence(one):
    return join(one["text"], tag("div", "with: ", one["pair"], class_="note") if one.get("pair") else None)


def _answer(one):
    if probabilities := one.get("probabilities"):
        best = sorted(probabilities.items(), key=lambda item: -item[1])[:_FEW]
        shown = [tag("div", tag("span", name), bar([(name, value, "work"), ("others", 1 - value, "idle")], 1),
                     tag("span", f"{value:.4f}"), class_="chance") for name, value in best]
        return join(tag("b", one["label"] or "no label is above 0.5"), *shown)
    return join(*(tag("div", line) for line in one.get("said") or [one.get("label", "")]))


def _equal(one):
    if one.get("equals_golden") is None:
        return Html("-")
    return tag("span", "equal", class_="good") if one["equals_golden"] else tag("b", "differs", class_="bad")
