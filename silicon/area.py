"""Areas of a block and of everything in it."""

import re
from collections import Counter
from dataclasses import asdict, dataclass, field

__all__ = ["Measured", "measure", "plain_name", "report"]


def plain_name(instance):
    """The name of an instance without its number."""
    return re.sub(r"(\$\d+|_\d+)+$", "", instance)


@dataclass
class Measured:
    """One distinct module, with everything below it.

    Members
    -------
    area, own_area : in the library's unit; of the cells in the module itself
    cells, flip_flops : counts
    memory_bits : in SRAM macros
    macros : {(depth, width, reads, writes): count}
    count : copies in the top
    """

    area: float = 0.0
    own_area: float = 0.0
    cells: int = 0
    flip_flops: int = 0
    memory_bits: int = 0
    macros: Counter = field(default_factory=Counter)
    count: int = 0


def measure(modules, mapped, library):
    """{name: Measured} for `modules`, children first and the top last, as mapped to `library`."""
    found = {}
    for name, module in modules.items():
        cells = {cell: count for cell, count in mapped[name].cells.items() if cell in library.areas}
        found[name] = one = Measured(cells=sum(cells.values()))
        one.own_area = one.area = sum(library.areas[cell] * count for cell, count in cells.items())
        one.flip_flops = sum(cells.get(cell, 0) for cell in library.flip_flops)
        for macro in mapped[name].macros:
            one.macros[macro["depth"], macro["width"], macro["reads"], macro["writes"]] += 1
            one.memory_bits += macro["depth"] * macro["width"]
        for _, child in module.instances:
            below = found[child]
            one.area += below.area
            one.cells += below.cells
            one.flip_flops += below.flip_flops
            one.memory_bits += below.memory_bits
            one.macros.update(below.macros)
    names = list(modules)
    found[names[-1]].count = 1
    for name in reversed(names):
        for _, child in modules[name].instances:
            found[child].count += found[name].count
    return found


def report(modules, measured, library, sram):
    """All figures as plain values; `modules` holds the top last."""
    top = next(reversed(modules))
    whole = measured[top]
    return {
        "library": library.name, "unit": library.unit, "nand2": library.nand2,
        "area": round(whole.area, 3), "gate_equivalents": round(whole.area / library.nand2, 1), "cells": whole.cells,
        "flip_flops": whole.flip_flops, "memory_bits": whole.memory_bits, "memory_node_nm": sram.node,
        "memories": [
            {"depth": depth, "width": width, "reads": reads, "writes": writes, "count": count,
             **asdict(sram.estimate(width=width, depth=depth))}
            for (depth, width, reads, writes), count in sorted(whole.macros.items())
        ],
        "modules": [
            {"name": name, "count": one.count, "area": round(one.area, 3), "own_area": round(one.own_area, 3),
             "share": round(one.area * one.count / whole.area, 5) if whole.area else 0.0, "cells": one.cells,
             "flip_flops": one.flip_flops, "memory_bits": one.memory_bits,
             "instances": [list(instance) for instance in modules[name].instances]}
            for name, one in reversed(measured.items())
        ],
    }
