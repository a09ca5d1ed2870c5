"""The command `acceltran soc`."""

from pathlib import Path
from typing import Annotated

import typer

from ..late import Late
from ..options import MODEL, OWN, config, json, takes

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)

soc_command = Late("soc", "soc:soc_command", "soc")


@app.command()
@takes(config("nano"), MODEL, OWN, json())
def soc(
    texts: Annotated[list[str] | None, typer.Option("--text", help="A sentence; give the option several times for several "
                                                    "(default: three of different lengths).")] = None,
    buckets: Annotated[str, typer.Option(help="Most tokens of each program, with commas between them.")] = "8,16,32",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Keep program, firmware and logs in this "
                                                "folder.")] = None,
    latency: Annotated[int, typer.Option(min=1, max=1000, help="Cycles from a read address to the first data of main "
                                                               "memory.")] = 40,
    shuffle: Annotated[bool, typer.Option("--shuffle", help="Let main memory answer reads late and out of order.")] = False,
    ecp5: Annotated[bool, typer.Option("--ecp5", help="Synthesise the system for a Lattice ECP5 too, and say what it takes; "
                                       "with fpga some ten minutes.")] = False,
    **shared,
):
    """Run a model on a whole system on chip: a RISC-V processor (PicoRV32) with the C driver, the accelerator, an AXI
    interconnect and main memory, all as RTL. The firmware prints a prediction for each sentence on a serial line, compares
    every logit with the golden model, and provokes a bus error and a forbidden access in between. What it prints is checked
    character by character.

    Example: acceltran soc --text "a warm , funny film" --text "dull ."

    Needs gcc-riscv64-unknown-elf of Debian.
    """
    return soc_command(texts=texts, buckets=buckets, output=output, latency=latency, shuffle=shuffle, ecp5=ecp5,
                       **shared)
