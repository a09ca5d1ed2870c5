"""The command `acceltran paper`."""

from pathlib import Path
from typing import Annotated

import typer

from ..late import Late
from ..options import OWN, document, takes

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)

paper_command = Late("paper", "paper.command:paper_command", "paper")


@app.command()
@takes(OWN, document())
def paper(
    results: Annotated[Path, typer.Option(help="File that keeps the figures; what is in it is not made again.")] = Path(
        "build/paper.json"),
    only: Annotated[list[str] | None, typer.Option(
        help="Make only this figure anew: edge, server, attention, attention_rtl, memory or cpu; give the option several times "
        "for several.")] = None,
    **shared,
):
    """Put every claim of the AccelTran paper beside a figure of this project, with how it came about and why they differ.

    Figures are estimated (acceltran estimate), measured on this machine's processor (cpu), or simulated on the RTL
    (attention_rtl, only on request, since it takes a quarter of an hour). Those that the file of results has are taken from
    there.

    Example: acceltran paper -o docs/paper.md

    Example: acceltran paper --only edge
    """
    return paper_command(results=results, only=only, **shared)
