"""The area of a configuration within milliseconds, without synthesis."""

import json
from functools import cache
from pathlib import Path

from .area_terms import area_terms
from .memory_macros import macro_shapes
from .sram import SramTable

__all__ = ["AREA_TABLE", "MEASURED", "MODELLED", "PROCESS", "area_quantity", "block_areas", "quick_area"]

AREA_TABLE = Path(__file__).parent / "area_table.json"
"""Measured areas, and the coefficients that were fitted to them; `fit_area` writes it."""

MEASURED, MODELLED = "measured", "modelled"
PROCESS = "ASAP7, slow corner, 700 MHz"


@cache
def _table():
    return json.loads(AREA_TABLE.read_text())


@cache
def _sram(node):
    return SramTable(node=node)


def _identity(fields):
    return {name: value for name, value in fields.items() if name != "name"}


@cache
def _measured_blocks():
    """[(fields, blocks)] of the configurations that were mapped in one piece."""
    return [(_identity(point["fields"]), point["blocks"]) for point in _table()["points"].values() if point["whole"]]


def block_areas(config, *, measured=True):
    """{block: {copies, gate_equivalents, flip_flops, um2, basis}} of everything but SRAM macros, a copy each.

    Gate equivalents and flip-flops are sums of the terms in `area_terms` times the coefficients of a block's kind. The area in
    ASAP7 is that of the gate equivalents times a measured ratio, which a kind has, too.

    Parameters
    ----------
    config : AcceleratorConfig
    measured : whether a configuration that was measured gets what was measured, and not what the model says
    """
    coefficients = _table()["coefficients"]
    ratios = coefficients["um2_per_gate_equivalent"]
    fields = _identity(config.to_dict())
    known = next((blocks for point, blocks in _measured_blocks() if point == fields), {}) if measured else {}
    found = {}
    for name, block in area_terms(config).items():
        entry = known.get(name) or {
            figure: sum(coefficients[figure][block.kind].get(term, 0.0) * quantity for term, quantity in block.terms.items())
            for figure in ("gate_equivalents", "flip_flops")}
        um2 = entry["gate_equivalents"] * ratios.get(block.kind, ratios["all"])
        found[name] = {"kind": block.kind, "copies": block.copies, "gate_equivalents": entry["gate_equivalents"],
                       "flip_flops": entry["flip_flops"], "um2": um2, "basis": MEASURED if name in known else MODELLED}
    return found


def quick_area(config, *, memory_node=None, measured=True):
    """The area of a configuration as plain values, from measured blocks and their growth; see `area_terms`.

    SRAM macros are counted exactly, and their area is that of the table of macros, as in `acceltran synth`.

    Parameters
    ----------
    config : AcceleratorConfig
    memory_node : process of the SRAM in nm; None for the smallest in the table
    measured : see `block_areas`

    Returns
    -------
    dict: process, memory_node_nm, gate_equivalents, flip_flops, sram_bits, logic_mm2, sram_mm2, mm2, basis (`MEASURED` where
    gate equivalents and flip-flops of all blocks are, else `MODELLED`; mm2 of logic are always modelled), blocks: [{block,
    copies, gate_equivalents, flip_flops, mm2, basis}] with all copies together, the largest first

    Raises
    ------
    ConfigError : there is no such memory node
    """
    sram = _sram(memory_node)
    shapes = macro_shapes(config)
    memories = sum(count * sram.estimate(width=bits, depth=words).area_um2 for (words, bits), count in shapes.items())
    rows = [{
        "block": name, "copies": one["copies"], "gate_equivalents": one["copies"] * one["gate_equivalents"],
        "flip_flops": one["copies"] * one["flip_flops"], "mm2": 1e-6 * one["copies"] * one["um2"], "basis": one["basis"],
    } for name, one in block_areas(config, measured=measured).items()]
    rows.sort(key=lambda row: -row["mm2"])
    logic = sum(row["mm2"] for row in rows)
    return {
        "process": PROCESS, "memory_node_nm": sram.node,
        "gate_equivalents": sum(row["gate_equivalents"] for row in rows), "flip_flops": sum(row["flip_flops"] for row in rows),
        "sram_bits": sum(words * bits * count for (words, bits), count in shapes.items()),
        "logic_mm2": logic, "sram_mm2": 1e-6 * memories, "mm2": logic + 1e-6 * memories,
        "basis": MEASURED if all(row["basis"] == MEASURED for row in rows) else MODELLED, "blocks": rows,
    }


def area_quantity(values):
    """What `quick_area` gives, as one quantity of a report: its name, unit and parts."""
    parts = {row["block"]: row["mm2"] for row in values["blocks"]}
    return {"name": f"Area ({values['basis']})", "unit": "mm2", "parts": parts | {"SRAM": values["sram_mm2"]}}
