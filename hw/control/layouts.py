"""Widths and structures that the parts of the control unit share."""

from amaranth.lib import data

from ..spec.error_codes import ERROR_CODE_BITS
from ..spec.isa import HEADER, INSTRUCTION_BYTES, INSTRUCTIONS, Engine
from ..spec.widths import NUMBER_BITS

__all__ = ["ENGINES", "ERROR_REPORT", "FETCHED", "INSTRUCTION_BITS", "SEMAPHORE_BITS", "TIMELINE", "WAIT_BITS",
           "dispatched", "engine_bits", "event_layout", "numbered"]

INSTRUCTION_BITS = 8 * INSTRUCTION_BYTES

SEMAPHORE_BITS = 12
WAIT_BITS = 8

ENGINES = tuple(e.name.lower() for e in Engine)
"""Names of the engines, in the order of their numbers."""

_EVENTS = {
    "fired": 24,
    "dense": 32,
    "lost_operands": 24,
    "lost_output": 24,
    "lost_imbalance": 24,
    "lost_idle": 24,
    "bytes_read": 8,
    "bytes_written": 8,
    "weight_tiles": 8,
    "activation_tiles": 8,
    "a_tile_loads": 12,
    "b_tile_loads": 12,
    "word_reads": 12,
    "word_writes": 12,
}


def event_layout(memory_ports=1):
    """What happened in a cycle: increments of the performance counters of the same names."""
    further = {f"bytes_read_{port}": _EVENTS["bytes_read"] for port in range(1, memory_ports)}
    total = _EVENTS["bytes_read"] + (memory_ports - 1).bit_length()
    return data.StructLayout(_EVENTS | {"bytes_read": total} | further)


TIMELINE = data.StructLayout({
    **{name: data.StructLayout({"start": 1, "start_number": NUMBER_BITS, "done": 1, "done_number": NUMBER_BITS})
       for name in ENGINES},
    "running": 1,
})
"""Timeline: per engine a pulse with the number of the instruction accepted and another of the one completed."""

FETCHED = data.StructLayout({"instruction": INSTRUCTION_BITS, "error": 1, "refused": 1})
"""Answer of the memory to a fetch; a refused one is an error too."""


ERROR_REPORT = data.StructLayout({"valid": 1, "code": ERROR_CODE_BITS, "engine": 2, "number": NUMBER_BITS})
"""``valid`` for a cycle: error `code`, found by `engine`, in instruction `number` of the program."""


def engine_bits(engine=None):
    """Bits of the longest instruction of `engine` (None: of any); the rest of the 512 bits is padding."""
    return max(sum(f.bits for f in (*HEADER, *i.fields)) for i in INSTRUCTIONS
               if engine is None or i.engine in (None, engine))


def numbered(bits):
    """An instruction of `bits` bits with its number and whether it is a SYNC."""
    return data.StructLayout({"instruction": bits, "number": NUMBER_BITS, "sync": 1})


def dispatched():
    """A decoded instruction on its way to the queue of `engine`."""
    return data.StructLayout({"instruction": engine_bits(), "number": NUMBER_BITS, "sync": 1, "engine": 2})
