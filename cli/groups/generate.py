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
        Path, typer.Option("--output", "-o", help="Folder to write to; if it holds a design, that is replaced."),
    ] = Path("build/generated"),
    observe: Annotated[bool, typer.Option("--observe", help="Give the top module the ports timeline and activity, by which a "
                                          "simulation watches the accelerator at work.")] = False,
    testbench: Annotated[bool, typer.Option("--testbench", help="Add a self-checking testbench in plain Verilog, which runs a "
                                            "small random encoder, or --model on --text.")] = False,
    model: Annotated[Path | None, typer.Option(help="With --testbench: run this model, a Hugging Face BERT folder.")] = None,
    texts: Annotated[
        list[str] | None, typer.Option("--text", help="With --model: a sentence; give the option several times for several."),
    ] = None,
    length: Annotated[int | None, typer.Option(min=2, help="With --model: tokens to which sentences are padded.")] = None,
    resident: Annotated[
        bool, typer.Option("--resident", help="With --testbench: load the weights by a program of their own, which runs "
                                              "first."),
    ] = False,
    **shared,
):
    """Write the Verilog of a configuration with its file lists, manifest, documents and C headers, and what other tools take it
    in by: FuseSoC, IP-XACT, SystemRDL, SVD, a device-tree binding, constraints. The top module is acceltran.

    Example: acceltran generate --config mini -o build/mini && verilator --lint-only -Wall build/mini/waivers.vlt -f
    build/mini/files.f, which finds nothing to warn about. files.f names the sources by their absolute paths. If the folder was
    moved, use relative.f from inside it.

    Example: acceltran generate --config nano -o build/nano --testbench && iverilog -g2005 -o build/tb -s testbench
    -f build/nano/testbench.f && vvp build/tb, whose last line says whether all outputs are equal.
    """
    return generate_command(output=output, observe=observe, testbench=testbench, model=model, texts=texts, length=length,
                            resident=resident, **shared)
