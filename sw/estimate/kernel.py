"""Functions that Numba compiles once and keeps."""

import hashlib
from functools import cache
from pathlib import Path

from numba import config, njit

from ...hw.spec.cache_root import cache_root

__all__ = ["kernel"]


def kernel(function):
    """A function of numbers and arrays, compiled when it is first called.

    Numba looks only at the file of a function for whether what it kept still holds. Kernels call each other across files, so
    they are kept under a digest of all of them.
    """
    before, config.CACHE_DIR = config.CACHE_DIR, str(cache_root() / "kernels" / _digest())
    try:
        return njit(cache=True)(function)
    finally:
        config.CACHE_DIR = before


@cache
def _digest():
    found = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()[:20]
