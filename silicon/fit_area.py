"""Measure the points of the area model and fit its coefficients: ``python -m acceltran.silicon.fit_area``.

With ``--measure FILE...`` (the cell library in ASAP7) all points are mapped, which takes an hour, and without only the
coefficients are fitted again. Either way `AREA_TABLE` is written, and with ``--document`` the tables of a document.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from ..hw.spec.config import AcceleratorConfig
from ..hw.spec.files import write_json
from .area_document import errors_table, update_document
from .area_points import LIBRARY_POINTS, PE_BLOCKS, PE_FIGURES, POINTS, measure_point
from .area_terms import COMBINATIONAL, area_terms
from .cell_energy import cell_energies
from .design import accelerator_modules
from .energy import block_counts
from .liberty import GATE_EQUIVALENTS, read_library
from .mapper import map_modules
from .quick_area import AREA_TABLE
from .quick_energy import CLOCK_MHZ, ENERGY_TABLE

__all__ = ["fit", "left_out", "pe_points", "ratios"]

_PE_WEIGHT = 6.0
"""Of the area of a whole PE, beside that of a block."""

_RIDGE = 1e-3
"""Keeps terms that the points do not tell apart from taking all of what they share."""


def fit(points, pes):
    """{figure: {kind: {term: coefficient}}}, none negative, with the least squares of relative errors.

    Parameters
    ----------
    points : {name: {fields, blocks: {block: {gate_equivalents, flip_flops}}}}
    pes : {name: {fields, gate_equivalents}}
    """
    gates, flops = [], []
    for point in points.values():
        terms = area_terms(AcceleratorConfig.from_dict(point["fields"]))
        for block, figures in point["blocks"].items():
            gates.append((_quantities([(1, terms[block])]), figures["gate_equivalents"], 1.0))
            if figures["flip_flops"]:
                registers = {key: value for key, value in gates[-1][0].items() if key[1] not in COMBINATIONAL}
                flops.append((registers, figures["flip_flops"], 1.0))
    gates += [(_pe_quantities(pe), pe["gate_equivalents"], _PE_WEIGHT) for pe in pes.values()]
    return {"gate_equivalents": _solve(gates), "flip_flops": _solve(flops)}


def left_out(points, pes):
    """{name: gate equivalents of a point or PE by a fit without it}; None where a term of it is in no other."""
    found = {}
    for name, point in points.items():
        terms = area_terms(AcceleratorConfig.from_dict(point["fields"]))
        copies = [(terms[block].copies if point["whole"] else 1, terms[block]) for block in point["blocks"]]
        others = {other: one for other, one in points.items() if other != name}
        found[name] = _predicted(_quantities(copies), others, pes)
    for name, pe in pes.items():
        found[name] = _predicted(_pe_quantities(pe), points, {other: one for other, one in pes.items() if other != name})
    return found


def _predicted(quantities, points, pes):
    known = set().union(*(_quantities([(1, block) for block in area_terms(config).values()]) for config in (
        AcceleratorConfig.from_dict(one["fields"]) for one in (*points.values(), *pes.values()))))
    coefficients = fit(points, pes)["gate_equivalents"]
    if not set(quantities) <= known:
        return None
    return round(sum(coefficients[kind].get(term, 0.0) * quantity for (kind, term), quantity in quantities.items()))


def _quantities(blocks):
    """{(kind, term): quantity} of all of [(copies, Block)]."""
    found = {}
    for copies, block in blocks:
        for term, quantity in block.terms.items():
            if quantity:
                found[block.kind, term] = found.get((block.kind, term), 0.0) + copies * quantity
    return found


def _pe_quantities(pe):
    config = AcceleratorConfig.from_dict(pe["fields"])
    return _quantities([(block.copies / config.pes, block) for name, block in area_terms(config).items() if name in PE_BLOCKS])


def _solve(rows):
    keys = sorted({key for terms, _, _ in rows for key in terms})
    matrix = np.array([[weight * terms.get(key, 0.0) / measured for key in keys] for terms, measured, weight in rows])
    wanted = np.array([weight for _, _, weight in rows])
    scale = np.where(matrix.max(axis=0) > 0, matrix.max(axis=0), 1.0)
    found, _ = nnls(np.vstack([matrix / scale, _RIDGE * np.eye(len(keys))]), np.concatenate([wanted, np.zeros(len(keys))]))
    coefficients = {}
    for (kind, term), value in zip(keys, found / scale, strict=True):
        coefficients.setdefault(kind, {})
        if value > 0:
            coefficients[kind][term] = float(f"{value:.6g}")
    return coefficients


def ratios(points, libraries):
    """{kind: um2 in ASAP7 per gate equivalent}, the mean over the points that were mapped to both; "all" for other kinds."""
    found = {}
    for name, blocks in libraries.items():
        terms = area_terms(AcceleratorConfig.from_dict(points[name]["fields"]))
        for block, um2 in blocks.items():
            found.setdefault(terms[block].kind, []).append(um2 / points[name]["blocks"][block]["gate_equivalents"])
    means = {kind: float(np.mean(several)) for kind, several in sorted(found.items())}
    return {kind: float(f"{mean:.5g}") for kind, mean in (means | {"all": float(np.mean(list(means.values())))}).items()}


def pe_points():
    """{name: {fields, gate_equivalents}} of `PE_FIGURES`."""
    return {name: {"fields": AcceleratorConfig.from_dict(
        AcceleratorConfig.load(preset).to_dict() | {"name": "pe"} | fields).to_dict(), "gate_equivalents": area}
        for name, (preset, fields, area) in PE_FIGURES.items()}


def _measure(liberty):
    generic, library = read_library([GATE_EQUIVALENTS]), read_library(liberty)
    points, libraries = {}, {}
    for name in POINTS:
        print(f"measuring {name}", flush=True)
        points[name] = measure_point(name, generic)
        if name in LIBRARY_POINTS:
            blocks = measure_point(name, library, clock=CLOCK_MHZ)["blocks"]
            libraries[name] = {block: round(one["area"], 2) for block, one in blocks.items()}
    return points, libraries


def _library_figures(liberty):
    """Energy of the clock pin of the smallest flip-flop in a cycle, and leakage of the cells of `mini` per area."""
    library = read_library(liberty, power=True)
    volts, cells = cell_energies(library)
    flip_flop = cells[min(library.flip_flops, key=library.areas.get)]
    farads, joules = flip_flop.inputs[flip_flop.clock]
    modules = accelerator_modules(AcceleratorConfig.load("mini"))
    mapped = map_modules(modules, read_library(liberty), clock=CLOCK_MHZ)
    watts = area = 0.0
    for (_, name), copies in block_counts(modules).items():
        for cell, count in mapped[name].cells.items():
            if cell in cells:
                watts += copies * count * cells[cell].leakage
                area += copies * count * library.areas[cell]
    return {"clock_fJ": float(f"{2e15 * (0.5 * farads * volts**2 + joules):.4g}"),
            "leakage_nW_per_um2": float(f"{1e9 * watts / area:.3g}")}


def main():
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measure", nargs="+", metavar="FILE", help="map all points again, with this library in ASAP7")
    parser.add_argument("--document", type=Path, metavar="FILE", help="document whose tables are written, docs/silicon.md")
    options = parser.parse_args()
    if options.measure:
        points, libraries = _measure(options.measure)
        energies = json.loads(ENERGY_TABLE.read_text())
        write_json(ENERGY_TABLE, energies | _library_figures(options.measure))
    else:
        table = json.loads(AREA_TABLE.read_text())
        points, libraries = table["points"], table["um2"]
    pes = pe_points()
    coefficients = fit(points, pes) | {"um2_per_gate_equivalent": ratios(points, libraries)}
    write_json(AREA_TABLE, {"command": "python -m acceltran.silicon.fit_area --measure 'asap7*.lib.gz'", "points": points,
                            "pes": pes, "um2": libraries, "coefficients": coefficients,
                            "left_out": left_out(points, pes)})
    print(errors_table())
    if options.document:
        update_document(options.document)


if __name__ == "__main__":
    main()
