"""A table, numbers to the right."""

from .html import tag

__all__ = ["facts", "table"]


def table(headings, rows, *, texts=1, attributes=None):
    """A table as Html, which scrolls where it is wider than the page.

    Parameters
    ----------
    headings : of the columns
    rows : lists of cells, each Html or a plain value
    texts : columns that hold text, from the first on; the others hold numbers
    attributes : of each row, a dict each; None: there are none
    """
    def cells(name, values, **more):
        return [tag(name, value, class_=None if at < texts else "number", **more) for at, value in enumerate(values)]

    attributes = attributes or [{} for _ in rows]
    body = [tag("tr", *cells("td", row), **given) for row, given in zip(rows, attributes, strict=True)]
    head = tag("thead", tag("tr", *cells("th", headings, scope="col")))
    return tag("div", tag("table", head, tag("tbody", *body)), class_="wide")


def facts(pairs):
    """A list of names and their values, as Html; a value of None is left out with its name."""
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs if value is not None))
