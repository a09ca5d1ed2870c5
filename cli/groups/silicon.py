"""The commands about silicon: `acceltran synth`, `power`, `fpga`, `ablate`."""

from pathlib import Path
from typing import Annotated

import typer

from ..late import Late
from ..options import (
    CALIBRATION,
    LAYERS,
    LAYOUT,
    LIBERTY,
    MAPPING,
    MODEL,
    OWN,
    PRUNING,
    SENTENCES,
    SKIP,
    config,
    document,
    json,
    takes,
)

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)

synth_command = Late("synth", "silicon.synth_command:synth_command")
power_command = Late("power", "silicon.power_command:power_command", "silicon")
fpga_command = Late("fpga", "silicon.fpga_command:fpga_command", "fpga")
ablate_command = Late("ablate", "silicon.ablate_command:ablate_command", "silicon")


@app.command()
@takes(config(), OWN, SKIP, LIBERTY, MAPPING, json())
def synth(
    top: Annotated[str, typer.Option(help="Block to map: accelerator, pe, lane, mac, softmax, layernorm, dynatran, "
                                     "post_process, control, ... or any instance, such as post.compressor.")] = "accelerator",
    clock: Annotated[float | None, typer.Option(min=1, help="Wanted clock in MHz; gates are buffered and sized for "
                                                            "it.")] = None,
    timing: Annotated[bool, typer.Option("--timing", help="Report the slack at --clock, with OpenSTA (sta).")] = False,
    plot: Annotated[Path | None, typer.Option(help="Write the areas as a plot (SVG).")] = None,
    golden: Annotated[Path | None, typer.Option(help="Write the gate equivalents of the main blocks to this JSON file and "
                                                "print what changed. Of the other options only --config has an "
                                                "effect.")] = None,
    **shared,
):
    """Map a block to a cell library with Yosys and ABC, and report the area of everything in it.

    Without --liberty, areas are in gate equivalents: the area of a NAND2 gate is 1. Every distinct module is mapped once and
    kept (see acceltran cache). Memories with at least 2 kbit and 32 words are taken as SRAM macros and reported apart. Wires
    have no area and no delay. With --timing, inputs arrive and outputs leave at the clock edge, and macros answer after their
    access time. Blocks of more than 2.5 million cells are timed in parts.

    Example: acceltran synth --config mini --top pe --json pe.json

    Example: acceltran synth --top mac --liberty sky130hd_tt.lib.gz --clock 100 --timing
    """
    return synth_command(top=top, clock=clock, timed=timing, plot=plot, golden=golden, **shared)


@app.command()
@takes(config(), MODEL, SENTENCES, OWN, LAYERS, PRUNING, SKIP, LIBERTY, MAPPING, CALIBRATION, json(), LAYOUT)
def power(
    length: Annotated[int, typer.Option(min=2, help="Tokens to which sentences are padded.")] = 128,
    clock: Annotated[float, typer.Option(min=1, help="Clock in MHz.")] = 100.0,
    memory: Annotated[str, typer.Option(help="Main memory: lpddr4, ddr3, hbm2 or hbm3.")] = "lpddr4",
    activity: Annotated[Path | None, typer.Option(help="Do not simulate: take the toggles of each kind of module from this "
                                                  "file, the --json of acceltran power with another configuration.")] = None,
    run: Annotated[Path | None, typer.Option(help="With --activity: take cycles and accesses from this file, the --json "
                                             "of acceltran run (or bench model) with this configuration.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Write the shares of the energy as a plot (SVG).")] = None,
    **shared,
):
    """Measure the energy of an inference: toggles of the simulated RTL, the library's energies, an SRAM table, main memory.

    The sentences run as one batch on the RTL, where the toggles of every module are counted; copies of a module are taken to
    toggle equally. The library must have power tables. Gates are sized for the clock; acceltran synth --timing tells whether
    it is reached. Not modelled are wires, the clock tree, glitches within a cycle, pads and the controller of main memory. The
    first run builds a simulator that counts toggles, which takes minutes. Large configurations can be estimated with
    --activity and --run instead.

    Example: acceltran power --text "a warm , funny film" --liberty sky130hd_tt.lib.gz --clock 100 --json power.json
    """
    return power_command(length=length, clock=clock, memory=memory, activity=activity, run=run, plot=plot, **shared)


@app.command()
@takes(config("fpga"), OWN, json())
def fpga(
    device: Annotated[str, typer.Option(help="Size of the Lattice LFE5U: 25k, 45k or 85k.")] = "85k",
    speed: Annotated[int, typer.Option(help="Speed grade, 6 to 8; 8 is the fastest.")] = 6,
    seed: Annotated[int, typer.Option(help="Seed of the placement.")] = 1,
    folder: Annotated[Path, typer.Option(help="Folder for netlist, logs, report and bitstream.")] = Path("build/fpga"),
    **shared,
):
    """Synthesise, place and route on an ECP5 with Yosys and nextpnr (pip install 'acceltran[fpga]'). Takes an hour.

    The accelerator has more ports than a package has pins. So a shift register feeds its inputs, and one pin takes all outputs.

    Example: acceltran fpga --config fpga --json fpga.json
    """
    return fpga_command(device=device, speed=speed, seed=seed, folder=folder, **shared)


@app.command()
@takes(OWN, document(), json("the measurements"))
def ablate(
    results: Annotated[Path, typer.Option(help="File that keeps the measurements; those of the same sources are not "
                                          "made again.")] = Path("build/ablation.json"),
    **shared,
):
    """Measure what each choice in a PE costs in area and gives in cycles. Takes half an hour and more.

    Example: acceltran ablate --output docs/silicon.md
    """
    return ablate_command(results=results, **shared)
