"""The accelerator of a configuration as distinct modules, and the blocks among them."""

import json
import subprocess
import sys
import tempfile
from collections import deque
from dataclasses import asdict
from pathlib import Path

from amaranth.back import rtlil

from ..hw.accelerator import Accelerator
from ..hw.buffer.sram import SRAM_VERILOG
from ..hw.shared_module import ModuleLibrary
from ..hw.spec.errors import ConfigError
from ..hw.streams.crossbar import CROSSBAR_VERILOG
from ..hw.verilog_export import uncollected, without_fields
from ..sim.cache import digest, kept, package_versions
from ..sim.sources import source_identity
from . import modules as modules_source
from .area import plain_name
from .modules import DistinctModule, merge_modules

__all__ = ["BLOCKS", "RUN_PASSES", "accelerator_modules", "block_names", "find_block", "with_children"]

BLOCKS = {
    "mac_lane": "lane", "post_process": "post", "compressor": "post.compressor", "expander": "expand_b",
    "tile_buffer": "activation_buffer", "memory_engine": "memory", "matrix_engine": "matrix", "vector_engine": "vector",
    "control_unit": "control",
}
"""Blocks that are not called as their instances."""

_SLICES_VERILOG, _SLICE = Path(__file__).parent / "crossbar_slices.v", 8
"""A crossbar as slices of so many bits."""

_DESIGN = "modules.json"

RUN_PASSES = """
import sys
from pyosys import libyosys as ys
design = ys.Design()
for command in sys.argv[1:]:
    ys.run_pass(command, design)
"""
"""Program of a Python process that runs its arguments as Yosys commands on one design."""


def accelerator_modules(config):
    """The distinct modules of the accelerator of `config`, children first, kept until its sources or `config` change."""
    sources = [Path(path).read_text() for path in (__file__, _SLICES_VERILOG, modules_source.__file__)]
    identity = digest(config.to_json(), source_identity("acceltran.hw"), sources, package_versions("amaranth", "pyosys"))

    def make(folder):
        distinct = merge_modules(_rtlil(config), "accelerator", _elaborate_verilog)
        (folder / _DESIGN).write_text(json.dumps([asdict(module) for module in distinct.values()]))

    path = kept("silicon", f"design-{config.name}-{identity}", make) / _DESIGN
    return {entry["name"]: DistinctModule.from_json(entry) for entry in json.loads(path.read_text())}


def _rtlil(config):
    library = ModuleLibrary()
    library.pending.append(("accelerator", Accelerator(config=config)))
    with uncollected(), without_fields():
        return "".join(rtlil.convert(part, name=name, platform=library, emit_src=False) for name, part in library.drain())


def _elaborate_verilog(kind, parameters):
    """RTLIL of a module that is written in Verilog, with `parameters`; (text, its name). Wide crossbars are in slices."""
    source = SRAM_VERILOG
    if kind == "acceltran_crossbar":
        wide = parameters["WIDTH"] > _SLICE
        source = _SLICES_VERILOG if wide else CROSSBAR_VERILOG
        kind = f"{kind}_slices" if wide else kind
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "module.il"
        values = " ".join(f"-chparam {name} {value}" for name, value in parameters.items())
        subprocess.run(
            [sys.executable, "-c", RUN_PASSES, f"read_verilog -defer {source}",
             f"hierarchy -top {kind} {values}", "proc", f"rename -top {kind}", f"write_rtlil {target}"],
            check=True, stdout=subprocess.DEVNULL,
        )
        return target.read_text(), kind


def with_children(modules, top):
    """`top` and everything below it, children first."""
    found = {}

    def visit(name):
        if name not in found:
            for _, child in modules[name].instances:
                visit(child)
            found[name] = modules[name]

    visit(top)
    return found


def _paths(modules):
    """(dotted names of the instances, module name) of every instance in the distinct modules, the nearest to the top first."""
    top = next(reversed(modules))
    pending, expanded = deque([("accelerator", top)]), set()
    while pending:
        path, name = pending.popleft()
        yield path, name
        if name not in expanded:
            expanded.add(name)
            pending.extend((f"{path}.{plain_name(instance)}", child) for instance, child in modules[name].instances)


def block_names(modules):
    """What `find_block` takes, without paths."""
    return sorted({path.rsplit(".", 1)[-1] for path, _ in _paths(modules)} | set(BLOCKS))


def find_block(modules, block):
    """Name of the distinct module of `block`: the name of an instance without its number, if needed with those above it.

    Raises
    ------
    ConfigError : there is none; the message lists those that exist
    """
    wanted = f".{BLOCKS.get(block, block)}"
    for path, name in _paths(modules):
        if f".{path}".endswith(wanted):
            return name
    raise ConfigError(f"top = {block!r}: no such block; choose one of {', '.join(block_names(modules))}")
