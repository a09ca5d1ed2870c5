"""Faults that Yosys plants in the netlists of small blocks: ``python -m support.netlist_mutants``.

Each is first compared with the block that is right, from reset on, whatever the inputs: what is proved equal is equivalent. The
others are simulated by the block's own test, in an overlay whose Verilog they replace.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyosys
from amaranth.back import rtlil

from acceltran.hw.control.semaphores import Semaphores
from acceltran.hw.post_process.requantise import Requantise
from acceltran.hw.streams.round_robin import RoundRobin
from acceltran.hw.streams.skid_buffer import SkidBuffer
from acceltran.hw.streams.stream_queue import StreamQueue
from support.mutants import ROOT, MutantError, Outcome, finish, overlay, report, run_tests

__all__ = ["BLOCKS", "equal", "mutations", "netlist", "planted"]

BLOCKS = {
    "round_robin": (lambda: RoundRobin(inputs=5), "tests/hw/test_round_robin.py::test_round_robin[5]"),
    "skid_buffer": (lambda: SkidBuffer(shape=16), "tests/hw/test_stream_parts.py::test_skid_buffer"),
    "stream_queue": (lambda: StreamQueue(shape=16, depth=3), "tests/hw/test_stream_parts.py::test_queue[3]"),
    "semaphores": (Semaphores, "tests/hw/test_semaphores.py::test_semaphores"),
    "requantise": (lambda: Requantise(input_width=24, output_width=20, left=8, right=20),
                   "tests/hw/test_requantise.py::test_requantise[24-20-8-20]"),
}
"""How a block is made, and the test that makes the same one."""

_EXPORT = "hw/verilog_export.py"
_REPLACED = '''

def to_verilog(component, name, *, fields=False):
    """The netlist with a fault."""
    return Path({path!r}).read_text()
'''

_MITER = ("read_rtlil {right}; rename {top} right; read_rtlil {wrong}; rename {top} wrong; miter -equiv -make_assert -flatten "
          "right wrong top; hierarchy -top top; opt; chformal -lower; async2sync; dffunmap; techmap; dffunmap; "
          "aigmap; opt_clean; write_aiger -zinit {folder}/miter.aig")
_ABC = "read_aiger {file}; fold; strash; {prove}"


def _yosys(passes):
    subprocess.run([sys.executable, "-c", "from pyosys import libyosys as ys; d = ys.Design(); "
                    f"[ys.run_pass(p.strip(), d) for p in {passes!r}.split(';')]"], check=True, capture_output=True)


def netlist(component, top, folder):
    """The RTLIL file of a block, flat and without processes."""
    source, target = folder / f"{top}_source.il", folder / f"{top}.il"
    source.write_text(rtlil.convert(component, name=top, emit_src=False))
    _yosys(f"read_rtlil {source}; hierarchy -top {top}; proc; flatten; opt_clean; write_rtlil {target}")
    return target


def mutations(right, count, seed):
    """Passes of Yosys, each of which plants a fault in a netlist."""
    names = right.with_suffix(".txt")
    _yosys(f"read_rtlil {right}; mutate -list {count} -seed {seed} -o {names}")
    return names.read_text().splitlines()


def planted(right, passes, name):
    """The netlist with a fault, as RTLIL and as Verilog."""
    wrong, verilog = right.with_name(f"{name}.il"), right.with_name(f"{name}.v")
    _yosys(f"read_rtlil {right}; {passes}; write_rtlil {wrong}; write_verilog -noattr {verilog}")
    return wrong, verilog


def equal(right, wrong, top, *, seconds=60):
    """Whether two netlists on one clock give the same outputs from reset on; None if neither is shown in that time."""
    with tempfile.TemporaryDirectory() as folder:
        _yosys(_MITER.format(right=right, wrong=wrong, top=top, folder=folder))
        file, abc = Path(folder) / "miter.aig", next(Path(pyosys.__file__).parent.rglob("yosys-abc*"))
        latches = int(file.read_bytes().split(maxsplit=4)[3])
        said = subprocess.run([abc, "-c", _ABC.format(file=file, prove=f"pdr -T {seconds}" if latches else "iprove")],
                              check=True, capture_output=True, text=True).stdout
    if "Property proved" in said or "UNSATISFIABLE" in said:
        return True
    return False if "was asserted" in said or "SATISFIABLE" in said else None


def _try(name, number, passes, right, top, test, limit):
    """The Outcome of one fault."""
    started, label = time.monotonic(), f"{name}/{number}"
    wrong, verilog = planted(right, passes, f"wrong_{number}")
    if "-port CLK " not in passes and equal(right, wrong, top):
        return Outcome(label, "equivalent", time.monotonic() - started, f"proved equal: {passes}")
    with overlay({_EXPORT: (ROOT / _EXPORT).read_text() + _REPLACED.format(path=str(verilog))}) as folder:
        status, _ = run_tests(folder, [test], limit, "-x")
    result = {None: "limit", 0: "survived", 1: "caught"}.get(status)
    if result is None:
        raise MutantError(f"{label}: pytest ends with {status}")
    return Outcome(label, result, time.monotonic() - started, passes)


def _main(arguments):
    parser = argparse.ArgumentParser(prog="support.netlist_mutants", description=__doc__.splitlines()[0])
    parser.add_argument("--block", choices=BLOCKS, action="append", help="only this one; may be given again")
    parser.add_argument("--count", type=int, default=10, help="faults in each block")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit", type=int, default=600, metavar="SECONDS", help="for each simulation")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the outcomes")
    given = parser.parse_args(arguments)
    outcomes = []
    with tempfile.TemporaryDirectory() as name:
        for block in given.block or BLOCKS:
            make, test = BLOCKS[block]
            component = make()
            top = type(component).__name__.lower()
            right = netlist(component, top, Path(name))
            for number, passes in enumerate(mutations(right, given.count, given.seed)):
                outcomes.append(one := _try(block, number, passes, right, top, test, given.limit))
                print(f"{one.result:10} {one.seconds:6.1f} s  {one.name:20} {one.reason}", flush=True)
    return report(outcomes, given.json)


if __name__ == "__main__":
    finish(_main)
