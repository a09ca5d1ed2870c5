"""Widths that instructions, registers and the structures between blocks share."""

__all__ = ["LINE_ADDRESS_BITS", "MEMORY_PORTS", "NUMBER_BITS", "SCALE_BITS", "SLOT_BITS", "TAG_BITS"]

SLOT_BITS = 20
"""Bits of a slot number in either tile buffer."""

LINE_ADDRESS_BITS = 16
"""Bits of a line address in the vector buffer."""

SCALE_BITS = 4
"""Bits of the scale of a column: by how many fraction bits more its weights have than the others."""

TAG_BITS = 2
"""Bits of the number by which the matrix engine knows a product in flight."""

NUMBER_BITS = 20
"""Bits of the number of an instruction in its program."""

MEMORY_PORTS = (1, 2, 4, 8)
"""How many ports to main memory there may be."""
