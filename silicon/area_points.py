"""Areas of blocks in many configurations, measured: what the area model is fitted to."""

from collections import Counter, defaultdict

from ..hw.spec.config import AcceleratorConfig
from .area import plain_name
from .design import accelerator_modules, find_block, with_children
from .mapper import map_modules

__all__ = ["LIBRARY_POINTS", "PE_BLOCKS", "PE_FIGURES", "POINTS", "measure_point"]

_INSTANCES = {
    "mac": "MACs", "sparsity": "sparsity of the lanes", "expand_a": "expanders of A", "expand_b": "expanders of B",
    "slots_a": "slots of A", "slots_b": "slots of B", "a_fifo": "FIFOs of A", "b_fifo": "FIFOs of B", "post": "post-process",
    "pe": "rest of the PEs", "softmax": "softmax units", "layernorm": "layer-norm units",
    "vector": "rest of the vector engine", "softmax_x": "readers of the vector engine",
    "layernorm_x": "readers of the vector engine", "layernorm_r": "readers of the vector engine", "a_reader": "reader of A",
    "b_activation_reader": "reader of B, activations", "b_weight_reader": "reader of B, weights",
    "matrix": "rest of the matrix engine", "activation_buffer": "activation buffer", "weight_buffer": "weight buffer",
    "vector_buffer": "vector buffer", "memory": "memory engine", "store_reader": "reader of stores", "control": "control",
}
"""{instance without its number: block of `area_terms`}."""

PE_BLOCKS = tuple(dict.fromkeys(_INSTANCES.values()))[:10]
"""Blocks that make up a PE."""

_CLOSED = ("post-process", "softmax units", "layer-norm units", "vector buffer")
"""Blocks that contain no other, whatever the instances in them are called."""

_LEAVES = ("mac", "sparsity", "expand_a", "expand_b", "slots_a", "slots_b", "post", "softmax", "layernorm", "memory", "control")

POINTS = {
    "mini": ("mini", {}, None),
    "nano": ("nano", {}, None),
    "mini_w8": ("mini_w8", {}, None),
    "int8": ("int8", {}, None),
    "fpga": ("fpga", {}, None),
    "nano, 2 x 1 PEs": ("nano", {
        "psum_tiles": 1, "window": 4, "lines_per_beat": 2, "grid_rows": 2, "grid_columns": 1, "activation_banks": 8,
        "weight_banks": 4, "bus_width": 128, "outstanding_reads": 8, "layernorm_slices": 2, "max_inner": 512,
        "fraction_bits": 8}, None),
    "nano, 2 x 4 PEs": ("nano", {
        "psum_tiles": 4, "window": 8, "lines_per_beat": 4, "operand_slots": 3, "grid_rows": 2, "grid_columns": 4,
        "activation_banks": 16, "weight_banks": 8, "bus_width": 512, "burst_beats": 64, "outstanding_reads": 16,
        "layernorm_slices": 4, "softmax_units": 2, "functions": ["relu"], "instruction_queue": 16, "prune_curves": 32}, None),
    "nano, 24 bits, long wires": ("nano", {
        "skip": "none", "psum_tiles": 2, "fraction_bits": 18, "integer_bits": 6, "weight_bits": 12, "wires": "long",
        "functions": ["gelu"], "layernorm_units": 2, "max_inner": 8192, "address_bits": 64, "instruction_queue": 8}, None),
    "nano, 4-bit weights": ("nano", {
        "skip": "activation", "weight_bits": 4, "fraction_bits": 12, "operand_slots": 3, "psum_tiles": 1, "functions": [],
        "max_inner": 256, "prune_curves": 4, "bus_width": 128}, None),
    "blocks of nano, 12 bits": ("nano", {
        "max_inner": 256, "fraction_bits": 8, "window": 8, "operand_slots": 3, "psum_tiles": 4, "lines_per_beat": 4,
        "layernorm_slices": 2, "functions": ["silu", "relu"], "burst_beats": 64, "outstanding_reads": 2},
        (*_LEAVES, "store_reader")),
    "blocks of nano, 24 bits": ("nano", {
        "max_inner": 8192, "fraction_bits": 20, "weight_bits": 10, "window": 4, "psum_tiles": 1, "lines_per_beat": 2,
        "wires": "long", "functions": [], "bus_width": 256, "instruction_queue": 16, "prune_curves": 4, "burst_beats": 4},
        ("mac", "sparsity", "expand_a", "expand_b", "post", "softmax", "layernorm", "memory", "control", "store_reader")),
    "blocks of nano, 8 bits in RAM": ("nano", {
        "max_inner": 1024, "fraction_bits": 4, "window": 2, "b_memory": "ram", "operand_slots": 3, "psum_tiles": 1,
        "functions": ["gelu", "tanh", "quick_gelu"], "outstanding_reads": 16, "prune_curves": 32, "instruction_queue": 2,
        "bus_width": 512, "wires": "long"},
        ("mac", "sparsity", "slots_b", "post", "softmax", "layernorm", "memory", "control")),
    "blocks of mini, 8 bits": ("mini", {
        "max_inner": 1024, "fraction_bits": 4, "window": 8, "operand_slots": 3, "psum_tiles": 4, "lines_per_beat": 2,
        "layernorm_slices": 2, "functions": ["gelu"], "bus_width": 64},
        ("mac", "sparsity", "softmax", "layernorm", "control", "store_reader")),
    "blocks of nano, no skipping": ("nano", {"skip": "none", "psum_tiles": 4, "weight_bits": 4},
                                    ("mac", "sparsity", "expand_a", "expand_b", "slots_b")),
}
"""{name: (preset, fields that differ from it, blocks to measure as `find_block` takes them, None for all)}."""

