"""Verilog that counts how often its nets toggle, instance by instance."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ..sim.errors import SimulationError

__all__ = ["COUNTER_SOURCE", "LOG", "ToggleCount", "read_toggles", "with_toggle_counters"]

COUNTER_SOURCE = Path(__file__).parents[1] / "sim" / "verilog" / "acceltran_toggles.v"
"""The counters, and what binds them to the modules that are written in Verilog."""

LOG = "toggles.log"
"""What a simulation writes at its end, in its folder."""

_PIECE = 4096
"""Bits that one counter compares."""

_MODULE = re.compile(r"^module \S+ ?\(.*?^endmodule", re.MULTILINE | re.DOTALL)
_NET = re.compile(r"^  (input|output|wire|reg) (?:signed )?(?:\[(\d+):0\] )?(\S+) *(?:= [^;]*)?;", re.MULTILINE)
_CLOCK = re.compile(r"(^|_)clk$")
_NO_NET = re.compile(r"(^|_)(clk|rst)$|^\\\$auto\$verilog_backend")
_LINE = re.compile(r"(\S+)\.acceltran_(inputs|driven|accesses)_\d+ (\d+) (\d+)")


@dataclass(frozen=True)
class ToggleCount:
    """Of one instance, without those in it; clocks and resets are left out.

    Members
    -------
    driven, driven_bits : toggles of the nets that the module drives, and how many bits these have
    inputs, input_bits : the same of its inputs
    reads, writes : of an SRAM, cycles in which it was read or written
    """

    driven: int = 0
    driven_bits: int = 0
    inputs: int = 0
    input_bits: int = 0
    reads: int = 0
    writes: int = 0


def with_toggle_counters(verilog, clock):
    """`verilog`, as Yosys writes it, with counters for the nets of every module.

    A net counts as toggled if it differs at two clock edges in turn, so glitches do not count. Compile it together with
    `COUNTER_SOURCE`.

    Parameters
    ----------
    verilog : text
    clock : dotted path of the clock, for modules without one
    """
    return _MODULE.sub(lambda found: _counted(found[0], clock), verilog)


def _counted(module, clock):
    nets = {}
    for kind, high, name in _NET.findall(module):
        nets.setdefault(name, (kind == "input", int(high or 0) + 1))
    clock = next((name for name in nets if _CLOCK.search(name)), clock)
    text = module.removesuffix("endmodule")
    for kind in ("inputs", "driven"):
        chosen = [(name, bits) for name, (is_input, bits) in nets.items()
                  if is_input == (kind == "inputs") and not _NO_NET.search(name)]
        for n, (bits, piece) in enumerate(_pieces(chosen)):
            text += (f"  acceltran_toggles #(.BITS({bits})) acceltran_{kind}_{n}"
                     f"(.clk({clock}), .nets({{ {', '.join(piece)} }}));\n")
    return text + "endmodule"


def _pieces(nets):
    """(bits, names) of at most `_PIECE` bits each, for `nets` of [(name, bits)]."""
    size, piece = 0, []
    for name, bits in nets:
        for low in range(0, bits, _PIECE):
            high = min(low + _PIECE, bits)
            if size + high - low > _PIECE:
                yield size, piece
                size, piece = 0, []
            piece.append(f"{name} " if high - low == bits else f"{name} [{high - 1}:{low}]")
            size += high - low
    if piece:
        yield size, piece


def read_toggles(path):
    """{dotted path of the instance: ToggleCount} of a simulation's `LOG`.

    Raises
    ------
    SimulationError : it is no log of toggles
    """
    lines = path.read_text().splitlines() if path.exists() else []
    found = {}
    for line in lines:
        if not (match := _LINE.fullmatch(line)):
            raise SimulationError(f"{path}: {line!r} is no count of toggles")
        names = {"inputs": ("inputs", "input_bits"), "driven": ("driven", "driven_bits"), "accesses": ("reads", "writes")}
        one = found.setdefault(match[1].replace("\\", ""), Counter())
        one.update(dict(zip(names[match[2]], map(int, match.groups()[2:]), strict=True)))
    if not found:
        raise SimulationError(f"{path}: has no counts of toggles")
    return {instance: ToggleCount(**one) for instance, one in found.items()}
