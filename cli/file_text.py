"""The characters of a data file, whatever bytes it holds."""

import codecs

from ..sw.models.errors import ModelError

__all__ = ["MOST_BROKEN", "broken_bytes", "decode"]

_WIDE_MARKS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

MOST_BROKEN = 0.25
"""Share of the lines of a file up to which those that cannot be read are left out; with more, the file is something else."""


def decode(path, encoding=None, lenient=False):
    """The file's characters, and the encoding; bytes that are none become lone surrogates if they are few and `lenient`."""
    if path.is_dir():
        raise ModelError(f"{path}: is a folder: name a file in it")
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}): give a file of sentences") from None
    if encoding is None and raw.startswith(_WIDE_MARKS):
        wide = "utf-32" if raw.startswith(_WIDE_MARKS[:2]) else "utf-16"
        raise ModelError(f"{path}: its first bytes say {wide.upper()}, not UTF-8: add --encoding {wide}, or save it as UTF-8")
    encoding = encoding or "utf-8"
    try:
        text = raw.decode(encoding)
    except LookupError:
        raise ModelError(f"encoding = {encoding!r}: is not known: give utf-8, latin-1, cp1252 or utf-16") from None
    except UnicodeDecodeError as error:
        text = _decode_most(raw, encoding) if lenient else None
        if text is None:
            line = 1 + raw.count(b"\n", 0, error.start)
            raise ModelError(f"{path}, line {line}: byte 0x{raw[error.start]:02x} (offset {error.start}) is not {encoding}: "
                             f"save the file as UTF-8, or add --encoding, latin-1 or cp1252 for instance") from None
    except UnicodeError as error:
        raise ModelError(f"{path}: is not {encoding} ({error}): give another --encoding") from None
    if "\0" in text:
        line = 1 + text.count("\n", 0, text.index("\0"))
        raise ModelError(f"{path}, line {line}: holds a zero byte, as binary files and UTF-16 do: give a text file, or add "
                         "--encoding utf-16")
    return text.removeprefix("\ufeff"), encoding


def _decode_most(raw, encoding):
    """The characters with lone surrogates for bytes that are none, None if they are in too many of the lines."""
    try:
        lines = raw.decode(encoding, "surrogateescape").splitlines(keepends=True)
    except UnicodeError:
        return None
    broken = sum(_lone(line) is not None for line in lines)
    return "".join(lines) if broken <= MOST_BROKEN * len(lines) else None


def _lone(text):
    """The first byte that is no character, None without."""
    return next((ord(char) - 0xDC00 for char in text if "\udc80" <= char <= "\udcff"), None)


def broken_bytes(text, encoding):
    """What is wrong with the bytes of a line, or None."""
    byte = _lone(text)
    return None if byte is None else (f"byte 0x{byte:02x} is not {encoding}: correct it, or add --encoding, latin-1 or cp1252 "
                                      "for instance")
