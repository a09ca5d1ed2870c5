"""The commands `acceltran bench`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ..late import Late
from ..options import (
    CALIBRATION,
    DYNATRAN,
    LAYERS,
    MODEL,
    OPERANDS,
    ORDER,
    OWN,
    SKIP,
    TRACE,
    WEIGHTS,
    config,
    document,
    json,
    takes,
)

__all__ = ["app"]

app = typer.Typer(
    help="Measure the RTL in cycles; every run is compared with the golden model in every integer.",
    no_args_is_help=True, add_completion=False, rich_markup_mode=None,
)

matmul_command = Late("bench matmul", "bench.commands:matmul_command", "sim")
model_command = Late("bench model", "bench.commands:model_command", "sim")
ita_command = Late("bench ita", "bench.commands:ita_command", "sim")
orders_command = Late("bench orders", "bench.commands:orders_command", "sim")
estimate_points_command = Late("bench estimate", "bench.estimate_command:estimate_points_command", "paper")
table_command = Late("bench table", "bench.table_command:table_command", "silicon")


class BufferName(StrEnum):
    """The buffers that hold tiles."""

    weight = "weight"
    activation = "activation"


@app.command()
@takes(OWN, OPERANDS, config(), SKIP, json())
def matmul(
    m: Annotated[int, typer.Option(min=1, help="Rows of A and of the result, in elements.")],
    k: Annotated[int, typer.Option(min=1, help="Columns of A and rows of B, over which is summed.")],
    n: Annotated[int, typer.Option(min=1, help="Columns of B and of the result.")],
    batch: Annotated[int, typer.Option(min=1, help="Products of this size in one instruction.")] = 1,
    order: Annotated[str | None, typer.Option(help="Order of the tile loops, outermost first: bijk, kijb, ... (default: "
                                              "what the compiler would choose).")] = None,
    b_from: Annotated[BufferName, typer.Option(help="The buffer that holds B.")] = BufferName.weight,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random operands.")] = 0,
    **shared,
):
    """Run one product of random operands that are already in the buffers, and say where its cycles went.

    Sizes that are no multiple of the tile are padded with zeros; ideal cycles count the real sizes. Cycles are counted from
    the start of the instruction in the matrix engine to its completion. Lost cycles are given per multiplier, by their cause:
    a lane waited for operands (operands), or for its results to be read (output), or had too little work for all of its
    multipliers (imbalance), or had no work (fill and drain). The exit code is 1 if an integer differs.

    Example: acceltran bench matmul --m 128 --k 512 --n 128 --act-sparsity 0.5 --weight-sparsity 0.5
    """
    return matmul_command(m=m, k=k, n=n, batch=batch, order=order, b_from=b_from.value, seed=seed, **shared)


@app.command()
@takes(config(), MODEL, OWN, LAYERS, DYNATRAN, WEIGHTS, SKIP, ORDER, CALIBRATION, json())
def model(
    texts: Annotated[list[str] | None, typer.Option(
        "--text", help="A sentence; give the option several times for several (default: one that fills the length).")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Run this many built-in sentences instead of --text.")] = None,
    length: Annotated[int | None, typer.Option(min=2, help="Tokens to pad to (default: 128, or as many as the model "
                                                           "takes).")] = None,
    planned: Annotated[bool, typer.Option("--planned", help="Do not simulate: only say how many cycles the compiler "
                                                            "expects.")] = False,
    **shared,
):
    """Run a whole encoder, everything from the first fetch to the last store, and say where its cycles went.

    Every intermediate tensor is compared. Idle cycles are those in which a lane has no product to work on. The exit code is 1
    if an integer differs.

    Example: acceltran bench model --target-sparsity 0.5 --weight-sparsity 0.5

    Example: acceltran bench model --config server --batch 32 --resident --planned
    """
    return model_command(texts=texts, batch=batch, length=length, planned=planned, **shared)


@app.command()
@takes(config("int8"), OWN, TRACE, json())
def ita(
    layernorm: Annotated[bool, typer.Option(help="Add residual and layer-norm after attention and feed-forward "
                                                 "network.")] = False,
    **shared,
):
    """Run the workload by which ITA is measured: one head and a feed-forward network, everything 64 x 64, weights resident.

    ITA is another accelerator (arXiv 2307.03493). Cycles are counted from the start of the first of the eight products to the
    completion of the last. The exit code is 1 if an integer differs.

    Example: acceltran bench ita --layernorm --json build/ita.json
    """
    return ita_command(layernorm=layernorm, **shared)


@app.command()
@takes(config(), SKIP, OPERANDS, json())
def orders(**shared):
    """Run products of four shapes, batch 4, in all 24 loop orders, and count loaded tiles, buffer accesses and cycles.

    Example: acceltran bench orders --json build/orders.json
    """
    return orders_command(**shared)


@app.command()
@takes(MODEL, OWN)
def table(
    output: Annotated[Path, typer.Option("--output", "-o", help="Markdown file to write.")] = Path("docs/benchmarks.md"),
    results: Annotated[
        Path, typer.Option(help="File that keeps the measurements; a group that is in it and up to date is not run again."),
    ] = Path("build/benchmarks.json"),
    only: Annotated[list[str] | None, typer.Option(help="Run only this group of measurements, and take the others from "
                                                        "--results.")] = None,
    **shared,
):
    """Measure everything in docs/benchmarks.md and write that document, with its plots in the folder plots beside it.

    Example: acceltran bench table
    """
    return table_command(output=output, results=results, only=only, **shared)


@app.command()
@takes(OWN, json(), document())
def estimate(
    points: Annotated[Path, typer.Argument(help="File of points: settings, and their cycles on the RTL.")],
    record: Annotated[bool, typer.Option("--record", help="Run the points on the RTL, and write their cycles to the file.")
                      ] = False,
    only: Annotated[list[str] | None, typer.Option(help="Only this point; give the option several times for several.")] = None,
    **shared,
):
    """Compare the estimates of acceltran estimate with cycles that were measured on the RTL.

    Example: acceltran bench estimate tests/sw/estimate/points.json

    Example: acceltran bench estimate tests/sw/estimate/points.json --record -o docs/estimate.md
    """
    return estimate_points_command(points=points, record=record, only=only, **shared)
