"""What `acceltran synth` does."""

import json

from rich.status import Status

from ...hw.spec.config import AcceleratorConfig
from ...hw.spec.design_name import design_name
from ...hw.spec.errors import ConfigError
from ...hw.spec.files import write_json
from ...silicon.area import measure, plain_name, report
from ...silicon.design import accelerator_modules, find_block, with_children
from ...silicon.liberty import GATE_EQUIVALENTS, read_library
from ...silicon.mapper import map_modules
from ...silicon.sram import SRAM_TABLE, SramTable
from ...silicon.timing import timed_blocks, timing, timing_tool
from ..console import check_outputs, console, plain_table, progress, progress_bar
from ..hardware import load_config
from ..late import Late
from .library_files import library_files
from .summary import summary

__all__ = ["GOLDEN_BLOCKS", "golden_areas", "print_report", "synth_command", "synthesise", "update_golden"]

plot_areas = Late("synth --plot", "silicon.plot:plot_areas", "silicon")

GOLDEN_BLOCKS = ("mac", "sparsity", "lane", "pe", "exponential", "softmax", "layernorm", "dynatran", "post_process")
"""Blocks whose gate equivalents are kept and compared."""


def synth_command(*, json_path, plot, golden, liberty, **options):
    """Options are those of the command, see its help."""
    check_outputs(json_path, plot, golden)
    if golden:
        update_golden(golden, options["config"], options["jobs"])
        return
    draw = plot_areas.load() if plot else None
    values = synthesise(liberty=library_files(liberty), **options)
    print_report(values)
    if json_path:
        write_json(json_path, values)
    if draw:
        draw(values, plot)


def golden_areas(config, blocks=GOLDEN_BLOCKS, jobs=None):
    """{block: {gate_equivalents, flip_flops, memory_bits}} of configuration `config`."""
    found = {}
    for block in blocks:
        values = synthesise(config=config, top=block, jobs=jobs)
        found[block] = {key: values[key] for key in ("gate_equivalents", "flip_flops", "memory_bits")}
    return found


def update_golden(path, config, jobs=None):
    """Write `golden_areas` to `path`, and print them with the change."""
    try:
        before = json.loads(path.read_text()) if path.exists() else {}
    except ValueError as error:
        raise ConfigError(f"golden = {str(path)!r}: is no JSON ({error}); name another file") from None
    areas = golden_areas(config, jobs=jobs)
    table = plain_table("block", "gate equivalents", "flip-flops", "SRAM bits", "change %", title=f"areas of {config}")
    for block, entry in areas.items():
        old = before.get(block, {}).get("gate_equivalents")
        table.add_row(block, *(f"{value:,.0f}" for value in entry.values()),
                      f"{100 * (entry['gate_equivalents'] / old - 1):+.2f}" if old else "")
    console.print(table)
    write_json(path, areas)


def synthesise(*, config, top, skip=None, liberty=(), clock=None, timed=False, memories=None, memory_node=None, jobs=None):
    """Map block `top` of configuration `config` and measure it; the values of the report.

    `config` is a name, a file or an AcceleratorConfig. With `clock` (MHz) gates are buffered and sized for it; with `timed`,
    slacks are reported, if OpenSTA is there.

    Raises
    ------
    ConfigError : an option is wrong
    SynthesisError : Yosys or OpenSTA failed
    """
    if not isinstance(config, AcceleratorConfig):
        config = load_config(config, skip)
    library = read_library(liberty or [GATE_EQUIVALENTS])
    if timed and not clock:
        raise ConfigError("clock = None: --timing needs the wanted clock; give --clock MHZ")
    if clock and not library.timed:
        raise ConfigError(f"liberty = {library.name!r}: has no delays, which --clock needs; give --liberty FILE")
    sram = SramTable(memories or SRAM_TABLE, memory_node)
    with Status(f"generating {config.name}", console=progress):
        modules = accelerator_modules(config)
    top_module = find_block(modules, top)
    modules = with_children(modules, top_module)
    with progress_bar("mapping modules", len(modules)) as done:
        mapped = map_modules(modules, library, clock=clock, jobs=jobs, done=done)
    measured = measure(modules, mapped, library)
    values = {"config": design_name(config), "top": top, "clock_mhz": clock, **report(modules, measured, library, sram)}
    if top == "accelerator" and clock and values["unit"] == "um2":
        values["summary"] = summary(config, values)
    if timed and timing_tool():
        blocks = timed_blocks(modules, measured)
        values["timing"] = []
        with progress_bar("timing blocks", len(blocks)) as done:
            for block in blocks:
                values["timing"].append({"block": block, **timing(block, modules, mapped, library, clock=clock, sram=sram)})
                done()
    elif timed:
        progress.print("timing: OpenSTA (sta) is not installed, so there is none: apt-get install opensta")
    return values


