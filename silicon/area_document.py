"""The tables of docs/silicon.md about the models of area and energy."""

import json
import re
from dataclasses import replace

from ..hw.spec.config import PRESETS, AcceleratorConfig
from ..hw.spec.files import write_text
from .area_points import PE_BLOCKS
from .quick_area import AREA_TABLE, block_areas, quick_area
from .quick_energy import ENERGY_TABLE, quick_energy

__all__ = ["areas_table", "energies_table", "errors_table", "update_document"]


def _markdown(heads, rows):
    head, *lines = (f"| {' | '.join(line)} |\n" for line in (heads, *rows))
    return head + "|" + "---|" * len(heads) + "\n" + "".join(lines)


def _percent(modelled, measured):
    """The error of a model, a dash where it has no figure."""
    return "-" if modelled is None else f"{100 * (modelled / measured - 1):+.1f}"


def errors_table():
    """Markdown: measured and modelled gate equivalents of whole accelerators and PEs, the error of a fit without the point, and
    the worst block of every point.
    """
    table = json.loads(AREA_TABLE.read_text())
    rows, left_out = [], table["left_out"]
    for name, point in table["points"].items():
        blocks = block_areas(AcceleratorConfig.from_dict(point["fields"]), measured=False)
        areas = {block: (blocks[block]["gate_equivalents"], one["gate_equivalents"]) for block, one in point["blocks"].items()}
        worst = max(areas, key=lambda block, areas=areas: abs(areas[block][0] / areas[block][1] - 1))
        copies = {block: blocks[block]["copies"] if point["whole"] else 1 for block in areas}
        modelled, measured = (sum(copies[block] * pair[n] for block, pair in areas.items()) for n in (0, 1))
        rows.append([name, f"{measured:,.0f}", f"{modelled:,.0f}", _percent(modelled, measured),
                     _percent(left_out[name], measured), f"{worst}, {_percent(*areas[worst])}"])
    for name, pe in table["pes"].items():
        config = AcceleratorConfig.from_dict(pe["fields"])
        blocks = block_areas(config, measured=False)
        area = sum(blocks[block]["copies"] * blocks[block]["gate_equivalents"] for block in PE_BLOCKS) / config.pes
        measured = pe["gate_equivalents"]
        rows.append([name, f"{measured:,}", f"{area:,.0f}", _percent(area, measured), _percent(left_out[name], measured), ""])
    return _markdown(["point", "measured, GE", "modelled, GE", "error, %", "error if left out, %", "worst block, %"], rows)


def areas_table():
    """Markdown: the modelled areas of all presets."""
    heads, rows = ["preset", "million GE", "thousand flip-flops", "Mbit of SRAM", "logic, mm2", "SRAM, mm2", "all, mm2"], []
    for name in PRESETS:
        area = quick_area(AcceleratorConfig.load(name), measured=False)
        rows.append([f"`{name}`", f"{1e-6 * area['gate_equivalents']:,.2f}", f"{1e-3 * area['flip_flops']:,.0f}",
                     f"{1e-6 * area['sram_bits']:,.1f}",
                     *(f"{area[figure]:.3g}" for figure in ("logic_mm2", "sram_mm2", "mm2"))])
    return _markdown(heads, rows)


def energies_table():
    """Markdown: measured and modelled energies of a sequence."""
    table, rows = json.loads(ENERGY_TABLE.read_text()), []
    for name, run in {"mini, dense": table["blocks_of"], **table["runs"]}.items():
        config = replace(AcceleratorConfig.load(run["config"]), **run["fields"])
        energy = quick_energy(config, run["counters"], sequences=run["sequences"])["energy_uJ"]
        rows.append([name, run["how"], f"{run['energy_uJ']:g}", f"{energy:.3g}", _percent(energy, run["energy_uJ"])])
    return _markdown(["run", "how the figure was got", "uJ", "modelled, uJ", "error, %"], rows)


def update_document(path):
    """Write the tables into a document, each between its marker and the next end."""
    text = path.read_text()
    tables = {"area errors": errors_table(), "area of presets": areas_table(), "energy errors": energies_table()}
    for marker, table in tables.items():
        text = re.sub(rf"(?<=<!-- {marker} -->\n).*?(?=<!-- end -->)", lambda _, table=table: table, text, flags=re.DOTALL)
    write_text(path, text)
