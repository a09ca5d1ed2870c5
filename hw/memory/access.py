"""What the memory side may reach, and with which attributes: the register values that go with every burst."""

from amaranth.lib import data

from ..spec.registers import PAGE_BITS
from .axi import size_code

__all__ = ["access_layout", "within"]


def access_layout(address_bits):
    """Pages of main memory, and bus attributes.

    ``memory_base`` is added to every address that an instruction or a fetch names; ``read`` and ``write`` are the first and
    the last page that may be reached, before anything is asked of the bus; ``prot`` and ``cache`` are AxPROT and AxCACHE.
    """
    pages = address_bits - PAGE_BITS
    window = data.StructLayout({"base": pages, "limit": pages})
    return data.StructLayout({"memory_base": pages, "read": window, "write": window, "prot": 3, "cache": 4})


def within(window, beat, data_width):
    """Whether the page of a beat address, which may have more bits than the bus, lies inside a window.

    No burst crosses a page: one beat of it tells for all.
    """
    page = beat[PAGE_BITS - size_code(data_width):]
    return (page >= window.base) & (page <= window.limit)
