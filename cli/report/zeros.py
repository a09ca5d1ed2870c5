"""The section with the zeros of every tensor, and the multiplications that they leave."""

from .bar import bar
from .html import join, tag
from .numbers import count, percent
from .section import Section
from .table import table

__all__ = ["zeros_section"]

_BY_HEAD = "probabilities"


def zeros_section(classes, tensors=(), products=(), *, skip=None):
    """The Section.

    Parameters
    ----------
    classes : {kind: zeros, elements, zeros_padded, elements_padded}, as in the report of a run
    tensors : in order of computation, each with name, kind, head (None: of all), zeros and elements of valid tokens; those of a
        tensor's heads have the same name. None are known of a saved program
    products : in order of computation, each with name, and the multiplications none (dense), activation and both that each way
        of skipping leaves
    skip : the way of the hardware, a key of `products`
    """
    parts = []
    if tensors:
        parts += [tag("h3", "Zeros of each tensor, without padding"), _strips(tensors)]
    if heads := [one for one in tensors if one["kind"] == _BY_HEAD and one["head"] is not None]:
        parts += [tag("h3", "Zeros of attention probabilities, by head"), _heads(heads)]
    rows = [[kind, bar([("zeros", one["zeros"], "work"), ("not zero", one["elements"] - one["zeros"], "idle")],
                       max(1, one["elements"])), percent(one["zeros"], one["elements"]),
             percent(one["zeros_padded"], one["elements_padded"]), count(one["elements"])] for kind, one in classes.items()]
    parts += [tag("h3", "Zeros by kind of tensor"),
              table(["kind", "", "zeros", "with padding", "elements"], rows, texts=2)]
    if products:
        parts += [tag("h3", "Multiplications left"), _products(products, skip)]
    return Section(name="zeros", title="Zeros", body=join(*parts))


def _cell(name, what, one):
    share = one["zeros"] / max(1, one["elements"])
    return tag(name, what and tag("small", what), tag("b", percent(share)), class_="heat" + (" full" if share > 0.8 else ""),
               style=f"--share:{share:.4f}", data_tip=f"{one['name']}: {count(one['zeros'])} of {count(one['elements'])} zero")


def _summed(ones):
    return {"name": ones[0]["name"], **{key: sum(one[key] for one in ones) for key in ("zeros", "elements")}}


def _strips(tensors):
    """For each kind a strip with a cell for each tensor of it."""
    kinds = {}
    for one in tensors:
        kinds.setdefault(one["kind"], {}).setdefault(one["name"], []).append(one)
    rows = [tag("div", tag("span", kind, class_="kind"), tag("div", *(_cell("div", name, _summed(ones))
                                                                      for name, ones in names.items()), class_="cells"))
            for kind, names in kinds.items()]
    return tag("div", *rows, class_="strips")


def _heads(tensors):
    """A row for each tensor, a column for each head."""
    numbers = sorted({one["head"] for one in tensors})
    rows = {}
    for one in tensors:
        rows.setdefault(one["name"], {}).setdefault(one["head"], []).append(one)
    head = tag("tr", tag("th", "tensor", scope="col"), *(tag("th", f"head {number}", scope="col") for number in numbers))
    body = [tag("tr", tag("td", name), *(_cell("td", None, _summed(found[number]) | {"name": f"{name}, head {number}"})
                                         if number in found else tag("td") for number in numbers))
            for name, found in rows.items()]
    return tag("div", tag("table", tag("thead", head), tag("tbody", *body), class_="heads"), class_="wide")


def _products(products, skip):
    ways = ("none", "activation", "both")
    total = {"name": "all", **{way: sum(one[way] for one in products) for way in ways}}
    left = skip or "both"
    rows = [[one["name"], bar([("left", one[left], "work"), ("saved", one["none"] - one[left], "idle")], max(1, one["none"])),
             *(count(one[way]) for way in ways), percent(one[left], one["none"])] for one in [*products, total]]
    headings = ["result", "", "dense", "activation is not zero", "neither is zero", "left"]
    attributes = [{} for _ in products] + [{"class_": "total"}]
    return join(table(headings, rows, texts=2, attributes=attributes), tag("p", {
        "none": "The hardware skips nothing, and so all of them are left.",
        "activation": "The hardware skips those of which the activation is zero.",
        "both": "The hardware skips those of which a factor is zero."}[left], class_="note"))
