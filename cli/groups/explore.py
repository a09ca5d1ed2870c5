"""The command `acceltran explore`."""

import typer

from ..late import Late
from ..options import document, json, takes

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)

explore_command = Late("explore", "explore:explore_command")


@app.command()
@takes(document(), json("all points"))
def explore(**shared):
    """Explore the PE array with its cycle model, without RTL, and compare the model with cycles measured on the RTL.

    Example: acceltran explore --output docs/exploration.md --json build/exploration.json
    """
    return explore_command(**shared)
