"""The commands that work on sentences: `acceltran run`, `compile`, `disassemble`."""

from pathlib import Path
from typing import Annotated

import typer

from ..late import Late
from ..options import (
    CALIBRATION,
    LAYERS,
    LAYOUT,
    LIMITS,
    MODEL,
    ORDER,
    OWN,
    PRUNING,
    SENTENCES,
    SKIP,
    TRACE,
    TRUNCATE,
    config,
    json,
    takes,
)

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)

run_command = Late("run", "run:run_command", "sim")
saved_run_command = Late("run --program", "saved_run:saved_run_command", "sim")
refuse_without_effect = Late("run --program", "saved_run:refuse_without_effect", "sim")
compile_command = Late("compile", "compile:compile_command", "model")
disassemble_command = Late("disassemble", "disassemble:disassemble_command", "model")

_INPUT = (config(), MODEL, SENTENCES)
_HOW = (TRUNCATE, LAYERS, PRUNING)


@app.command()
@takes(*_INPUT, OWN, *_HOW, SKIP, ORDER, TRACE, CALIBRATION, json(), LAYOUT, LIMITS)
def run(
    context: typer.Context,
    program: Annotated[Path | None, typer.Option(help="Folder that acceltran compile wrote: run that program.")] = None,
    length: Annotated[int | None, typer.Option(min=2, help="Tokens to pad to (default: the longest sentence).")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Sentences of a program (default: the most that fit).")] = None,
    waves: Annotated[Path | None, typer.Option(help="Record all signals to this FST file (slow).")] = None,
    latency: Annotated[int, typer.Option(min=1, max=1000, help="Main memory: cycles to the first data.")] = 40,
    **shared,
):
    """Run sentences on the simulated RTL and compare every intermediate tensor with the golden model.

    The golden model itself is compared with the float model, run with the same pruning. Where the outputs, or the values of a
    tensor that saturate or vanish, pass a limit, a warning names the tensor and what helps.

    More sentences than fit in one program make several, run one after the other; results come in the order of the file,
    cycles are summed and given for each batch. Sentences of a file that are longer than the model's positions (or --length)
    are cut and counted.

    With --program, a compiled program runs on the configuration it is for, and is compared with what compile saved beside it:
    outputs by their integers, other tensors by their hashes. The model is not needed, and only --json, --trace, --waves and
    --latency have an effect.

    Example: acceltran run --text "a warm , funny film" --tau 0.05 --json report.json
    """
    if program:
        refuse_without_effect(context)
        return saved_run_command(program, json_path=shared["json_path"], trace=shared["trace"], waves=waves, latency=latency)
    return run_command(length=length, batch=batch, waves=waves, latency=latency, **shared)


@app.command()
def disassemble(
    program: Annotated[Path, typer.Argument(help="program.bin, or a folder that holds one.")],
):
    """Print the instructions of a compiled program, one line each.

    Example: acceltran compile --text "a warm , funny film" -o build/program && acceltran disassemble build/program
    """
    disassemble_command(program)


@app.command("compile")
@takes(OWN, *_INPUT, *_HOW, ORDER, CALIBRATION, json("the manifest"), LAYOUT, LIMITS)
def compile_(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for program.bin, image.bin and manifest.json.")],
    length: Annotated[int | None, typer.Option(min=2, help="Tokens to pad to (default: the longest sentence).")] = None,
    **shared,
):
    """Compile sentences to a program and its main-memory image, and say how far its results are from the float model's.

    One program is one batch: more sentences than fit are refused, with the number that does.

    Example: acceltran compile --text "a warm , funny film" -o build/program
    """
    return compile_command(output=output, length=length, **shared)
