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
    clear: Annotated[bool, typer.Option("--clear", help="Remove everything; it is made or fetched again when it is "
                                                        "needed.")] = False,
):
    """Show where simulators, Verilog, synthesised modules and fetched packages are kept, and how much they take.

    All checkouts of a user share the folder acceltran in $XDG_CACHE_HOME (default: ~/.cache); $ACCELTRAN_BUILD names another
    one. What was not used for 30 days is removed by itself; above 10 GiB, what was not used for longest. Packages stay.

    Example: acceltran cache --clear
    """
    cache_command(clear=clear)
