"""The `acceltran bench` commands."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ..options import DEFAULT_MODEL, CalibrationOption, ConfigOption

__all__ = ["app"]

app = typer.Typer(
    help="Measure the RTL in cycles; every run is compared with the golden model in every integer.",
    no_args_is_help=True, add_completion=False, rich_markup_mode=None,
)

SkipOption = Annotated[
    str | None, typer.Option(help="none, activation or both, in place of the configuration's (another build)."),
]
JsonOption = Annotated[Path | None, typer.Option("--json", help="Write the report as JSON.")]


class BufferName(StrEnum):
    """The buffers that hold tiles."""

    weight = "weight"
    activation = "activation"


@app.command()
def matmul(
    m: Annotated[int, typer.Option(min=1, help="Rows of A and of the result, in elements.")],
    k: Annotated[int, typer.Option(min=1, help="Columns of A, rows of B: what is summed over.")],
    n: Annotated[int, typer.Option(min=1, help="Columns of B and of the result.")],
    batch: Annotated[int, typer.Option(min=1, help="Products of this size, in one instruction.")] = 1,
    act_sparsity: Annotated[float, typer.Option(min=0, max=1, help="Probability that an element of A is zero.")] = 0.0,
    weight_sparsity: Annotated[float, typer.Option(min=0, max=1, help="Probability that an element of B is zero.")] = 0.0,
    skip: SkipOption = None,
    order: Annotated[str | None, typer.Option(help="Order of the tile loops, outermost first: bijk, kijb, ... (default: "
                                              "what the compiler would choose).")] = None,
    b_from: Annotated[BufferName, typer.Option(help="The buffer that holds B.")] = BufferName.weight,
    config: ConfigOption = "mini",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random operands.")] = 0,
    json_path: JsonOption = None,
):
    """Run one product of random operands that are in the buffers already.

    Sizes that are no multiple of the tile are padded with zeros; ideal cycles count the real sizes. Cycles are those from
    the start of the instruction in the matrix engine to its completion. Lost cycles are multiplier cycles per multiplier, by
    what they were lost to: lanes that waited for operands, for their results to be read, lanes with too little work for all
    their multipliers (imbalance), lanes without work (fill and drain). Exit code 1 if an integer differs.

    Example: acceltran bench matmul --m 128 --k 512 --n 128 --act-sparsity 0.5 --weight-sparsity 0.5
    """
    from .commands import matmul_command

    raise typer.Exit(matmul_command(
        config=config, skip=skip, json_path=json_path, m=m, k=k, n=n, batch=batch, act_sparsity=act_sparsity,
        weight_sparsity=weight_sparsity, order=order, b_from=b_from.value, seed=seed,
    ))


@app.command()
def model(
    config: ConfigOption = "mini",
    model: Annotated[Path, typer.Option(help="Hugging Face BERT folder.")] = DEFAULT_MODEL,
    text: Annotated[
        list[str] | None, typer.Option(help="A sentence; several make a batch (default: one that fills the length)."),
    ] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="This many sentences of ours, in place of --text.")] = None,
    length: Annotated[int | None, typer.Option(min=2, help="Tokens to pad to (default: 128 or what the model takes).")] = None,
    layers: Annotated[int | None, typer.Option(min=1, help="Run only the first layers.")] = None,
    tau: Annotated[float | None, typer.Option(min=0, help="DynaTran: zero every activation below this magnitude.")] = None,
    target_sparsity: Annotated[float | None, typer.Option(min=0, max=1, help="DynaTran: wanted activation sparsity.")] = None,
    weight_sparsity: Annotated[float, typer.Option(min=0, max=0.99, help="Share of weights to zero by magnitude.")] = 0.0,
    skip: SkipOption = None,
    order: Annotated[str | None, typer.Option(help="Loop order of every product (default: the best).")] = None,
    overlap: Annotated[bool, typer.Option(help="Let instructions overlap; else each waits for the one before.")] = True,
    resident: Annotated[bool, typer.Option(help="Weights are in the buffers before cycles count.")] = False,
    planned: Annotated[bool, typer.Option("--planned", help="Only say how long the compiler expects it to take.")] = False,
    calibration: CalibrationOption = None,
    json_path: JsonOption = None,
):
    """Run a whole encoder, everything from the first fetch to the last store, and say where its cycles went.

    Every intermediate tensor is compared. Idle cycles are those of lanes without a product to work on. Exit code 1 if an
    integer differs.

    Example: acceltran bench model --target-sparsity 0.5 --weight-sparsity 0.5

    Example: acceltran bench model --config server --batch 32 --resident --planned
    """
    from .commands import model_command

    raise typer.Exit(model_command(
        config=config, skip=skip, model=model, texts=text, batch=batch, order=order, json_path=json_path, length=length,
        layers=layers, tau=tau, target_sparsity=target_sparsity, weight_sparsity=weight_sparsity, overlap=overlap,
        resident=resident, planned=planned, calibration=calibration,
    ))


@app.command()
def ita(
    config: ConfigOption = "int8",
    layernorm: Annotated[bool, typer.Option(help="With residual and layer-norm after attention and feed-forward.")] = False,
    trace: Annotated[Path | None, typer.Option(help="Write a timeline for Perfetto or chrome://tracing.")] = None,
    json_path: JsonOption = None,
):
    """Run the workload by which ITA is measured: one head and a feed-forward network, everything 64 x 64, weights resident.

    Cycles are those from the start of the first of the eight products to the completion of the last. Exit code 1 if an
    integer differs.

    Example: acceltran bench ita --layernorm --json build/ita.json
    """
    from .commands import ita_command

    raise typer.Exit(ita_command(config=config, layernorm=layernorm, trace=trace, json_path=json_path))


@app.command()
def orders(
    config: ConfigOption = "mini",
    skip: SkipOption = None,
    act_sparsity: Annotated[float, typer.Option(min=0, max=1, help="Probability that an element of A is zero.")] = 0.0,
    weight_sparsity: Annotated[float, typer.Option(min=0, max=1, help="Probability that an element of B is zero.")] = 0.0,
    json_path: JsonOption = None,
):
    """Run four shapes, batch 4, in all 24 loop orders: tiles loaded, buffer accesses, cycles.

    Example: acceltran bench orders --json build/orders.json
    """
    from .commands import orders_command

    raise typer.Exit(orders_command(config=config, skip=skip, act_sparsity=act_sparsity, weight_sparsity=weight_sparsity,
                                    json_path=json_path))


@app.command()
def table(
    model: Annotated[Path, typer.Option(help="Hugging Face BERT folder.")] = DEFAULT_MODEL,
    output: Annotated[Path, typer.Option("--output", "-o", help="Markdown file to write.")] = Path("docs/benchmarks.md"),
    results: Annotated[
        Path, typer.Option(help="Measurements, kept here: a group that is in the file and up to date is not run again."),
    ] = Path("build/benchmarks.json"),
    only: Annotated[list[str] | None, typer.Option(help="Run only this group; the others are taken as they are.")] = None,
):
    """Measure everything in docs/benchmarks.md and write it, with its plots in the folder plots beside it.

    Example: acceltran bench table
    """
    from .commands import table_command

    raise typer.Exit(table_command(model=model, output=output, results=results, only=only))
