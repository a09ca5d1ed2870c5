"""`acceltran cache`: what is kept between runs, and how to be rid of it."""

from typing import Annotated

import typer

__all__ = ["cache"]


def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove all of it; it is made or fetched again when needed.")] = False,
):
    """Show where simulators, Verilog, synthesised modules and fetched packages are kept, and how much they take.

    They lie in acceltran in $XDG_CACHE_HOME (default: ~/.cache) for all checkouts together, or in $ACCELTRAN_BUILD. What was
    not used for 30 days goes by itself, and beyond 10 GiB what was not used for longest; packages stay.

    Example: acceltran cache --clear
    """
    from rich.table import Table

    from ..sim.cache import cache_root, sizes
    from ..sim.cache import clear as clear_cache
    from .commands import console

    if clear:
        clear_cache()
    table = Table("kind", "entries", "MB", title=str(cache_root()))
    for kind, (entries, size) in sizes().items():
        table.add_row(kind, str(entries), f"{size / 1e6:,.1f}")
    console.print(table)
