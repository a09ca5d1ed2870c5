"""The two configurations whose coverage is measured: the smallest, and one in which every optional part is built."""

from acceltran.hw.spec.activations import ACTIVATIONS
from acceltran.hw.spec.config import AcceleratorConfig

__all__ = ["CONFIGS"]

_EVERY_OPTION = AcceleratorConfig(
    name="every_option", tile=8, integer_bits=4, fraction_bits=8, weight_bits=9, clusters=2, grid_rows=4, grid_columns=2,
    skip="both", window=4, operand_slots=3, psum_tiles=2, b_memory="ram", lines_per_beat=1, wires="long", activation_banks=4,
    weight_banks=2, activation_tiles=512, weight_tiles=256, vector_lines=128, bus_width=128, address_bits=64, memory_ports=2,
    burst_beats=8, outstanding_reads=2, softmax_units=4, layernorm_units=4, layernorm_slices=2,
    functions=tuple(entry.name for entry in ACTIVATIONS), max_inner=256, prune_curves=4, instruction_queue=2,
)

CONFIGS = {config.name: config for config in (AcceleratorConfig.load("nano"), _EVERY_OPTION)}
