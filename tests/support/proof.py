"""Proofs about small blocks: assertions that hold in every cycle, whatever the inputs that the assumptions allow."""

import re
import resource
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path

import pyosys
from amaranth.back import rtlil
from amaranth.hdl import Module, Value
from amaranth.lib.wiring import In

from acceltran.hw.buffer.sram import SRAM_VERILOG
from acceltran.hw.streams.crossbar import CROSSBAR_VERILOG

_PASSES = (
    "read_verilog {verilog}; read_rtlil {folder}/top.il; hierarchy -top top; proc; flatten; memory; opt; chformal -lower; "
    "async2sync; dffunmap; techmap; dffunmap; aigmap; opt_clean; setundef -anyseq; opt_clean; "
    "write_aiger -zinit {folder}/top.aig"
)
_YOSYS = "import sys; from pyosys import libyosys as ys; d = ys.Design(); [ys.run_pass(p, d) for p in sys.argv[1].split(';')]"
_PROVE = "read_aiger {folder}/top.aig; fold; strash; scorr; pdr"
_PROVE_BY_INDUCTION = "read_aiger {folder}/top.aig; fold; strash; scorr -C 1000000; pdr"
_SEARCH = "read_aiger {folder}/top.aig; fold; strash; bmc3 -F {cycles}"
_WITHOUT_REGISTERS = "read_aiger {folder}/top.aig; strash; iprove"


class Verdict(Enum):
    """What became of a question."""

    PROVED = "proved"
    REFUTED = "refuted"
    UNDECIDED = "undecided"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A verdict.

    Parameters
    ----------
    verdict : of the prover
    cycles : refuted, those before the one in which an assertion fails; of a search without success, those that were searched
    seconds : of the processor that it took, conversion included
    said : the last lines of the prover
    """

    verdict: Verdict
    cycles: int
    seconds: float
    said: str


def decide(m, ports, *, inductive=False, seconds=120):
    """Whether every Assert in `m` holds under its Assumes, from reset on, with a reset in any cycle; by property-directed
    reachability.

    Parameters
    ----------
    m : Module
    ports : its free inputs
    inductive : whether what is asserted follows, as one, from itself in the cycle before; then this is tried first
    seconds : of the processor, for the prover; what else the machine does changes no verdict

    Returns
    -------
    Answer
    """
    return _ask(m, ports, _PROVE_BY_INDUCTION if inductive else _PROVE, seconds=seconds)


def search(m, ports, *, cycles=100, seconds=60):
    """Look for the shortest sequence of inputs that makes an Assert of `m` fail, in so many cycles.

    Returns
    -------
    Answer; undecided if there is none that short, or the time was over
    """
    return _ask(m, ports, _SEARCH, seconds=seconds, cycles=cycles)


def holds(m, ports, *, seconds=120):
    """Whether every Assert in `m` holds, as `decide` finds.

    Raises
    ------
    AssertionError : neither proved nor refuted in that time
    """
    answer = decide(m, ports, seconds=seconds)
    assert answer.verdict != Verdict.UNDECIDED, answer.said
    return answer.verdict == Verdict.PROVED


def inputs(component):
    """The signals that come into a component, `ready` of its output streams included: free, unless something drives them."""
    return [Value.cast(value) for _, member, value in component.signature.flatten(component) if member.flow == In]


def _ask(m, ports, script, *, seconds, **limits):
    begun = _spent()
    assert isinstance(m, Module)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "top.il").write_text(rtlil.convert(m, name="top", ports=ports, emit_src=False))
        passes = _PASSES.format(folder=folder, verilog=f"{SRAM_VERILOG} {CROSSBAR_VERILOG}")
        _run([sys.executable, "-c", _YOSYS, passes])
        abc = next(Path(pyosys.__file__).parent.glob("yosys-abc*"))
        _, _, _, registers, *counts = (Path(folder) / "top.aig").read_bytes().split(b"\n", 1)[0].split()
        if int(registers) == 0 and not (len(counts) > 3 and int(counts[3])):
            script = _WITHOUT_REGISTERS
        said = _run([abc, "-c", script.format(folder=folder, **limits)], seconds=seconds)
    failed = re.search(r"was asserted in frame (\d+)|\bSATISFIABLE", said)
    counted = re.search(r"asserted in (?:frame )?(\d+)", said)
    solved = any(words in said for words in ("Property proved", "All outputs solved", "UNSATISFIABLE"))
    return Answer(
        verdict=Verdict.REFUTED if failed else Verdict.PROVED if solved else Verdict.UNDECIDED,
        cycles=int(counted[1]) if counted else 0, seconds=_spent() - begun, said=said[-2000:],
    )


def _spent():
    """Seconds of the processor that subprocesses took so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _run(command, *, seconds=None):
    limit = seconds and partial(resource.setrlimit, resource.RLIMIT_CPU, (seconds, seconds))
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, preexec_fn=limit)
    if seconds and done.returncode == -signal.SIGKILL:
        return f"{done.stdout}\nstopped after {seconds} seconds of the processor"
    assert done.returncode == 0, done.stdout[-2000:]
    return done.stdout
