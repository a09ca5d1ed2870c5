"""Headers of the C driver that are made from the tables of the hardware and the compiler.

They lie beside the driver in ``sw/host/c``, so that firmware needs no Python. ``python -m acceltran.sw.host.c_headers`` writes
them again after a table has changed.
"""

from pathlib import Path

from ...hw.spec.error_codes import ErrorCode, ErrorSource
from ...hw.spec.registers import to_c_header
from ..compiler import descriptor

__all__ = ["C_DRIVER", "SOURCES", "headers", "write_headers"]

C_DRIVER = Path(__file__).parent / "c"
"""The folder of the driver."""

SOURCES = ("acceltran.h", "acceltran.c")
"""The files that are written by hand."""


def headers():
    """{name: text} of all headers that are made."""
    return {
        "acceltran_registers.h": to_c_header(),
        "acceltran_descriptor.h": descriptor.to_c_header(),
        "acceltran_error_codes.h": _error_codes(),
    }


def write_headers(folder=C_DRIVER):
    """Write them."""
    for name, text in headers().items():
        (folder / name).write_text(text)


def _error_codes():
    codes = _list("CODE", [(f"ACCELTRAN_ERROR_CODE_{code.name}", code.doc) for code in ErrorCode])
    engines = _list("ENGINE", [(f"ACCELTRAN_ERROR_ENGINE_{source.name}", source.name.lower()) for source in ErrorSource])
    return "\n".join([
        "/* Texts of error codes and engines, generated: do not edit. */", "#ifndef ACCELTRAN_ERROR_CODES_H",
        "#define ACCELTRAN_ERROR_CODES_H", "", *codes, "", *engines, "", "#endif", ""])


def _list(kind, entries):
    """A macro that names another one for each entry."""
    lines = [f'    X({name}, "{text}")' for name, text in entries]
    return [f"#define ACCELTRAN_ERROR_{kind}_LIST(X) \\", *(f"{line} \\" for line in lines[:-1]), lines[-1]]


if __name__ == "__main__":
    write_headers()
