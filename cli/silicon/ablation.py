"""What each choice in a PE costs in area and gives in cycles."""

import dataclasses
import json

from ...hw.spec.config import AcceleratorConfig
from ...hw.spec.files import write_json
from ...sim.errors import SimulationError
from ...sim.products import Product, measure_products
from ...sim.sources import source_identity

__all__ = ["POINTS", "PRODUCTS", "ablate", "ablation_table", "configuration", "per_area"]

_BASE = {"grid_rows": 1, "grid_columns": 1, "window": 4}
POINTS = {
    "`both`, window 4, 2 slots, 20 bits": {},
    "`none`": {"skip": "none"}, "`activation`": {"skip": "activation"},
    "window 2": {"window": 2}, "window 5": {"window": 5}, "window 8": {"window": 8},
    "3 slots": {"operand_slots": 3},
    "1 output tile held": {"psum_tiles": 1},
    "8 bits": {"fraction_bits": 4}, "16 bits": {"fraction_bits": 12},
    "8 bits, `none`": {"fraction_bits": 4, "skip": "none"},
}
"""Differences from the first, one PE of `mini` with a window of 4 entries."""

PRODUCTS = {name: Product(m=128, k=512, n=128, act_sparsity=a, weight_sparsity=w)
            for name, a, w in (("dense", 0.0, 0.0), ("50x50", 0.5, 0.5), ("90x0", 0.9, 0.0))}


def configuration(differences):
    """The first of `POINTS` with these differences.

    Parameters
    ----------
    differences : {field: value}, as in `POINTS`
    """
    name = "pe_" + "_".join(f"{key}_{value}" for key, value in differences.items()) if differences else "pe"
    return dataclasses.replace(AcceleratorConfig.load("mini"), name=name, **_BASE | differences)


def ablate(area, *, folder, results, points=tuple(POINTS), stage=lambda text: None):
    """Measure what `results` (a JSON file) lacks, or all if it is of other sources.

    Cycles do not depend on the word length, so they are measured at 20 bits, on the RTL, every integer compared.

    Parameters
    ----------
    area : called with an AcceleratorConfig, gives the gate equivalents of a PE
    folder : for the logs of simulations
    results : see above; holds ``sources``, their `source_identity`, and ``points``, as returned
    points : those of `POINTS` to measure
    stage : called with what is being done

    Returns
    -------
    {point: {"gate_equivalents", "cycles": {product: cycles}}}

    Raises
    ------
    SimulationError : an integer differs from the golden model's
    """
    sources = source_identity("acceltran.hw", "acceltran.sw.golden", "acceltran.sim")
    found = json.loads(results.read_text()) if results.exists() else {}
    values = found["points"] if found.get("sources") == sources else {}
    for point in points:
        if point in values:
            continue
        differences = POINTS[point]
        timed = {key: value for key, value in differences.items() if key != "fraction_bits"}
        same = next((p for p in values if {k: v for k, v in POINTS[p].items() if k != "fraction_bits"} == timed), None)
        if same is None:
            runs = measure_products(configuration(timed), list(PRODUCTS.values()), folder=folder / configuration(timed).name,
                                    stage=lambda text, point=point: stage(f"{point}: {text}"))
            if any(run["mismatches"] for run in runs):
                raise SimulationError(f"{point}: the RTL and the golden model differ")
            cycles = {name: run["cycles"] for name, run in zip(PRODUCTS, runs, strict=True)}
        else:
            cycles = values[same]["cycles"]
        stage(f"{point}: mapping")
        values[point] = {"gate_equivalents": area(configuration(differences)), "cycles": cycles}
        write_json(results, {"sources": sources, "points": values})
    return {point: values[point] for point in points}


def per_area(entry, product):
    """Multiplications of the dense product per cycle and 1,000 gate equivalents."""
    return PRODUCTS[product].multiplications / entry["cycles"][product] / (entry["gate_equivalents"] / 1000)


def ablation_table(values):
    """Markdown: area and cycles, and throughput per area relative to the first point without skipping."""
    base = values["`none`"]
    heads = ["PE", "GE", "against `none`", *(f"{name} cycles" for name in PRODUCTS), *(f"{name} per area" for name in PRODUCTS)]
    text = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for point, entry in values.items():
        cells = [point, f"{entry['gate_equivalents']:,.0f}", f"{entry['gate_equivalents'] / base['gate_equivalents']:.2f}",
                 *(f"{entry['cycles'][name]:,}" for name in PRODUCTS),
                 *(f"{per_area(entry, name) / per_area(base, name):.2f}" for name in PRODUCTS)]
        text.append("| " + " | ".join(cells) + " |")
    return "\n".join([*text, ""])
