"""The folder of a user in which everything is kept that is made once and used again."""

import os
from pathlib import Path

__all__ = ["cache_root"]


def cache_root():
    """Where entries are kept: $ACCELTRAN_BUILD, or ``acceltran`` in $XDG_CACHE_HOME or ``~/.cache``."""
    if named := os.environ.get("ACCELTRAN_BUILD"):
        return Path(named).absolute()
    base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return (base if base.is_absolute() else Path("~/.cache").expanduser()) / "acceltran"
