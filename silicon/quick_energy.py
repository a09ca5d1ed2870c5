"""The energy of an inference within milliseconds, without synthesis and without RTL."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

from ..hw.spec.config import AcceleratorConfig
from .energy import NOT_MODELLED, MainMemory
from .memory_macros import macro_shapes
from .quick_area import MODELLED, PROCESS, block_areas
from .sram import SramTable

__all__ = ["CLOCK_MHZ", "ENERGY_TABLE", "PARTS", "energy_quantity", "quick_energy"]

ENERGY_TABLE = Path(__file__).parent / "energy_table.json"
"""What an inference was measured to take, and what a library says about flip-flops and leakage."""

CLOCK_MHZ = 700.0
"""Clock for which the library's figures were measured."""

PARTS = {
    "MACs": ("pairs", ("MACs",)),
    "sparsity of the lanes": ("pairs", ("sparsity of the lanes",)),
    "rest of the PEs": ("tiles", ("slots of A", "slots of B", "expanders of A", "expanders of B", "FIFOs of A", "FIFOs of B",
                                  "rest of the PEs")),
    "post-process": ("tiles", ("post-process",)),
    "matrix engine": ("tiles", ("reader of A", "reader of B, activations", "reader of B, weights",
                                "queues of weights", "rest of the matrix engine")),
    "softmax units": ("rows", ("softmax units",)),
    "layer-norm units": ("rows", ("layer-norm units",)),
    "vector engine without its units": ("rows", ("rest of the vector engine", "readers of the vector engine")),
    "memory engine": ("bus", ("memory engine", "further memory ports", "reader of stores")),
    "logic of the buffers": ("tiles", ("activation buffer", "weight buffer", "vector buffer")),
    "control": ("none", ("control",)),
}
"""{part: (what its nets toggle with, see `_uses`; its blocks of `area_terms`, as far as they are there)}."""


@cache
def _table():
    return json.loads(ENERGY_TABLE.read_text())


@cache
def _sram(node):
    return SramTable(node=node)


def _uses(config, counters):
    """{what: how often it happens in a cycle}, see `quick_energy`."""
    cycles = max(1, counters["cycles"])
    share = counters["multiplications"] / (cycles * config.multipliers)
    loads = counters["a_tile_loads"] / config.grid_rows + counters["b_tile_loads"] / (config.clusters * config.grid_columns)
    return {
        "pairs": share * (2 - min(share, 1.0)), "tiles": loads * config.tile / cycles, "rows": counters["vector_busy"] / cycles,
        "bus": 8 * (counters["bytes_read"] + counters["bytes_written"]) / (cycles * config.bus_width), "none": 0.0,
    }


def _still(config, cycles, seconds):
    """{part: (joules of clock pins, joules of leakage, um2)}."""
    table, blocks = _table(), block_areas(config)
    found = {}
    for part, (_, names) in PARTS.items():
        flops, um2 = (sum(blocks[name]["copies"] * blocks[name][figure] for name in names
                           if name in blocks) for figure in ("flip_flops", "um2"))
        found[part] = (1e-15 * table["clock_fJ"] * flops * cycles, 1e-9 * table["leakage_nW_per_um2"] * um2 * seconds, um2)
    return found


@cache
def _activity():
    """{part: joules per um2 and cycle, at one use per cycle}, from the inference that was measured block by block."""
    measured = _table()["blocks_of"]
    config = replace(AcceleratorConfig.load(measured["config"]), **measured["fields"])
    counters = measured["counters"]
    uses, cycles = _uses(config, counters), counters["cycles"]
    found = {}
    for part, (clock, leakage, um2) in _still(config, cycles, 1e-6 * cycles / measured["clock_mhz"]).items():
        use = uses[PARTS[part][0]]
        toggling = max(0.0, 1e-6 * measured["uJ"][part] - clock - leakage)
        found[part] = toggling / (um2 * cycles * use) if use else 0.0
    return found


def _accesses(config, counters, sram):
    """Joules of the SRAM, from the counters."""
    c, words = config, config.words_per_slot
    dense = counters["dense_multiplications"]
    effectual = counters["multiplications"] / dense if dense else 1.0
    kept = {"none": (effectual**0.5, effectual**0.5), "activation": (effectual, 1.0),
            "both": (effectual**0.5, effectual**0.5)}[c.skip]
    banks = {name: (tiles // count * words, c.lines_per_beat * bits, tiles // count) for name, tiles, count, bits in (
        ("a", c.activation_tiles, c.activation_banks, c.line_bits),
        ("b", c.weight_tiles, c.weight_banks, c.weight_line_bits))}
    joules = 0.0
    for name, share in zip("ab", kept, strict=True):
        depth, width, slots = banks[name]
        loads = counters[f"{name}_tile_loads"]
        joules += loads * (max(1.0, words * share) * sram.estimate(width=width, depth=depth).read_pJ
                           + sram.estimate(width=c.mask_bits, depth=slots).read_pJ)
    depth, width, _ = banks["b"]
    joules += 8 * counters["bytes_read"] / width * sram.estimate(width=width, depth=depth).write_pJ
    for (deep, wide), count in macro_shapes(config).items():
        if wide == c.bus_width + 2:
            fifo = sram.estimate(width=wide, depth=deep)
            joules += count * 8 * counters["bytes_read"] / c.bus_width * (fifo.read_pJ + fifo.write_pJ)
    return 1e-12 * joules


