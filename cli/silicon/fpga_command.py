"""What `acceltran fpga` does."""

from ...hw.spec.config import AcceleratorConfig
from ...hw.spec.design_name import design_name
from ...hw.spec.files import write_json
from ...silicon.fpga import place_and_route
from ..console import check_outputs, console, plain_table, stages

__all__ = ["fpga_command"]


def fpga_command(*, config, device, speed, seed, folder, json_path):
    """Options are those of the command, see its help."""
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
