"""Yosys and ABC on one module, in a process of its own: ``python -m acceltran.sim.silicon.flow FOLDER``."""

import json
import sys
from collections import Counter
from pathlib import Path

__all__ = ["SRAM_BITS", "SRAM_WORDS", "map_module"]

SRAM_BITS, SRAM_WORDS = 2048, 32
"""Memories of at least this many bits and words become SRAM macros; others flip-flops and multiplexers."""

_MACRO = "acceltran_macro"
_LEAST_AREA = "-script +strash;&get,-n;&fraig,-x;&put;scorr;dc2;dc2;dc2;strash;&get,-n;&dch,-f;&nf,-R,10,-F,5;&put"
_ELABORATE = (
    "hierarchy -check -top {top}", "proc -norom", "opt_expr", "opt_clean", "check -assert", "setattr -unset init",
    "opt -nodffe -nosdff", "wreduce", "peepopt", "opt_clean", "{booth}", "alumacc", "opt", "memory -nomap", "opt_clean",
)
_BOOTH = _ELABORATE.index("{booth}")
_MAP = (
    f"memory_map -attr !{_MACRO}", "setattr -unset init", "opt -undriven -fine", "techmap", "opt -fast",
    "dfflegalize -cell $_DFF_P_ x", "opt_expr", "opt_merge", "opt_clean", "rename -wire t:$_DFF_P_",
    "dfflibmap -liberty {liberty}", "abc -liberty {liberty} {abc}", "opt_clean -purge",
)


def map_module(folder, *, top, liberty, areas, abc=_LEAST_AREA):
    """Map ``source.il`` in `folder` to the cells of `liberty`; writes ``netlist.v`` and ``cells.json`` there.

    Multipliers are tried with and without Booth recoding; the smaller result stays.

    Parameters
    ----------
    folder : Path, with RTLIL of the module and black boxes of its children
    top : name of the module
    liberty : path of the library
    areas : {cell: area}
    abc : options of the pass of this name
    """
    from pyosys import libyosys as ys

    def mapped(booth):
        design = ys.Design()
        values = {"top": top, "liberty": liberty, "booth": booth, "abc": abc}

        def run(*commands):
            for command in commands:
                if text := command.format(**values):
                    ys.run_pass(text, design)

        run(f"read_rtlil {folder / 'source.il'}", *_ELABORATE[:_BOOTH])
        multiplies = any(cell.type.str() == "$mul" for cell in design.top_module().cells_.values())
        run(*_ELABORATE[_BOOTH:])
        macros = [_macro(ys, cell) for cell in _large_memories(design.top_module())]
        run(*_MAP)
        cells = Counter(cell.type.str().removeprefix("\\") for cell in design.top_module().cells_.values())
        area = sum(areas.get(cell, 0) * count for cell, count in cells.items())
        return design, area, multiplies, {"cells": cells, "macros": macros}

    best = mapped("")
    if best[2]:
        best = min(best, mapped("booth"), key=lambda result: result[1])
    design, _, _, result = best
    ys.run_pass(f"write_verilog -noattr -noexpr {folder / 'netlist.v'}", design)
    (folder / "cells.json").write_text(json.dumps(result))


def _large_memories(module):
    for cell in list(module.cells_.values()):
        if cell.type.str() == "$mem_v2" and _value(cell, "WR_PORTS"):
            words = _value(cell, "SIZE")
            if words >= SRAM_WORDS and words * _value(cell, "WIDTH") >= SRAM_BITS:
                yield cell


def _value(cell, parameter):
    return cell.parameters[f"\\{parameter}"].as_int()


def _macro(ys, cell):
    cell.set_bool_attribute(ys.IdString(f"\\{_MACRO}"), True)
    return {"depth": _value(cell, "SIZE"), "width": _value(cell, "WIDTH"), "reads": _value(cell, "RD_PORTS"),
            "writes": _value(cell, "WR_PORTS")}


if __name__ == "__main__":
    _folder = Path(sys.argv[1])
    map_module(_folder, **json.loads((_folder / "job.json").read_text()))
