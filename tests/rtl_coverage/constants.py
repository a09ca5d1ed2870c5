"""Bits of the Verilog that have one value for ever, found by Yosys: constants, and what follows from them."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from pyosys import libyosys as ys

from acceltran.hw.buffer.sram import SRAM_VERILOG
from acceltran.hw.streams.crossbar import CROSSBAR_VERILOG
from acceltran.sim.cache import digest, kept, package_versions
from acceltran.sim.design import accelerator_verilog

__all__ = ["constants"]

_ROUNDS = 4
"""Of simplifying all modules and carrying constants through their ports."""

_FILE = "constants.json"


def constants(config):
    """Names of bits that never change, by module: ``{module: {"signal", "signal[3]", ...}}``.

    A bit counts if it has the same value in all instances of its module. Yosys propagates constants through expressions,
    registers whose next value is their present one, and the ports of modules.
    """
    verilog = accelerator_verilog(config)
    sources = [Path(__file__).read_text(), SRAM_VERILOG.read_text(), CROSSBAR_VERILOG.read_text()]

    def make(folder):
        with tempfile.TemporaryDirectory() as name:
            source = Path(name) / "accelerator.v"
            source.write_text(verilog)
            # In a process of its own: Yosys keeps what it has read, and ends the program when it does not like it.
            subprocess.run([sys.executable, "-m", __name__, str(source), str(folder / _FILE)], check=True,
                           stdout=subprocess.DEVNULL)

    folder = kept("verilog", f"constants-{config.name}-{digest(verilog, sources, package_versions('pyosys'))}", make)
    return {module: set(names) for module, names in json.loads((folder / _FILE).read_text()).items()}


def _find(source, target):
    """Write the constants of a file of Verilog with top module ``accelerator`` as JSON."""
    simplify = "opt_expr; opt_dff; opt_clean; opt_hier; " * _ROUNDS
    with tempfile.TemporaryDirectory() as name:
        netlist = Path(name) / "netlist.json"
        design = ys.Design()
        ys.run_pass(f"read_verilog -sv {SRAM_VERILOG} {CROSSBAR_VERILOG} {source}", design)
        ys.run_pass("hierarchy -top accelerator", design)
        for command in ("proc -noopt", "setattr -unset init w:*", *simplify.split("; ")[:-1], "opt_expr", "opt_clean"):
            ys.run_pass(command, design)
        ys.run_pass(f"write_json -noscopeinfo {netlist}", design)
        modules = json.loads(netlist.read_text())["modules"]
    Path(target).write_text(json.dumps({module: _fixed(content["netnames"]) for module, content in modules.items()}))


def _fixed(nets):
    """Names of bits that are constants."""
    return [name + (f"[{index + net.get('offset', 0)}]" if len(net["bits"]) > 1 else "")
            for name, net in nets.items() for index, bit in enumerate(net["bits"]) if bit in ("0", "1")]


if __name__ == "__main__":
    _find(*sys.argv[1:])
