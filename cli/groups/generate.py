"""The command `acceltran generate`."""

from pathlib import Path
from typing import Annotated

import typer

from ..late import Late
from ..options import OWN, config, json, takes

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)

generate_command = Late("generate", "generate:generate_command")


@app.command()
@takes(config(), OWN, json("the manifest"))
def generate(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder to write; replaced if it holds a design."),
    ] = Path("build/generated"),
    testbench: Annotated[bool, typer.Option("--testbench", help="Add a self-checking testbench in plain Verilog, which runs a "
                                            "small random encoder, or --model on --text.")] = False,
    model: Annotated[Path | None, typer.Option(help="With --testbench: Hugging Face BERT folder to run.")] = None,
    texts: Annotated[
        list[str] | None, typer.Option("--text", help="With --model: a sentence; several make a batch."),
    ] = None,
    length: Annotated[int | None, typer.Option(min=2, help="With --model: tokens to pad to.")] = None,
    resident: Annotated[
        bool, typer.Option("--resident", help="With --testbench: bring weights by a program of their own, which runs first."),
    ] = False,
    **shared,
):
    """Write the Verilog of a configuration with its file list, manifest, documents and C header.

    Example: acceltran generate --config mini -o build/mini && verilator --lint-only -Wall build/mini/waivers.vlt -f
    build/mini/files.f, which says nothing. files.f names the sources by their absolute paths; where the folder was moved,
    relative.f serves from inside it.

    Example: acceltran generate --config nano -o build/nano --testbench && iverilog -g2005 -o build/tb -s testbench
    -f build/nano/testbench.f && vvp build/tb, whose last line says whether all outputs are equal.
    """
    return generate_command(output=output, testbench=testbench, model=model, texts=texts, length=length, resident=resident,
                            **shared)
