"""What can go wrong in the memory engine."""

from enum import IntEnum

__all__ = ["MemoryError"]


class MemoryError(IntEnum):  # noqa: A001
    """Codes of the memory engine's error output; 0 is no error."""

    BUS_READ = 1
    """A data beat came with a response other than OKAY."""

    BUS_WRITE = 2
    """A write burst was answered with a response other than OKAY."""

    SLOT_RANGE = 3
    """A tile slot or vector line lies outside its buffer, or the buffer does not exist."""

    LOAD_SHORT = 4
    """The packed stream goes on beyond the bytes that the LOAD fetches."""
