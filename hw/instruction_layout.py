"""Instructions as structures of bits."""

from amaranth.hdl import signed, unsigned
from amaranth.lib import data

from .spec.isa import HEADER, INSTRUCTION_BYTES, fields_of

__all__ = ["header_layout", "layout"]


def header_layout():
    """Bits 0 to 63 of an instruction."""
    return data.StructLayout({f.name: _shape(f) for f in HEADER})


def layout(opcode):
    """The 512-bit structure of an instruction: header, payload, padding."""
    fields = fields_of(opcode)
    return data.StructLayout({f.name: _shape(f) for f in fields}
                             | {"padding": 8 * INSTRUCTION_BYTES - sum(f.bits for f in fields)})


def _shape(field):
    return signed(field.bits) if field.signed else unsigned(field.bits)
