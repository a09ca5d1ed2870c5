"""Where everything is kept that takes long to make."""

import os
from pathlib import Path

__all__ = ["build_folder", "cache_folder"]


def build_folder():
    """$ACCELTRAN_BUILD, or build/ in the current folder."""
    return Path(os.environ.get("ACCELTRAN_BUILD", "build")).absolute()


def cache_folder():
    """Where simulators are kept."""
    return build_folder() / "simulators"
