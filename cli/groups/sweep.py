"""The command `acceltran sweep`."""

from pathlib import Path
from typing import Annotated

import typer

from ...hw.spec.errors import InputError
from ..late import Late
from ..options import json, takes

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)

sweep_command = Late("sweep", "sweep.sweep_command:sweep_command", "sweep")
show_command = Late("sweep --show", "sweep.show_command:show_command", "sweep")
plot_results = Late("sweep --plot", "sweep.plot:plot_results", "silicon")


@app.command()
@takes(json("all rows"))
def sweep(
    file: Annotated[Path | None, typer.Argument(help="TOML file with the points, see above.", show_default=False)] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder for the results (default: build/sweeps/ and the "
                                                "name of the file).")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a folder: what is done is not done again.")] = False,
    show: Annotated[Path | None, typer.Option(help="Run nothing: show what is in this folder.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Run nothing: print the points of the file, and how many there "
                                                            "are.")] = False,
    workers: Annotated[int | None, typer.Option("--workers", "-w", min=1, help="Processes, each with one thread (default: one "
                                                "per core).")] = None,
    scheduler: Annotated[str | None, typer.Option(help="Use the Dask cluster whose scheduler has this address, such as "
                                                  "tcp://host:8786, instead of processes of this machine.")] = None,
    pareto: Annotated[str, typer.Option(help="Measures to compare points by: columns of numbers, with commas between them; if "
                                        "more is better, with :more behind the name. The first one orders the "
                                        "table.")] = "cycles,area.mm2",
    best: Annotated[int, typer.Option(min=1, help="Points in the table of the best.")] = 10,
    csv: Annotated[Path | None, typer.Option(help="Write all rows as CSV.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Write the points over the first two measures as a plot (SVG).")] = None,
    report: Annotated[Path | None, typer.Option(help="Write a page with the Pareto front and all points to this .html "
                                                "file.")] = None,
    **shared,
):
    """Estimate many settings, each without RTL, on all cores or on a cluster, and compare them.

    A TOML file says which. [setting] holds what all points share: config, model, tokens, weight_sparsity and so on. Every list
    in [vary] meets every other, and the lists in a [[together]] go side by side. A [[point]] is a single one. Fields of the
    configuration are written like fields.window:

    \b
      [setting]
      config = "mini"

    \b
      [vary]
      tokens = [32, 128]
      fields.window = [4, 8]

    These are four points. docs/sweep.md explains the file and the columns of the results.

    Results are kept in a folder as they come. If the sweep is stopped, or its machine is, the same command with --resume goes
    on where it was. A point that its configuration refuses, or that fails, is told at the end, and stops nothing.

    Exit codes: 0 all points are done; 1 some were refused or have failed, or the sweep was stopped; 2 bad input.

    Example: acceltran sweep docs/examples/grid_and_bus.toml --dry-run

    Example: acceltran sweep docs/examples/grid_and_bus.toml -o build/first --report build/first.html

    Example: acceltran sweep docs/examples/grid_and_bus.toml -o build/first --resume --workers 4

    Example: acceltran sweep --show build/first --pareto cycles,area.mm2,utilisation.multipliers:more --csv build/first.csv
    """  # noqa: D301
    if (file is None) == (show is None):
        raise InputError("sweep: give either a file with the points, or --show and the folder of a sweep")
    if plot:
        plot_results.load()
    outputs = {"pareto": pareto, "best": best,
               "files": {"json": shared["json_path"], "csv": csv, "plot": plot, "report": report}}
    if show:
        given = {"--output": output, "--resume": resume, "--dry-run": dry_run, "--workers": workers, "--scheduler": scheduler}
        for name, value in given.items():
            if value:
                raise InputError(f"{name} and --show: nothing is run with --show; leave one of them out")
        return show_command(show, outputs=outputs)
    return sweep_command(file, output=output, resume=resume, dry_run=dry_run, workers=workers, scheduler=scheduler,
                         outputs=outputs)
