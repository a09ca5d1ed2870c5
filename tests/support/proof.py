"""Proofs about small blocks: assertions that hold in every cycle, whatever the inputs that the assumptions allow."""

import subprocess
import sys
import tempfile
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import Module

_PASSES = ("read_rtlil {folder}/top.il; hierarchy -top top; proc; flatten; memory_map; opt; chformal -lower; async2sync; "
           "dffunmap; techmap; dffunmap; aigmap; opt_clean; write_aiger -zinit {folder}/top.aig")
_ABC = "read_aiger {folder}/top.aig; fold; strash; pdr -T {seconds}"


def holds(m, ports, *, seconds=120):
    """Whether every Assert in `m` (a Module) holds under its Assumes, from reset on; decided by property-directed reachability.

    Parameters
    ----------
    m : Module
    ports : its free inputs
    seconds : after which a proof counts as failed

    Raises
    ------
    AssertionError : neither proved nor refuted in that time
    """
    import pyosys

    assert isinstance(m, Module)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "top.il").write_text(rtlil.convert(m, name="top", ports=ports, emit_src=False))
        passes = _PASSES.format(folder=folder)
        subprocess.run([sys.executable, "-c", f"from pyosys import libyosys as ys; d = ys.Design(); "
                        f"[ys.run_pass(p.strip(), d) for p in {passes!r}.split(';')]"], check=True, capture_output=True)
        abc = next(Path(pyosys.__file__).parent.rglob("yosys-abc*"))
        said = subprocess.run([abc, "-c", _ABC.format(folder=folder, seconds=seconds)], check=True, capture_output=True,
                              text=True).stdout
    assert "Property proved" in said or "was asserted" in said, said
    return "Property proved" in said
