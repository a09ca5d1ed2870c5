"""What the area of each block of an accelerator grows with."""

from dataclasses import dataclass, replace
from math import gcd

from ..hw.memory.pieces import Pieces
from ..hw.spec.activations import ACTIVATIONS, function_format
from ..hw.spec.isa import Buffer
from .memory_macros import register_bits

__all__ = ["COMBINATIONAL", "Block", "area_terms"]

COMBINATIONAL = frozenset({
    "product", "fetch", "operands", "halves", "accumulated", "added", "turns", "choice", "activations", "masks of B", "across",
    "fold", "spread", "drain", "read", "write", "routes", "arbitration", "joined", "taken", "tables", "beats",
    "answers", "grants",
})
"""Terms without flip-flops."""

_WHOLE = 12
"""Bits of the widest value of B that a MAC multiplies in one piece."""


@dataclass(frozen=True)
class Block:
    """A block, which lies in the accelerator `copies` times.

    Members
    -------
    kind : blocks of one kind have the same coefficients
    copies : in the whole accelerator
    terms : {name: quantity}, in a copy
    """

    kind: str
    copies: int
    terms: dict


def _log(count):
    return (count - 1).bit_length()


_SHARED = ("reader of B, weights", "weight buffer", "memory engine", "further memory ports", "control")
"""Blocks that all clusters have in common."""


def area_terms(config):
    """{name: Block} of everything in the accelerator but its SRAM macros.

    A block is as large as the sum of its terms, each times a coefficient of its kind that was fitted to measured areas. Bits
    are those of registers, of the inputs of multiplexers, or of the partial products of a multiplier. In the following T is
    the size of a tile, W and V are the bits of a value of A and of B, P is `psum_tiles`, S is `operand_slots`, and L is
    `lines_per_beat`.

    * A MAC grows with W V (its multiplier, which is in two pieces for wide values of B), with T S V (it chooses among all rows
      of B), and with its accumulators, P times their width, which in turn grows with the logarithm of `max_inner`.
    * The sparsity of a lane grows with the window times the multiplexers of each MAC, with T S W (it chooses activations), and
      with T S T (it chooses masks). With `skip` other than "both" there is one entry and one picker for all MACs of a lane.
    * An expander grows with the rows of a beat times T W times their logarithm, and with its ring of lines.
    * Slots grow with S T^2 W; those of B can also be written by columns. FIFOs grow with 2 T^2 W.
    * The post-process grows with T times the accumulator, T W, the functions that have tables, and L T W.
    * Softmax units grow with T W. Layer-norm units grow with T W^2, and all their parts with the slices.
    * A reader grows with its lanes times L T W, and with their masks, T^2 each.
    * The crossbars of a buffer grow with its banks times its readers and writers, times L T W and T^2; its arbitration grows
      with the square of the clients times the banks.
    * Each cluster has all of this but what stands in `_SHARED`, and queues of two beats for weights.
    * The memory engine grows with the width of the bus, with the places at which pieces of a tile can begin in what was read,
      with the registers of FIFOs that are too small for an SRAM macro, and with L T W. Control grows with the instruction
      queue.

    Parameters
    ----------
    config : AcceleratorConfig
    """
    if config.clusters == 1:
        return _pe_blocks(config) | _vector_blocks(config) | _matrix_blocks(config) | _buffers(config) | _others(config)
    one, count = config.cluster, config.clusters
    blocks = {name: block if name in _SHARED else replace(block, copies=count * block.copies)
              for name, block in area_terms(one).items()}
    beat = one.lines_per_beat * one.tile * one.b_width + one.tile**2
    return blocks | {"queues of weights": Block("fifo", count * one.grid_columns, {"bits": 2 * beat, "one": 1})}


