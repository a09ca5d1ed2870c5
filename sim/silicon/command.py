"""`acceltran synth`."""

from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn
from rich.status import Status
from rich.table import Table

from ...sw.commands import check_outputs, console, load_config, progress
from ..inference import write_json
from .area import measure, plain_name, report
from .design import accelerator_modules, find_block, with_children
from .liberty import GATE_EQUIVALENTS, read_library
from .mapper import map_modules
from .plot import plot_areas
from .sram import SRAM_TABLE, SramTable

__all__ = ["print_report", "synth_command", "synthesise"]


def synth_command(*, json_path, plot, **options):
    """See `cli.synth`."""
    check_outputs(json_path, plot)
    values = synthesise(**options)
    print_report(values)
    if json_path:
        write_json(json_path, values)
    if plot:
        plot_areas(values, plot)


def synthesise(*, config, top, skip=None, liberty=(), clock=None, memories=None, memory_node=None, jobs=None):
    """Map block `top` of configuration `config` and measure it; the values of the report.

    Raises
    ------
    ConfigError : an option is wrong
    SynthesisError : Yosys failed
    """
    config = load_config(config, skip)
    library = read_library(liberty or [GATE_EQUIVALENTS])
    sram = SramTable(memories or SRAM_TABLE, memory_node)
    with Status(f"generating {config.name}", console=progress):
        modules = accelerator_modules(config)
    modules = with_children(modules, find_block(modules, top))
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=progress) as bar:
        task = bar.add_task("mapping modules", total=len(modules))
        mapped = map_modules(modules, library, clock=clock, jobs=jobs, done=lambda: bar.advance(task))
    return {"config": config.name, "top": top, **report(modules, measure(modules, mapped, library), library, sram)}


def _figure(area):
    return f"{area:,.0f}" if area >= 1000 else f"{area:.4g}"


def print_report(values, *, least=0.01):
    """The tree of modules, without those that take less than `least` of the area, and the SRAM macros."""
    modules = {module["name"]: module for module in values["modules"]}
    unit = values["unit"]
    table = Table("block", "count", f"area {unit}", "share %", "cells", "FFs", "SRAM bits",
                  title=f"{values['top']} of {values['config']}, {values['library']}")
    for column in table.columns:
        column.no_wrap, column.justify = True, "left" if column is table.columns[0] else "right"

    def add(label, name, copies, depth, above):
        module = modules[name]
        share = module["area"] * above * copies / values["area"] if values["area"] else 0.0
        table.add_row("  " * depth + label, f"{copies}" if copies > 1 else "", _figure(module["area"]), f"{100 * share:.1f}",
                      f"{module['cells']:,}", f"{module['flip_flops']:,}",
                      f"{module['memory_bits']:,}" if module["memory_bits"] else "")
        children = {}
        for instance, child in module["instances"]:
            key = plain_name(instance), child
            children[key] = children.get(key, 0) + 1
        for (plain, child), count in sorted(children.items(), key=lambda item: -modules[item[0][1]]["area"] * item[1]):
            if modules[child]["area"] * count * copies * above >= least * values["area"]:
                add(plain, child, count, depth + 1, above * copies)

    add(values["top"], values["modules"][0]["name"], 1, 0, 1)
    console.print(table)
    console.print(f"{values['gate_equivalents']:,.0f} gate equivalents (NAND2 = 1), {values['flip_flops']:,} flip-flops; "
                  "area is that of one copy with all in it, share that of all copies")
    if values["memories"]:
        table = Table("count", "words", "bits", "ports", "area um2", "read pJ", "write pJ", "access ns",
                      title=f"SRAM at {values['memory_node_nm']} nm, not part of the area above")
        for memory in values["memories"]:
            table.add_row(str(memory["count"]), f"{memory['depth']:,}", f"{memory['width']:,}",
                          f"{memory['reads']}r {memory['writes']}w", f"{memory['area_um2']:,.0f}", f"{memory['read_pJ']:.1f}",
                          f"{memory['write_pJ']:.1f}", f"{memory['read_latency_ns']:.2f}")
        console.print(table)
