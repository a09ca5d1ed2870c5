"""Bits of the Verilog that have one value for ever, found by Yosys: constants, and what follows from them."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from acceltran.hw.buffer.sram import SRAM_VERILOG
from acceltran.hw.streams.crossbar import CROSSBAR_VERILOG
from acceltran.sim.cache import digest, kept, package_versions
from acceltran.sim.design import accelerator_verilog

__all__ = ["constants"]

_ROUNDS = 4
"""Of simplifying all modules and carrying constants through their ports; the last one finds nothing new in either design."""

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
            subprocess.run([sys.executable, "-m", __name__, str(source), str(folder / _FILE)], check=True)

    folder = kept("verilog", f"constants-{config.name}-{digest(verilog, sources, package_versions('pyosys'))}", make)
    return {module: set(names) for module, names in json.loads((folder / _FILE).read_text()).items()}


def _find(source, target):
    from pyosys import libyosys as ys  # noqa: PLC0415 - only in the process that is made for it

    design = ys.Design()
    ys.run_pass(f"read_verilog -sv {SRAM_VERILOG} {CROSSBAR_VERILOG} {source}", design)
    ys.run_pass("hierarchy -top accelerator; proc -noopt; setattr -unset init w:*", design)
    for _ in range(_ROUNDS):
        ys.run_pass("opt_expr; opt_dff; opt_clean", design)
        _carry(ys, design)
    ys.run_pass("opt_expr; opt_dff; opt_clean", design)
    found = {}
    for name, module in design.modules_.items():
        same = ys.SigMap(module)
        names = found.setdefault(_plain(name), [])
        for wire in module.wires():
            bits = ys.SigSpec(wire).to_sigbit_vector()
            for index, bit in enumerate(bits):
                if _fixed(ys, same(bit)):
                    names.append(_plain(wire.name) + (f"[{index + wire.start_offset}]" if len(bits) > 1 else ""))
    Path(target).write_text(json.dumps(found))


def _plain(name):
    return str(name).removeprefix("\\")


def _fixed(ys, bit):
    return not bit.is_wire() and bit.data in (ys.State.S0, ys.State.S1)


def _carry(ys, design):
    """Connect inputs that all instances hold at one constant, and outputs that a module holds at one, to that constant."""
    given, driven = {}, {}
    for name, module in design.modules_.items():
        same = ys.SigMap(module)
        driven[str(name)] = {
            (str(wire.name), index): same(bit) for wire in module.wires() if wire.port_output
            for index, bit in enumerate(ys.SigSpec(wire).to_sigbit_vector()) if _fixed(ys, same(bit))}
    for module in list(design.modules_.values()):
        same = ys.SigMap(module)
        for cell in list(module.cells_.values()):
            kind = str(cell.type)
            if kind not in driven:
                continue
            for port, signal in cell.connections_.items():
                for index, bit in enumerate(signal.to_sigbit_vector()):
                    key = kind, str(port), index
                    if cell.input(port):
                        value = same(bit)
                        before = given.get(key, value)
                        given[key] = value if _fixed(ys, value) and before == value else None
                    elif (value := driven[kind].get((str(port), index))) is not None and bit.is_wire():
                        module.connect(ys.SigSpec(bit), ys.SigSpec(value))
    by_name = {str(name): module for name, module in design.modules_.items()}
    for (kind, port, index), value in given.items():
        if value is not None:
            module = by_name[kind]
            bit = ys.SigSpec(module.wire(ys.IdString(port))).to_sigbit_vector()[index]
            module.connect(ys.SigSpec(bit), ys.SigSpec(value))


if __name__ == "__main__":
    _find(*sys.argv[1:])
