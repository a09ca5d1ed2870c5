"""Opening the files of a model folder: what every reader refuses in the same way."""

import json
from pathlib import Path, PurePosixPath, PureWindowsPath

from .errors import ModelError

__all__ = ["file_inside", "read_bytes", "read_json", "read_text", "refuse_pointer"]

POINTER = b"version https://git-lfs.github.com/spec"
KINDS = {dict: "an object of fields", list: "a list"}


def refuse_pointer(path):
    """Refuse what git leaves in place of a large file that it did not fetch.

    Raises
    ------
    ModelError : for a git-lfs pointer, and for a file that cannot be opened
    """
    try:
        with open(path, "rb") as file:
            start = file.read(len(POINTER))
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}): check that it is a file that you may read") from None
    if start == POINTER:
        raise ModelError(f"{path}: is a git-lfs pointer, not the file: run git lfs pull")


def read_bytes(path):
    """What a file holds.

    Raises
    ------
    ModelError : as `refuse_pointer`
    """
    refuse_pointer(path)
    return Path(path).read_bytes()


def read_text(path):
    """The text of a UTF-8 file, without a byte order mark; every line ends with a newline character alone.

    Raises
    ------
    ModelError : as `read_bytes`, and for bytes that are no UTF-8
    """
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ModelError(f"{path}: is not UTF-8 text ({error}): fetch the file again") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_json(path, kind=dict):
    """What a JSON file holds.

    Parameters
    ----------
    kind : dict or list

    Raises
    ------
    ModelError : as `read_bytes`, and for a file that holds something else, or names a field twice
    """
    content = read_bytes(path)
    try:
        value = json.loads(content.decode("utf-8-sig"), object_pairs_hook=_once)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: not valid JSON ({error}): fetch the file again") from None
    if not isinstance(value, kind):
        raise ModelError(f"{path}: holds a {type(value).__name__}, not {KINDS[kind]}: fetch the file again")
    return value


def _once(pairs):
    """A JSON object, whose names may occur once each: of two values, one would be lost."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ModelError(f"field {twice} occurs twice: remove one of them")
    return fields


def file_inside(folder, name):
    """The path of what a model's files call `name`, or None where that would be outside of the model's folder.

    Links are not followed: a download cache keeps the files elsewhere and links to them.
    """
    parts = PureWindowsPath(name)
    if parts.drive or parts.root or PurePosixPath(name).is_absolute() or ".." in parts.parts or "\0" in name:
        return None
    return Path(folder, *parts.parts)
