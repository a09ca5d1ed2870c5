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
    program: Annotated[Path | None, typer.Option(help="Run the program in this folder, which acceltran compile wrote.")] = None,
    length: Annotated[int | None, typer.Option(min=2, help="Tokens to pad to (default: the longest sentence).")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Sentences in one program (default: as many as fit).")] = None,
    waves: Annotated[Path | None, typer.Option(help="Record all signals in this FST file; slow.")] = None,
    latency: Annotated[int, typer.Option(min=1, max=1000, help="Cycles from a read address to the first data of main "
                                                               "memory.")] = 40,
    **shared,
):
    """Run sentences on the simulated RTL and compare every intermediate tensor with the golden model.

    The golden model itself is compared with the float model, which runs with the same pruning. If the outputs are too far
    apart, or too many values of a tensor saturate or vanish, a warning names the tensor and says what helps.

    If the sentences do not fit in one program, several programs run one after the other. Results come in the order of the
    file; cycles are given for each batch and in total. Sentences of a file that are longer than the model takes (or than
    --length) are cut, and the report says how many.

    With --program, a compiled program runs on the configuration that it was compiled for, and the results are compared with
    what compile saved beside it: outputs integer by integer, other tensors by their hashes. This needs no model. Of the
    options only --json, --trace, --waves and --latency are then allowed.

    Example: acceltran run --text "a warm , funny film" --tau 0.05 --json report.json
    """
    if program:
        refuse_without_effect(context)
        return saved_run_command(program, json_path=shared["json_path"], trace=shared["trace"], waves=waves, latency=latency)
    return run_command(length=length, batch=batch, waves=waves, latency=latency, **shared)


@app.command()
def disassemble(
    program: Annotated[Path, typer.Argument(help="A program.bin, or the folder that acceltran compile wrote.")],
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

    A program holds one batch of sentences. If there are too many, they are refused, and the message says how many fit.

    Example: acceltran compile --text "a warm , funny film" -o build/program
    """
    return compile_command(output=output, length=length, **shared)
