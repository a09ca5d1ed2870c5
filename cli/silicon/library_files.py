"""The files of a cell library, as they are given on the command line."""

import glob

__all__ = ["library_files"]


def library_files(patterns):
    """All paths of `patterns`, of which the shell left some as they are; None are none."""
    return [path for pattern in patterns or () for path in sorted(glob.glob(str(pattern))) or [pattern]]
