"""Files and folders that are written as a whole or not at all."""

import contextlib
import json
import os
import shutil
import tempfile
from pathlib import Path

__all__ = ["replacing", "write_bytes", "write_json", "write_text"]


@contextlib.contextmanager
def replacing(path, *, keep=False):
    """Give a path to write a file or a folder to, which takes the place of `path` at the end, and goes where that fails.

    Parameters
    ----------
    path : of a file or a folder, which may exist
    keep : a folder that exists by then stays as it is: another process made the same one first

    Raises
    ------
    OSError : `path` cannot be written
    """
    path = Path(path)
    try:
        partial = tempfile.TemporaryDirectory(dir=path.parent, prefix=".partial-")
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from None
    with partial as folder:
        new = Path(folder) / path.name
        yield new
        if new.is_dir() and path.exists():
            if keep:
                return
            shutil.rmtree(path)
        try:
            os.replace(new, path)
        except OSError:
            if not (keep and path.exists()):
                raise


def write_bytes(path, raw):
    """Write a file of bytes."""
    with replacing(path) as new:
        new.write_bytes(raw)


def write_text(path, text, **options):
    """Write a file of text; `options` are those of `Path.write_text`."""
    with replacing(path) as new:
        new.write_text(text, **options)


def write_json(path, values):
    """Write plain values as JSON."""
    write_text(path, json.dumps(values, indent=2) + "\n")
