"""The command `acceltran cache`."""

from typing import Annotated

import typer

from ..late import Late
from ..options import takes

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)

cache_command = Late("cache", "cache:cache_command")


@app.command()
@takes()
def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove all of it; it is made or fetched again when needed.")] = False,
):
    """Show where simulators, Verilog, synthesised modules and fetched packages are kept, and how much they take.

    They lie in acceltran in $XDG_CACHE_HOME (default: ~/.cache) for all checkouts together, or in $ACCELTRAN_BUILD. What was
    not used for 30 days goes by itself, and beyond 10 GiB what was not used for longest; packages stay.

    Example: acceltran cache --clear
    """
    cache_command(clear=clear)
