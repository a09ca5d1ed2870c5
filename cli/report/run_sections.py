"""The sections of the page of a run."""

from rich.text import Text

from ..answer_text import answer_lines
from .answers import answers_section
from .costs import costs_section
from .cycles import cycles_section
from .fidelity import fidelity_section
from .header import header_section
from .pareto import pareto_section
from .timeline import timeline_section
from .zeros import zeros_section

__all__ = ["run_sections"]


def run_sections(report, details):
    """A Section for everything that is known, in the order of the page.

    Parameters
    ----------
    report : of a run, as --json writes it
    details : what else is known, of which all but ``configuration`` may be missing or None: the keywords of `header_section`;
        ``tensors`` and ``products`` of `zeros_section`; ``timeline`` with the arguments of `timeline_section`, ``costs`` with
        those of `costs_section`, ``pareto`` with those of `pareto_section`
    """
    config = details["configuration"]
    sections = [
        header_section(report | details | {"warning": report["fidelity"]["warning"]}),
        answers_section(_answers(report), host=report["host"]),
        cycles_section(report["counters"], bus_bytes=config["bus_width"] // 8,
                       multipliers=config["grid_rows"] * config["grid_columns"] * config["tile"] ** 2,
                       ideal_cycles=report["ideal_cycles"], planned_cycles=report["planned_cycles"]),
        zeros_section(report["sparsity"], details.get("tensors") or (), details.get("products") or (), skip=config["skip"]),
        fidelity_section(report["fidelity"]),
    ]
    if timeline := details.get("timeline"):
        sections.insert(3, timeline_section(**timeline))
    sections += [make(**details[name]) for name, make in (("costs", costs_section), ("pareto", pareto_section))
                 if details.get(name)]
    return sections


def _answers(report):
    """Of each sentence what `answers_section` takes. Of several saved programs the cosines are not known."""
    predictions, fidelity = report["predictions"], report["fidelity"]["sentences"]
    cosines = [one["cosine"] for one in fidelity] if len(fidelity) == len(predictions) else [None] * len(predictions)
    return [{key: prediction.get(key) for key in ("text", "pair", "line", "label", "probabilities", "equals_golden")}
            | {"said": _said(prediction, report["kind"]), "cosine": cosine}
            for prediction, cosine in zip(predictions, cosines, strict=True)]


def _said(prediction, kind):
    lines = answer_lines(prediction, kind)[2 if prediction.get("pair") else 1:]
    return [Text.from_markup(line).plain.strip().removeprefix("-> ") for line in lines]
