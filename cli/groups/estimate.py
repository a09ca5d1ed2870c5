"""The command `acceltran estimate`."""

from pathlib import Path
from typing import Annotated

import typer

from ..late import Late
from ..options import DEFAULT_MODEL, OWN, PRUNING, config, json, takes

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)

estimate_command = Late("estimate", "estimate.command:estimate_command", "estimate")


@app.command()
@takes(config(), OWN, PRUNING, json())
def estimate(
    model: Annotated[str, typer.Option(
        help="Folder of a model as for acceltran run, or random:bert-tiny, -mini, -small, -medium, -base or -large for random "
        "weights of that size.")] = str(DEFAULT_MODEL),
    texts: Annotated[list[str] | None, typer.Option("--text", help="A sentence; give the option several times for several.")
                     ] = None,
    tokens: Annotated[int | None, typer.Option(
        min=2, help="Without --text: sentences of exactly so many tokens (default: 128). With it: tokens to pad and cut to.")
                      ] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Without --text: how many sentences (default: 1).")] = None,
    order: Annotated[str | None, typer.Option(help="Loop order of every product: bijk, kijb, ... (default: the best for each)."
                                              )] = None,
    resident: Annotated[bool, typer.Option(help="Weights are in the buffers already.")] = False,
    prefetch: Annotated[bool, typer.Option(help="With --resident: the next batch's embeddings are fetched meanwhile.")] = False,
    overlap: Annotated[bool, typer.Option(help="Let instructions overlap, or let each wait for the one before.")] = True,
    latency: Annotated[int, typer.Option(min=1, help="Cycles from a read address to the first data of main memory.")] = 40,
    bytes_per_cycle: Annotated[float | None, typer.Option(
        min=0.01, help="Bytes that main memory brings in a cycle through each memory port (default: what its bus takes).",
    )] = None,
    values: Annotated[bool, typer.Option(
        "--values/--no-values", help="Run the golden model for the zeros of activations, or draw them by the share that the "
        "compiler expects, which large models need.")] = True,
    clock: Annotated[float, typer.Option(min=0.001, help="Clock in MHz, for times, energy and rates.")] = 700.0,
    trace: Annotated[Path | None, typer.Option(help="Write a timeline for Perfetto or chrome://tracing.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write a page to look at the estimate to this .html file.")] = None,
    **shared,
):
    """Estimate in a second how many cycles a model takes on a configuration, and where they go, without RTL.

    The model is compiled, and its program is followed through models of the fetch, the queues and semaphores, the bus, the
    buffers' banks, the PE grid and the vector units: every pair of tiles is multiplied with the zeros that it has. The cycles
    are within a few percent of those of the RTL, see docs/estimate.md. Nothing is compared with the golden model here: that is
    what acceltran run does.

    The second table divides all cycles by the kind of product: those in which it multiplies, those that are lost while it does
    (an operand is missing, a result waits to be read, other multipliers of a lane have more to do), and the waits before its
    products, for data from main memory, for softmax and layer-norm (vector), for results of earlier products (matrix), or for
    instructions (fetch).

    Example: acceltran estimate --tokens 128 --weight-sparsity 2:4

    Example: acceltran estimate --config edge --tokens 128 --batch 4 --resident --report edge.html

    Example: acceltran estimate --config server --model random:bert-base --tokens 128 --batch 32 --no-values --clock 700
    """
    return estimate_command(model=model, texts=texts, tokens=tokens, batch=batch, order=order, resident=resident,
                            prefetch=prefetch, overlap=overlap, latency=latency, bytes_per_cycle=bytes_per_cycle, values=values,
                            clock=clock, trace=trace, report=report, **shared)
