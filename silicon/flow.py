"""Yosys and ABC on one module, in a process of its own: ``python -m acceltran.silicon.flow FOLDER``."""

import json
import re
import sys
from collections import Counter
from pathlib import Path

from pyosys import libyosys as ys

from .fan_out import spread

__all__ = ["MACRO_PORTS", "SRAM_BITS", "SRAM_WORDS", "macro_name", "map_module"]

SRAM_BITS, SRAM_WORDS = 2048, 32
"""Memories of at least this many bits and words become SRAM macros; others flip-flops and multiplexers."""

_MACRO = "acceltran_macro"
_LEAST_AREA = "-script +strash;&get,-n;&fraig,-x;&put;scorr;dc2;dc2;dc2;strash;&get,-n;&dch,-f;&nf,-R,10,-F,5;&put"
_DELAY = ("-D {delay} -constr {constraints} -script +strash;&get,-n;&st;&dch;&nf;&put;buffer,-c;topo;stime,-p;"
          "upsize,-c,-D,{delay};dnsize,-c,-D,{delay};stime,-p")
_LARGE = 150_000
"""Gates from which a module is mapped without ABC's restructuring, which would take hours."""

_LARGE_AREA = "-script +strash;&get,-n;&nf,-R,10,-F,5;&put"
_LARGE_DELAY = _DELAY.replace("&st;&dch;", "")
_ELABORATE = (
    "hierarchy -check -top {top}", "proc -norom", "opt_expr", "opt_clean", "check -assert", "setattr -unset init",
    "opt -nodffe -nosdff", "wreduce", "peepopt", "opt_clean", "{booth}", "alumacc", "opt", "memory -nomap", "opt_clean",
)
_BOOTH = _ELABORATE.index("{booth}")
_MAP = (
    f"memory_map -attr !{_MACRO}", "setattr -unset init", "opt -undriven -fine", "techmap", "opt -fast",
    "dfflegalize -cell $_DFF_P_ x", "opt_expr", "opt_merge", "opt_clean", "rename -wire t:$_DFF_P_",
    "dfflibmap -liberty {liberty}",
)
_ABC = ("tee -o {log} abc -liberty {liberty} {abc}", "opt_clean -purge")
_REACHED = re.compile(r"\bDelay\s*=\s*([\d.]+) ps")


MACRO_PORTS = ("RD_CLK", "RD_EN", "RD_ADDR", "RD_DATA", "WR_CLK", "WR_EN", "WR_ADDR", "WR_DATA")
"""Ports of a macro, those of all its read and write ports packed."""


def macro_name(*, depth, width, reads, writes):
    """Cell name of an SRAM macro."""
    return f"sram_{depth}x{width}_{reads}r{writes}w"


def map_module(folder, *, top, liberty, areas, delay=None, driver=None, load=None, buffer=None):
    """Map ``source.il`` in `folder` to the cells of `liberty`; writes ``netlist.v`` and ``cells.json`` there.

    Multipliers are tried with and without Booth recoding. The smaller result stays; if only one keeps to `delay` that one,
    and if none does the faster.

    Parameters
    ----------
    folder : Path, with RTLIL of the module and black boxes of its children
    top : name of the module
    liberty : path of the library
    areas : {cell: area}
    delay : ps between registers that ABC buffers and sizes for; None for the least area
    driver, load : with `delay`, cell that drives the inputs and load of the outputs in fF
    buffer : with `delay`, (cell, input, output) for `spread`; None for no buffers
    """
    scripts = _LEAST_AREA, _LARGE_AREA
    if delay:
        constraints = folder / "abc.constr"
        constraints.write_text(f"set_driving_cell {driver}\nset_load {load}\n")
        scripts = [script.format(delay=delay, constraints=constraints) for script in (_DELAY, _LARGE_DELAY)]

    def mapped(booth):
        design, log = ys.Design(), folder / "abc.log"
        values = {"top": top, "liberty": liberty, "booth": booth, "log": log}

        def run(*commands):
            for command in commands:
                if text := command.format(**values):
                    ys.run_pass(text, design)

        run(f"read_rtlil {folder / 'source.il'}", *_ELABORATE[:_BOOTH])
        multiplies = any(cell.type.str() == "$mul" for cell in design.top_module().cells_.values())
        run(*_ELABORATE[_BOOTH:])
        for cell in _large_memories(design.top_module()):
            cell.set_bool_attribute(ys.IdString(f"\\{_MACRO}"), True)
        run(*_MAP)
        values["abc"] = scripts[len(design.top_module().cells_) > _LARGE]
        run(*_ABC)
        macros = [_macro(ys, design.top_module(), cell) for cell in _large_memories(design.top_module())]
        if buffer:
            spread(ys, design, areas, buffer)
        cells = Counter(cell.type.str().removeprefix("\\") for cell in design.top_module().cells_.values())
        area = sum(areas.get(cell, 0) * count for cell, count in cells.items())
        late = max(0.0, _reached(log) - delay) if delay else 0.0
        return design, (late, area), multiplies, {"cells": cells, "macros": macros}

    best = mapped("")
    if best[2]:
        best = min(best, mapped("booth"), key=lambda result: result[1])
    design, _, _, result = best
    ys.run_pass(f"write_verilog -noattr -noexpr -simple-lhs {folder / 'netlist.v'}", design)
    netlist = (folder / "netlist.v").read_text()
    (folder / "netlist.v").write_text(re.sub(r"^  (wire|input|output) signed ", r"  \1 ", netlist, flags=re.MULTILINE))
    (folder / "cells.json").write_text(json.dumps(result))


def _reached(log):
    """Ps of the longest path that ABC leaves, as it says last in `log`; 0 if there was nothing to map."""
    delays = _REACHED.findall(log.read_text())
    return float(delays[-1]) if delays else 0.0


def _large_memories(module):
    for cell in list(module.cells_.values()):
        if cell.type.str() == "$mem_v2" and _value(cell, "WR_PORTS"):
            words = _value(cell, "SIZE")
            if words >= SRAM_WORDS and words * _value(cell, "WIDTH") >= SRAM_BITS:
                yield cell


def _value(cell, parameter):
    return cell.parameters[f"\\{parameter}"].as_int()


def _macro(ys, module, cell):
    """Replace a memory by a black box; returns what it is."""
    macro = {"depth": _value(cell, "SIZE"), "width": _value(cell, "WIDTH"), "reads": _value(cell, "RD_PORTS"),
             "writes": _value(cell, "WR_PORTS")}
    box = module.addCell(ys.IdString(f"{cell.name.str()}$macro"), ys.IdString(f"\\{macro_name(**macro)}"))
    for port, signal in cell.connections().items():
        if signal.size() and port.str()[1:] in MACRO_PORTS:
            box.setPort(port, signal)
    module.remove(cell)
    return macro


if __name__ == "__main__":
    _folder = Path(sys.argv[1])
    map_module(_folder, **json.loads((_folder / "job.json").read_text()))
