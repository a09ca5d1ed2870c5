"""What `acceltran cache` does."""

from rich.table import Table

from ..sim.cache import cache_root, sizes
from ..sim.cache import clear as clear_cache
from .console import console

__all__ = ["cache_command"]


def cache_command(*, clear):
    """Options are those of the command, see its help."""
    if clear:
        clear_cache()
    table = Table("kind", "entries", "MB", title=str(cache_root()))
    for kind, (entries, size) in sizes().items():
        table.add_row(kind, str(entries), f"{size / 1e6:,.1f}")
    console.print(table)
