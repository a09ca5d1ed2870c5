"""Small configurations that differ in everything that they can."""

from acceltran.hw.spec.config import AcceleratorConfig

__all__ = ["CLUSTERS", "CONFIGS", "SLOW", "SMALL"]

SMALL = {"tile": 8, "activation_tiles": 512, "weight_tiles": 64, "vector_lines": 64}

CONFIGS = {
    "one_pe": AcceleratorConfig(
        **SMALL, name="one_pe", weight_bits=9, grid_rows=1, grid_columns=1, lines_per_beat=1, b_memory="ram", window=2,
        operand_slots=2, activation_banks=2, weight_banks=1, bus_width=64, outstanding_reads=1, burst_beats=4,
        instruction_queue=2, wires="long",
    ),
    "four_pes": AcceleratorConfig(
        **SMALL, name="four_pes", grid_rows=2, grid_columns=2, lines_per_beat=4, window=4, operand_slots=3, psum_tiles=2,
        activation_banks=8, bus_width=128, integer_bits=4, fraction_bits=4, softmax_units=2, layernorm_units=2,
        layernorm_slices=2, functions=("relu", "gelu", "tanh", "silu", "gelu_tanh", "quick_gelu"),
    ),
    "one_by_two": AcceleratorConfig(
        **SMALL, name="one_by_two", grid_rows=1, grid_columns=2, lines_per_beat=2, skip="activation", activation_banks=2,
        bus_width=256, integer_bits=4, fraction_bits=12, weight_bits=8, softmax_units=1, layernorm_units=2,
        functions=("relu", "tanh"),
    ),
    "wide": AcceleratorConfig(
        **SMALL | {"tile": 16}, name="wide", grid_rows=1, grid_columns=1, lines_per_beat=4, skip="none", activation_banks=1,
        weight_banks=1, bus_width=256, integer_bits=6, fraction_bits=10,
    ),
    "window_of_eight": AcceleratorConfig(
        **SMALL, name="window_of_eight", grid_rows=2, grid_columns=1, lines_per_beat=2, window=8, operand_slots=3, psum_tiles=4,
        activation_banks=2, weight_banks=1, bus_width=64, softmax_units=2,
        layernorm_slices=4,
    ),
}

SLOW = ("wide", "window_of_eight")

_MORE = {"weight_tiles": 256, "vector_lines": 128}

CLUSTERS = {
    2: AcceleratorConfig(
        **SMALL | _MORE | {"activation_tiles": 1024}, name="two_clusters", clusters=2, grid_rows=2, grid_columns=2,
        activation_banks=4, weight_banks=2, integer_bits=4, fraction_bits=8, lines_per_beat=2, window=2, bus_width=64,
        memory_ports=2, softmax_units=2, layernorm_units=2, functions=("gelu", "tanh"), prune_curves=8, max_inner=512,
    ),
    4: AcceleratorConfig(
        **SMALL | _MORE | {"activation_tiles": 2048}, name="four_clusters", clusters=4, grid_rows=4, grid_columns=1,
        weight_bits=9, activation_banks=8, weight_banks=1, integer_bits=4, fraction_bits=8, lines_per_beat=1, b_memory="ram",
        window=2, bus_width=128, softmax_units=4, layernorm_units=4, functions=("gelu", "tanh"), prune_curves=8, max_inner=512,
        wires="long",
    ),
    8: AcceleratorConfig(
        **SMALL | _MORE | {"activation_tiles": 4096}, name="eight_clusters", clusters=8, grid_rows=16, grid_columns=1,
        activation_banks=16, weight_banks=8, integer_bits=4, fraction_bits=8, lines_per_beat=2, window=2, bus_width=64,
        memory_ports=8, softmax_units=8, layernorm_units=16, functions=("gelu", "tanh"), prune_curves=8, max_inner=512,
    ),
}
"""By the number of clusters."""
