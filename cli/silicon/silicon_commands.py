"""What `acceltran fpga` and `acceltran ablate` do."""

import tempfile
from pathlib import Path

from ...hw.spec.config import AcceleratorConfig
from ...hw.spec.design_name import design_name
from ...hw.spec.files import write_json
from ...silicon.fpga import place_and_route
from ..commands import check_outputs, console, stages
from ..evaluate.document import update_part
from .ablation import ablate, ablation_table
from .command import plain_table, synthesise

__all__ = ["ablate_command", "fpga_command"]


def fpga_command(*, config, device, speed, seed, folder, json_path):
    """See `cli.fpga`."""
    check_outputs(json_path)
    config = AcceleratorConfig.load(config)
    with stages(config.name) as stage:
        values = place_and_route(config, folder, device=device, speed=speed, seed=seed, stage=stage)
    table = plain_table("resource", "used", "of", "%", title=f"{design_name(config)} on {values['device']}, after routing")
    for name, entry in values["utilisation"].items():
        share = f"{100 * entry['used'] / entry['available']:.1f}" if entry["available"] else ""
        table.add_row(name, f"{entry['used']:,}", f"{entry['available']:,}", share)
    console.print(table)
    path = values["worst_path"]
    console.print(f"{values['fmax_mhz']:.1f} MHz; worst path {path['ns']:.1f} ns, {path['wires_ns']:.1f} of them wires: "
                  f"{path['from']} -> {path['to']}", markup=False)
    console.print(f"{folder / values['bitstream']}: for yowasp-ecppack", markup=False)
    if json_path:
        write_json(json_path, values)


def ablate_command(*, results, output, json_path):
    """See `cli.ablate`."""
    check_outputs(results, output, json_path)

    def area(config):
        return synthesise(config=config, top="pe")["gate_equivalents"]

    with tempfile.TemporaryDirectory(prefix="acceltran-") as folder, stages("ablation") as stage:
        values = ablate(area, folder=Path(folder), results=results, stage=stage)
    table = ablation_table(values)
    if output:
        update_part(output, "ablation", table)
        console.print(f"wrote {output}")
    else:
        console.print(table, markup=False)
    if json_path:
        write_json(json_path, values)
