"""Error codes of a run, and those by which the memory engine tells what went wrong."""

from enum import IntEnum

__all__ = ["ENGINE_CODE", "ERROR_CODE_BITS", "ErrorCode", "ErrorSource", "MemoryFault"]

ENGINE_CODE = 0x10
"""Added to the 4-bit code that an engine reports."""

ERROR_CODE_BITS = 5


class ErrorCode(IntEnum):
    """Why a run stopped: below 0x10 found by the control unit, from 0x10 on reported by an engine."""

    NONE = 0x00
    ILLEGAL_OPCODE = 0x01
    BAD_FIELD = 0x02
    FETCH_BUS = 0x03
    PROGRAM_END = 0x04
    WATCHDOG = 0x05
    SEMAPHORE_OVERFLOW = 0x06
    FETCH_WINDOW = 0x07
    BUS_READ = 0x11
    BUS_WRITE = 0x12
    SLOT_RANGE = 0x13
    LOAD_SHORT = 0x14
    LINE_RANGE = 0x15
    ENGINE_FIELD = 0x16
    READ_WINDOW = 0x17
    WRITE_WINDOW = 0x18

    @property
    def doc(self):
        """What happened, in a sentence."""
        return _DOCS[self]


_DOCS = {
    ErrorCode.NONE: "no error",
    ErrorCode.ILLEGAL_OPCODE: "the opcode is unknown",
    ErrorCode.BAD_FIELD: "a field has a value that this accelerator was not built for",
    ErrorCode.FETCH_BUS: "the bus answered an instruction fetch with an error",
    ErrorCode.PROGRAM_END: "PROGRAM_LENGTH instructions were decoded without a HALT",
    ErrorCode.WATCHDOG: "no instruction completed within WATCHDOG cycles",
    ErrorCode.SEMAPHORE_OVERFLOW: "a semaphore exceeded its 12 bits",
    ErrorCode.BUS_READ: "the bus answered a data read with an error",
    ErrorCode.BUS_WRITE: "the bus answered a data write with an error",
    ErrorCode.SLOT_RANGE: "a tile slot, or the destination of a LOAD, is outside its buffer",
    ErrorCode.LOAD_SHORT: "a LOAD fetched fewer bytes than its tiles take",
    ErrorCode.LINE_RANGE: "a line is outside the vector buffer",
    ErrorCode.ENGINE_FIELD: "an engine refused a field",
    ErrorCode.FETCH_WINDOW: "an instruction fetch lies outside READ_BASE to READ_LIMIT; the bus was not asked",
    ErrorCode.READ_WINDOW: "a data read lies outside READ_BASE to READ_LIMIT; the bus was not asked",
    ErrorCode.WRITE_WINDOW: "a data write lies outside WRITE_BASE to WRITE_LIMIT; the bus was not asked",
}


class ErrorSource(IntEnum):
    """Where an error was found: the engines as in `isa.Engine`, and the control unit itself."""

    MEMORY = 0
    MATRIX = 1
    VECTOR = 2
    CONTROL = 3


class MemoryFault(IntEnum):
    """Codes of the memory engine's error output; 0 is no error."""

    BUS_READ = 1
    """A data beat came with a response other than OKAY."""

    BUS_WRITE = 2
    """A write burst was answered with a response other than OKAY."""

    SLOT_RANGE = 3
    """A tile slot or vector line lies outside its buffer, or the buffer does not exist."""

    LOAD_SHORT = 4
    """The packed stream goes on beyond the bytes that the LOAD fetches."""

    READ_WINDOW = 7
    """A read lies outside the window for reads."""

    WRITE_WINDOW = 8
    """A write lies outside the window for writes."""