def _figure(area):
    return f"{area:,.0f}" if area >= 1000 else f"{area:.4g}"


def print_report(values, *, least=0.01):
    """The tree of modules, without those that take less than `least` of the area, the SRAM macros, and the slacks."""
    modules = {module["name"]: module for module in values["modules"]}
    table = plain_table("block", "count", f"area {values['unit']}", "share %", "cells", "FFs",
                   *["SRAM bits"] * bool(values["memory_bits"]),
                   title=f"{values['top']} of {values['config']}, {values['library']}")
    for label, name, copies, depth, above in _tree(modules, values["top"], values["modules"][0]["name"]):
        module = modules[name]
        share = module["area"] * above * copies / values["area"] if values["area"] else 1.0
        if share >= least:
            table.add_row(
                " " * depth + label, f"{copies}" if copies > 1 else "", _figure(module["area"]), f"{100 * share:.1f}",
                f"{module['cells']:,}", f"{module['flip_flops']:,}",
                *[f"{module['memory_bits']:,}" if module["memory_bits"] else ""] * bool(values["memory_bits"]),
            )
    console.print(table)
    console.print(f"{values['gate_equivalents']:,.0f} gate equivalents (NAND2 = 1), {values['flip_flops']:,} flip-flops; "
                  "area is that of one copy with all in it, share that of all copies")
    if values["memories"]:
        table = plain_table("count", "words", "bits", "ports", "area um2", "read pJ", "write pJ", "access ns",
                       title=f"SRAM at {values['memory_node_nm']} nm, not part of the area above")
        for memory in values["memories"]:
            table.add_row(str(memory["count"]), f"{memory['depth']:,}", f"{memory['width']:,}",
                          f"{memory['reads']}r {memory['writes']}w", f"{memory['area_um2']:,.0f}", f"{memory['read_pJ']:.1f}",
                          f"{memory['write_pJ']:.1f}", f"{memory['read_latency_ns']:.2f}")
        console.print(table)
    if "summary" in values:
        whole = values["summary"]
        console.print(f"{1e-6 * whole['logic_um2']:.4g} mm2 of logic, {1e-6 * whole['sram_um2']:.4g} mm2 of SRAM; "
                      f"{1e-12 * whole['operations_per_second']:.4g} TOPS dense, "
                      f"{1e-12 * whole['operations_per_second_per_mm2']:.3g} TOPS/mm2")
    if "timing" in values:
        table = plain_table("block", "slack ps", "registers ps", "worst path", title=f"slack at {values['clock_mhz']:g} MHz")
        for block in values["timing"]:
            path = block["paths"][0] if block["paths"] else {"start": "", "end": ""}
            table.add_row(plain_name(block["block"].rsplit("_", 1)[0]), *(
                "" if block[key] is None else f"{block[key]:,.0f}" for key in ("slack_ps", "register_slack_ps")),
                f"{path['start']} -> {path['end']}")
        console.print(table)


def _tree(modules, label, name, copies=1, depth=0, above=1):
    """(name of the instance, module, copies, depth, copies of the module above), the largest first."""
    yield label, name, copies, depth, above
    children = {}
    for instance, child in modules[name]["instances"]:
        key = plain_name(instance), child
        children[key] = children.get(key, 0) + 1
    for (plain, child), count in sorted(children.items(), key=lambda item: -modules[item[0][1]]["area"] * item[1]):
        yield from _tree(modules, plain, child, count, depth + 1, above * copies)
