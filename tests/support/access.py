"""Values for the port that says what the memory side may reach."""

from acceltran.hw.memory.access import access_layout
from acceltran.hw.spec.registers import PAGE_BITS

__all__ = ["access_word"]


def access_word(address_bits=32, *, base=0, read=None, write=None, prot=0, cache=3):
    """The port as one word: the base of memory, and (first, last) byte of the windows, everything by default."""
    def window(bytes_):
        first, last = bytes_ or (0, (1 << address_bits) - 1)
        return {"base": first >> PAGE_BITS, "limit": last >> PAGE_BITS}

    return access_layout(address_bits).const({
        "memory_base": base >> PAGE_BITS, "read": window(read), "write": window(write), "prot": prot, "cache": cache,
    }).as_value().value
