"""Files that are there as a whole, or as they were before."""

import os

__all__ = ["write_whole"]


def write_whole(path, text):
    """Write a text file; whoever stops this leaves the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_text(text)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
