"""The section that says how far the golden model is from the float model."""

from .html import join, tag
from .numbers import count, percent
from .section import Section
from .table import facts, table

__all__ = ["fidelity_section"]


def fidelity_section(fidelity):
    """The Section.

    Parameters
    ----------
    fidelity : plain values, as in the report of a run
    """
    sentences = len(fidelity["sentences"])
    answers = None if fidelity["equal_labels"] is None else f"{fidelity['equal_labels']} of {sentences}"
    losing = {name: one for name, one in fidelity["tensors"].items() if one["saturated"] or one["vanished"]}
    worst = ", the worst sentence" if sentences > 1 else ""
    parts = [facts([
        (f"cosine of the {fidelity['output']}{worst}", f"{fidelity['cosine']:.8f}"),
        ("largest error", f"{fidelity['max_error']:.2g}"), ("equal answers", answers),
        ("values, weights included", count(fidelity["values"])), ("saturated", count(fidelity["saturated"])),
        ("vanished", count(fidelity["vanished"])),
    ])]
    if fidelity["warning"]:
        parts.append(tag("p", fidelity["warning"], class_="verdict warned"))
    if losing:
        order = sorted(losing.items(), key=lambda item: -(item[1]["saturated"] + item[1]["vanished"]) / item[1]["values"])
        rows = [[name, *(percent(one[part], one["values"]) for part in ("saturated", "vanished")), f"{one['largest']:.3g}",
                 "-" if one["reach"] is None else f"{one['reach']:.3g}"] for name, one in order]
        parts += [tag("h3", "Tensors that lose values"),
                  table(["tensor", "saturated", "vanished", "largest", "fits up to"], rows)]
    note = "The golden model computes in integers, as the hardware does; the float model says what it should give."
    return Section(name="fidelity", title="Against the float model", body=join(tag("p", note, class_="note"), *parts))