def _pe_blocks(c):
    tile, width, b_width, total = c.tile, c.width, c.b_width, c.accumulator_width
    rows, lines, lanes = c.operand_slots * tile, c.lines_per_beat, c.pes * tile
    ram, both = c.b_memory == "ram", c.skip == "both"
    halves, turns = width * (b_width > _WHOLE), _log(c.psum_tiles)
    window, pickers = (c.window, tile) if both else (1, 1)
    entry, entries = width + _log(rows) + _log(c.psum_tiles), min(2, window)
    a_rows = min(lines * c.psum_tiles, max(lines, tile // 2))
    form, tables = function_format(width), sum(one.blocks for one in ACTIVATIONS if one.tail and one.name in c.functions)
    beat = lines * tile * width + tile**2
    return {
        "MACs": Block("mac", lanes * tile, {
            "product": width * b_width, "fetch": 0 if ram else rows * b_width, "copy": rows * b_width if ram else 0,
            "registers": 2 * (width + b_width) + halves + total * (c.psum_tiles + 1) + 3 * turns, "operands": width + b_width,
            "halves": halves, "accumulated": total * c.psum_tiles, "added": total, "turns": turns, "one": 1}),
        "sparsity of the lanes": Block("sparsity", lanes, {
            "choice": pickers * (window - 1) * entry, "picks": pickers * entry, "window": window * entries * entry,
            "entries": window * (entry + 3), "pending": window * pickers, "activations": entries * rows * width,
            "masks of B": entries * rows * tile if both and not ram else 0, "copies": rows * tile if both and ram else 0,
            "tile": entries * tile, "one": 1}),
        "expanders of A": _expander(c.pes, tile, width, lines, a_rows),
        "expanders of B": _expander(c.pes, tile, b_width, lines, lines),
        "slots of A": _slots(c, width, shared=False),
        "slots of B": Block("writer", c.pes, {"values": tile**2 * (b_width + 1), "one": 1}) if ram else
        _slots(c, b_width, shared=True),
        "FIFOs of A": _fifo(c.pes, tile, width, lines),
        "FIFOs of B": _fifo(c.pes, tile, b_width, lines),
        "post-process": Block("post", c.pes, {
            "sums": tile * total, "values": tile * width, "tables": tile * tables * 2 ** ((form.frac - 16) / 3),
            "interpolation": tile * bool(tables) * form.bits**2, "scales": tile * total * bool(c.scale_bits),
            "collected": lines * tile * width, "packed": tile * width * _log(tile), "mask": tile**2,
            "skid": c.long_wires * beat, "one": 1}),
        "rest of the PEs": Block("pe", c.pes, {
            "rows": tile * total * (1 + c.long_wires), "drain": tile * tile * total, "words": (1 + (lines == 1)) * beat,
            "commands": tile * (width + c.scale_bits), "one": 1}),
    }


def _expander(copies, tile, width, lines, rows):
    size, ring = rows * tile, 2 * max(lines, rows)
    return Block("expander", copies, {
        "ring": ring * tile * width, "folded": size * width, "fold": size * width * (ring // rows),
        "spread": size * width * _log(size), "addresses": size * _log(size), "mask": tile**2, "one": 1})


def _slots(c, width, *, shared):
    tile = c.tile**2 * (width + 1)
    groups = c.operand_slots * c.tile**2 // c.lines_per_beat
    return Block("slots", c.pes, {"values": c.operand_slots * tile, "across": tile * shared, "groups": groups, "one": 1})


def _fifo(copies, tile, width, lines):
    depth, beat = 2 * tile // lines, lines * tile * width + 1
    return Block("fifo", copies, {"bits": depth * beat + 2 * (tile**2 + 1), "beats": (depth - 2) * beat, "one": 1})


def _vector_blocks(c):
    tile, width, slices, lines = c.tile, c.width, c.layernorm_slices, c.lines_per_beat
    return {
        "softmax units": Block("softmax", c.softmax_units, {
            "columns": tile, "values": tile * width, "spread": tile * width * _log(tile), "lines": lines * tile * width,
            "mask": tile**2, "one": 1}),
        "layer-norm units": Block("layernorm", c.layernorm_units, {
            "products": slices * tile * width**2, "values": slices * tile * width, "columns": slices * tile,
            "sums": slices * tile * _log(c.max_inner), "spread": slices * tile * width * _log(tile),
            "lines": slices * lines * tile * width, "mask": slices * tile**2, "slices": slices, "rows": tile, "one": 1}),
        "rest of the vector engine": Block("vector", 1, {
            "units": c.softmax_units + c.layernorm_units, "ports": c.vector_readers,
            "skids": c.long_wires * c.vector_readers * (lines * tile * width + tile**2), "values": width, "one": 1}),
        "readers of the vector engine": _reader(c, c.vector_readers, width, 1),
    }


def _reader(c, copies, width, lanes):
    latency = c.buffer_latency
    return Block("reader", copies, {
        "lines": lanes * (2 + latency) * c.lines_per_beat * c.tile * width, "masks": lanes * c.tile**2 * (8 + 2 * latency),
        "lanes": lanes, "one": 1})


def _matrix_blocks(c):
    beat = c.lines_per_beat * c.tile * c.width + c.tile**2
    return {
        "reader of A": _reader(c, 1, c.width, c.grid_rows),
        "reader of B, activations": _reader(c, 1, c.width, c.grid_columns),
        "reader of B, weights": _reader(c, 1, c.b_width, c.grid_columns),
        "rest of the matrix engine": Block("matrix", 1, {
            "pes": c.pes, "lanes": c.grid_rows + c.grid_columns, "merged": (c.pes - 1) * beat,
            "choices of B": c.grid_columns * (c.lines_per_beat * c.tile * c.b_width + c.tile**2),
            "biases": c.grid_columns * c.tile * (c.width + c.scale_bits), "one": 1}),
    }


def _buffers(c):
    registers = register_bits(c)
    writers = c.softmax_units + c.layernorm_units * c.layernorm_slices
    ports = c.grid_rows + c.grid_columns - 1
    line = c.vector_line_bits
    lines = 1 + c.layernorm_units * c.layernorm_slices
    return {
        "activation buffer": _tile_buffer(
            c, c.width, c.activation_banks, c.activation_tiles, clients=c.activation_clients,
            lanes=c.grid_rows + c.grid_columns + 1 + c.vector_readers, writers=ports + writers + 1,
            registers=registers["activation_buffer"]),
        "weight buffer": _tile_buffer(
            c, c.b_width, c.weight_banks, c.weight_tiles, clients=1, lanes=c.grid_columns, writers=c.memory_ports,
            registers=registers["weight_buffer"]),
        "vector buffer": Block("vector_buffer", 1, {
            "lines": 3 * lines * line, "readers": lines, "registers": registers["vector_buffer"], "one": 1}),
    }


def _tile_buffer(c, width, banks, tiles, *, clients, lanes, writers, registers):
    word, mask = c.lines_per_beat * c.tile * width, c.tile**2
    address = _log(tiles // banks * c.words_per_slot)
    write = word + mask + address + c.lines_per_beat + 2
    return Block("tile_buffer", 1, {
        "answers": (banks > 1) * lanes * (word + mask), "grants": (writers > 1) * banks * write,
        "read": (banks - 1) * lanes * (word + mask), "write": (writers - 1) * banks * write, "words": banks * write,
        "routes": banks * lanes * (address + 2) * 2, "arbitration": banks * clients**2, "clients": clients,
        "selected": 2 * lanes * max(1, _log(banks)) * c.buffer_latency,
        "late": c.long_wires * banks * 2 * address, "registers": registers, "one": 1,
        "granted": ("grants" in c.buffer_registers) * (writers * write + 2 * lanes * (address + banks))})


def _others(c):
    registers, line = register_bits(c), c.lines_per_beat * c.tile * c.width
    return {
        "memory engine": Block("memory", 1, _gearboxes(c) | {
            "bus": c.bus_width, "line": line, "mask": c.tile**2, "registers": registers["memory"],
            "reads": c.outstanding_reads, "long": c.long_wires * c.bus_width, "one": 1}),
        **_further_ports(c, registers),
        "reader of stores": _reader(c, 1, c.width, 1),
        "control": Block("control", 1, {
            "queue": c.instruction_queue, "curves": c.prune_curves, "registers": registers["control"], "one": 1}),
    }


def _further_ports(c, registers):
    """Of the memory ports beside the first: a way in for weights, of the memory engine's kind, without what it has once.

    Measured in a `mini` with four ports, in ASAP7 at 700 MHz: 5,994 flip-flops and 4,364 um2; by these terms 6,110 and 5,532.
    """
    if c.memory_ports == 1:
        return {}
    copies = c.memory_ports - 1
    sizes = Pieces(tile=c.tile, width=c.b_width, b_width=c.b_width, scale_bits=0, lines_per_beat=c.lines_per_beat,
                   bus_width=c.bus_width, buffers=(Buffer.WEIGHT,)).sizes
    return {"further memory ports": Block("memory", copies, _gearbox_terms(c, ((sizes, c.bus_width, len(sizes)),)) | {
        "bus": c.bus_width, "line": c.lines_per_beat * c.tile * c.b_width, "mask": c.tile**2,
        "registers": registers["ports"] // copies})}


def _gearboxes(c):
    """Terms of the registers between the bus and pieces of tiles: what they hold, and the places where pieces join them."""
    pieces = Pieces(tile=c.tile, width=c.width, b_width=c.b_width, scale_bits=c.scale_bits, lines_per_beat=c.lines_per_beat,
                    bus_width=c.bus_width).sizes
    return _gearbox_terms(c, ((pieces, c.bus_width, len(pieces)), (pieces[:2], max(pieces[:2]), 1)))


def _gearbox_terms(c, gearboxes):
    """The same of gearboxes as (sizes of pieces, bits that join at once, sizes that leave)."""
    held = joined = taken = 0
    for sizes, joins, leaves in gearboxes:
        unit, largest = gcd(c.bus_width, *sizes), max(sizes)
        capacity = largest + c.bus_width + min(largest, c.bus_width) - unit
        held += capacity
        joined += joins * ((capacity - joins) // unit + 1)
        taken += capacity * leaves
    return {"held": held, "joined": joined, "taken": taken}