def quick_energy(config, counters, clock_mhz=CLOCK_MHZ, *, sequences=1, memory="lpddr4", memory_node=None):
    """The energy of a run as plain values, from its counters and the energies of measured inferences; all of it is modelled.

    Logic takes the sum of three things:

    * Clock pins: an energy of the library, for every flip-flop in every cycle, since clocks are not gated.
    * Leakage: a power of the library for every um2, for as long as the run takes.
    * Toggling nets: an energy for every um2, which was measured for each part of `mini`, times how much the part is used.
      MACs and the sparsity of the lanes are used by multiplications: with a share u of the multipliers at work in a cycle, nets
      toggle as u (2 - u), since a multiplier that has nothing to do for a cycle between two products toggles to zero and back.
      The rest of the PEs, the matrix engine and the buffers are used by tiles of operands, the vector engine by the cycles in
      which it is busy, the memory engine by the bytes on the bus.

    SRAM is read for every tile of an operand, as many words as the zeros leave (each operand is taken to have the same share of
    zeros), and written for every byte that is loaded. Every operand B counts as a read of the weight buffer; on the other side
    what products and vector engine write and what the vector engine reads is left out. Main memory costs its energy per byte.

    Parameters
    ----------
    config : AcceleratorConfig
    counters : {name: value} of the run, those of the performance counters: cycles, multiplications, dense_multiplications,
        a_tile_loads, b_tile_loads, vector_busy, bytes_read, bytes_written
    clock_mhz : that of the measured library at most; the voltage stays the same
    sequences : in the run
    memory : kind of main memory, see `MainMemory`
    memory_node : see `quick_area`

    Returns
    -------
    dict: process, clock_mhz, memory, memory_node_nm, basis, seconds, sequences, sequences_per_second, power_mW, energy_uJ (a
    sequence), tops_per_watt (two operations for each multiplication of the dense model), parts: [{part, clock_uJ, leakage_uJ,
    activity_uJ, energy_uJ}] of a sequence, not_modelled

    Raises
    ------
    ConfigError : there is no such kind of memory, or no such memory node
    """
    main, sram = MainMemory(memory), _sram(memory_node)
    cycles = max(1, counters["cycles"])
    seconds = 1e-6 * cycles / clock_mhz
    uses, activity = _uses(config, counters), _activity()
    parts = {part: (clock, leakage, activity[part] * um2 * cycles * uses[PARTS[part][0]])
             for part, (clock, leakage, um2) in _still(config, cycles, seconds).items()}
    leaks = sum(count * sram.estimate(width=bits, depth=words).leakage_mW
                for (words, bits), count in macro_shapes(config).items())
    parts["SRAM"] = (0.0, 1e-3 * leaks * seconds, _accesses(config, counters, sram))
    parts["main memory"] = (0.0, 0.0, main.joules_per_byte * (counters["bytes_read"] + counters["bytes_written"]))
    total = sum(map(sum, parts.values()))
    rows = [{"part": part, "clock_uJ": 1e6 * clock / sequences, "leakage_uJ": 1e6 * leakage / sequences,
             "activity_uJ": 1e6 * toggling / sequences, "energy_uJ": 1e6 * (clock + leakage + toggling) / sequences}
            for part, (clock, leakage, toggling) in sorted(parts.items(), key=lambda item: -sum(item[1]))]
    return {
        "process": PROCESS, "clock_mhz": clock_mhz, "memory": main.kind, "memory_node_nm": sram.node, "basis": MODELLED,
        "seconds": seconds, "sequences": sequences, "sequences_per_second": sequences / seconds,
        "power_mW": 1e3 * total / seconds, "energy_uJ": 1e6 * total / sequences,
        "tops_per_watt": 2e-12 * counters["dense_multiplications"] / total, "parts": rows, "not_modelled": NOT_MODELLED,
    }


def energy_quantity(values):
    """What `quick_energy` gives, as one quantity of a report: its name, unit and parts."""
    parts = {row["part"]: row["energy_uJ"] for row in values["parts"]}
    return {"name": f"Energy per sequence ({values['basis']})", "unit": "uJ", "parts": parts}