LIBRARY_POINTS = ("mini",)
"""Points that are also mapped to a library with a process."""

PE_FIGURES = {
    "PE of mini, window 4": ("mini", {"window": 4}, 2_641_547),
    "PE, none": ("mini", {"skip": "none"}, 2_468_753),
    "PE, activation": ("mini", {"skip": "activation"}, 2_469_792),
    "PE, window 2": ("mini", {"window": 2}, 2_585_094),
    "PE, window 5": ("mini", {"window": 5}, 2_663_515),
    "PE, window 8": ("mini", {"window": 8}, 2_737_414),
    "PE, 3 slots": ("mini", {"window": 4, "operand_slots": 3}, 2_846_270),
    "PE, 1 output tile held": ("mini", {"window": 4, "psum_tiles": 1}, 2_374_728),
    "PE, 8 bits": ("mini", {"window": 4, "fraction_bits": 4}, 1_051_973),
    "PE, 16 bits": ("mini", {"window": 4, "fraction_bits": 12}, 2_087_380),
    "PE, 8 bits, none": ("mini", {"window": 4, "fraction_bits": 4, "skip": "none"}, 933_158),
    "PE, 8 bits, none, 1 output tile": ("int8", {"skip": "none", "psum_tiles": 1}, 790_697),
    "PE, 8 bits, both, 1 output tile": ("int8", {"psum_tiles": 1}, 903_598),
    "PE, 8 bits, none, 1 output tile, 1 line per beat": (
        "int8", {"skip": "none", "psum_tiles": 1, "lines_per_beat": 1}, 742_050),
    "PE of mini_w8, window 4": ("mini_w8", {"window": 4}, 1_505_601),
}
"""{name: (preset, fields that differ from it, gate equivalents of its PE)}, as `acceltran synth --top pe` measures them."""


def measure_point(name, library, *, clock=None, jobs=None):
    """Map a point of `POINTS`: {fields, whole, blocks: {block: {area, gate_equivalents, flip_flops}}}, of one copy each.

    Raises
    ------
    SynthesisError : Yosys failed
    """
    preset, fields, tops = POINTS[name]
    config = AcceleratorConfig.from_dict(AcceleratorConfig.load(preset).to_dict() | {"name": "point"} | fields)
    modules = accelerator_modules(config)
    wanted = modules if tops is None else {
        child: module for top in tops for child, module in with_children(modules, find_block(modules, top)).items()}
    mapped = map_modules(wanted, library, clock=clock, jobs=jobs)
    members, copies = _members(modules)
    blocks = {}
    for block, counts in members.items():
        if any(module not in mapped for module in counts):
            continue
        area = flops = 0.0
        for module, count in counts.items():
            cells = mapped[module].cells
            area += count * sum(library.areas[cell] * number for cell, number in cells.items() if cell in library.areas)
            flops += count * sum(cells.get(cell, 0) for cell in library.flip_flops)
        blocks[block] = {"area": round(area / copies[block], 3), "flip_flops": round(flops / copies[block], 3),
                         "gate_equivalents": round(area / library.nand2 / copies[block], 1)}
    return {"fields": config.to_dict(), "whole": tops is None, "blocks": blocks}


def _members(modules):
    """{block: {module: copies in all}} and {block: its copies} below the last of `modules`; the top itself is in none."""
    members, copies = defaultdict(Counter), Counter()

    def visit(name, block, count):
        if block:
            members[block][name] += count
        inner = Counter()
        for instance, child in modules[name].instances:
            own = None if block in _CLOSED else _INSTANCES.get(plain_name(instance))
            inner[own or block, child, own is not None] += count
        for (below, child, new), number in inner.items():
            if new:
                copies[below] += number
            visit(child, below, number)

    visit(next(reversed(modules)), None, 1)
    return members, copies
