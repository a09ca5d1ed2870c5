"""One claim of the paper, and ours beside it."""

from dataclasses import dataclass

__all__ = ["LABELS", "Claim", "claims_table"]

LABELS = ("measured", "modelled", "quoted", "not reproduced")
"""How a figure of ours came about: on the RTL or on this machine; by a model that is held to such; taken from others; not."""


@dataclass(frozen=True)
class Claim:
    """A row of the table.

    Members
    -------
    place : where the paper says it: abstract, a figure, a table
    said : what it says
    theirs : its figure
    ours : ours, or a reason why there is none
    label : one of `LABELS`
    command : that reproduces ours, or "" with a reason in `why`
    why : in what the two differ
    """

    place: str
    said: str
    theirs: str
    ours: str
    label: str
    command: str
    why: str

    def __post_init__(self):
        if self.label not in LABELS:
            raise ValueError(f"label = {self.label!r}: one of {', '.join(LABELS)}")
        if not (self.command or self.why):
            raise ValueError(f"{self.said}: neither a command nor a reason")


def claims_table(claims):
    """Markdown: a row for each claim."""
    lines = ["| where | claim | paper | here | how | command | why they differ |", "|" + "---|" * 7]
    for one in claims:
        command = f"`{one.command}`" if one.command else ""
        lines.append("| " + " | ".join((one.place, one.said, one.theirs, one.ours, one.label, command, one.why)) + " |")
    return "\n".join(lines) + "\n"
