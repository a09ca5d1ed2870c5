"""The command `acceltran synth`."""

from pathlib import Path
from typing import Annotated

import typer

from ...sw.options import ConfigOption

__all__ = ["synth"]


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

    Every distinct module is mapped once and kept in build/. Memories of 2 kbit and 32 words or more are SRAM
    macros and reported apart; wires have no area and no delay. With --timing, inputs arrive and outputs leave at the clock
    edge, and macros answer after their access time. Blocks of more than 1.5 million cells are timed in parts.

    Example: acceltran synth --config mini --top pe --json pe.json

    Example: acceltran synth --top mac --liberty sky130hd_tt.lib.gz --clock 100 --timing
    """
    from .command import synth_command

    synth_command(config=config, top=top, skip=skip, liberty=liberty or [], clock=clock, timed=timing,
                  memories=memories, memory_node=memory_node, jobs=jobs, json_path=json_path, plot=plot, golden=golden)
