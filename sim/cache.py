"""What is kept between runs: verified entries in a folder of the user, which all checkouts on a machine share.

An entry is a folder whose name ends with the digest of all that it was made from: sources, options and versions of tools, never
a path. It counts once it is sealed with the digests of its files; one that was damaged, or left half-written, is made again.
"""

import contextlib
import fcntl
import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import time

from ..hw.spec.cache_root import cache_root
from ..hw.spec.files import write_text

__all__ = ["KINDS", "LARGEST", "OLDEST", "PACKAGES", "cache_root", "clear", "compiler_version", "digest", "find", "kept",
           "package_versions", "sizes", "trim"]

KINDS = ("simulators", "verilog", "silicon")
"""Folders of the cache: Verilated models, accelerators as Verilog, synthesised modules."""

PACKAGES = "packages"
"""Folder of what was fetched: not remade, and so never trimmed."""

KERNELS = "kernels"
"""Folder of the compiled kernels of estimates, which Numba keeps: small, and so never trimmed."""

LARGEST = 10 << 30
"""Bytes of all entries together; beyond them those that were not used for longest go, but none that was used within a day."""

OLDEST = 30
"""Days after which an entry that was not used goes."""

_SEAL, _LOCKS, _TRIMMED = "sealed.json", "locks", "trimmed"
_DAY = 86400
_BETWEEN_TRIMS = 3600
_FLAGS = ("CPPFLAGS", "CXXFLAGS", "CFLAGS", "LDFLAGS")


def digest(*parts):
    """A short name of plain values, the same on every machine."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:20]


def package_versions(*names):
    """Versions of installed Python packages, in order."""
    return [f"{name} {importlib.metadata.version(name)}" for name in names]


@functools.cache
def compiler_version():
    """The C++ compiler, the machine that it compiles for, and the flags that make passes to it."""
    said = subprocess.run(["g++", "--version"], capture_output=True, text=True, check=True).stdout
    return [said.splitlines()[0], platform.machine(), *platform.libc_ver(), *(os.environ.get(name, "") for name in _FLAGS)]


def find(kind, name):
    """The folder of an entry, which now counts as used; None if it is not there or not whole."""
    folder = cache_root() / kind / name
    try:
        if json.loads((folder / _SEAL).read_text()) != _digests(folder):
            return None
        os.utime(folder / _SEAL)
    except (OSError, ValueError):
        return None
    return folder


def kept(kind, name, make):
    """The folder of an entry, made if it is not there or not whole.

    Processes that need the same entry at once make it once. Whatever `make` leaves in the folder belongs to the entry.

    Parameters
    ----------
    kind : of `KINDS`
    name : of the entry, with a digest of everything that it depends on
    make : called with the empty folder; if it fails, what it wrote stays there, unsealed, to be looked at
    """
    if folder := find(kind, name):
        return folder
    with _locked(cache_root() / _LOCKS / f"{kind}-{name}"):
        if folder := find(kind, name):
            return folder
        folder = cache_root() / kind / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        make(folder)
        write_text(folder / _SEAL, json.dumps(_digests(folder)))
    _trim_now_and_then()
    return folder


def trim(*, largest=LARGEST, oldest=OLDEST):
    """Remove entries that were not used for `oldest` days, and more while the others take more than `largest` bytes."""
    now = time.time()
    entries = sorted((_last_use(folder), folder) for kind in KINDS for folder in (cache_root() / kind).glob("*"))
    total = sum(_size(folder) for _, folder in entries)
    for used, folder in entries:
        if now - used > oldest * _DAY or total > largest and now - used > _DAY:
            total -= _size(folder)
            with _locked(cache_root() / _LOCKS / f"{folder.parent.name}-{folder.name}") as lock:
                if _last_use(folder) == used:
                    shutil.rmtree(folder, ignore_errors=True)
                    lock.unlink()


def sizes():
    """{kind: (entries, bytes)}, fetched packages included."""
    found = {}
    for kind in (*KINDS, PACKAGES, KERNELS):
        folders = list((cache_root() / kind).glob("*"))
        found[kind] = len(folders), sum(map(_size, folders))
    return found


def clear():
    """Remove all of it; the folder itself stays, with whatever else lies in it."""
    for name in (*KINDS, PACKAGES, KERNELS, _LOCKS):
        shutil.rmtree(cache_root() / name, ignore_errors=True)
    (cache_root() / _TRIMMED).unlink(missing_ok=True)


def _digests(folder):
    """{relative path: digest} of the files of an entry."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != _SEAL:
            with open(path, "rb") as file:
                found[path.relative_to(folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _last_use(folder):
    """When an entry was used last; of one that is not sealed, when it was begun."""
    for path in (folder / _SEAL, folder):
        with contextlib.suppress(OSError):
            return path.stat().st_mtime
    return 0.0


def _size(folder):
    total = 0
    for path in (folder, *folder.rglob("*")):
        with contextlib.suppress(OSError):
            total += path.stat().st_size
    return total


def _trim_now_and_then():
    marker = cache_root() / _TRIMMED
    if not marker.exists() or time.time() - marker.stat().st_mtime > _BETWEEN_TRIMS:
        marker.touch()
        trim()


@contextlib.contextmanager
def _locked(path):
    """Hold the lock file `path`, which another process may remove while it holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with open(path, "w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if path.exists() and path.stat().st_ino == os.fstat(handle.fileno()).st_ino:
                yield path
                return
