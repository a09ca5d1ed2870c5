"""The SRAM macros of a configuration, without synthesis."""

from collections import Counter

from ..hw.spec.isa import INSTRUCTION_BYTES
from ..hw.spec.registers import KNOTS

__all__ = ["SRAM_BITS", "SRAM_WORDS", "macro_shapes", "register_bits"]

SRAM_BITS, SRAM_WORDS = 2048, 32
"""Memories of at least this many bits and words become SRAM macros; others flip-flops and multiplexers."""


def _memories(config):
    """{block: {(words, bits): count}} of all memories that may be large enough."""
    c, slots = config, {"activation": config.activation_tiles // config.activation_banks,
                        "weight": config.weight_tiles // config.weight_banks}
    words, bus = c.words_per_slot, c.bus_width
    found = {"control": {(KNOTS * c.prune_curves, c.width - 1): 1},
             "vector_buffer": {(c.vector_lines, c.vector_line_bits): c.clusters}}
    # A FIFO keeps its oldest entry in a register, so its memory has one word less.
    found["memory"] = Counter({(2 * c.burst_beats - 1, bus): 1})
    found["memory"][c.outstanding_reads * c.burst_beats - 1, bus + 2] += 1
    if c.memory_ports > 1:
        found["ports"] = Counter({(c.outstanding_reads * c.burst_beats - 1, bus + 2): c.memory_ports - 1})
    found["memory"][max(4, 4 * 8 * INSTRUCTION_BYTES // bus) - 1, bus + 2] += 1
    for name, banks, line in (("activation", c.activation_banks, c.line_bits), ("weight", c.weight_banks, c.weight_line_bits)):
        buffer = found[f"{name}_buffer"] = Counter()
        buffer[slots[name] * words, c.lines_per_beat * line] += banks
        buffer[slots[name], c.mask_bits] += banks
    return found


def _is_macro(words, bits):
    return words >= SRAM_WORDS and words * bits >= SRAM_BITS


def macro_shapes(config):
    """{(words, bits): count} of the memories that become SRAM macros, as `flow.map_module` takes them.

    Parameters
    ----------
    config : AcceleratorConfig
    """
    shapes = Counter()
    for memories in _memories(config).values():
        shapes.update({shape: count for shape, count in memories.items() if _is_macro(*shape)})
    return shapes


def register_bits(config):
    """{block: bits} of the memories that are too small for a macro, and so are registers."""
    return {block: sum(words * bits * count for (words, bits), count in memories.items() if not _is_macro(words, bits))
            for block, memories in _memories(config).items()}
