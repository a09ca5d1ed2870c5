"""The `acceltran` command."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from .bench.cli import app as bench_app

__all__ = ["app", "main"]

_EPILOG = """
Examples, from a checkout of the project:

  acceltran generate --config mini -o build/mini          Verilog, manifest, documents, C header

  acceltran run --text "a warm , funny film"              BERT-Tiny on the simulated RTL

  acceltran run --config my.toml --tau 0.05 --json r.json a configuration of your own, pruned at run time

Exit codes: 0 all is well, 1 the RTL and the golden model differ or a run failed, 2 bad input.
"""

app = typer.Typer(
    help="Generate, run and measure AccelTran, a synthesizable accelerator for transformer encoders.",
    epilog=_EPILOG, no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False,
)

app.add_typer(bench_app, name="bench")

DEFAULT_MODEL = Path("models/bert-tiny-reviews")
ConfigOption = Annotated[str, typer.Option("--config", "-c", help="A preset (nano, mini, int8, edge, server) or a TOML file.")]


@app.command()
def generate(
    config: ConfigOption = "mini",
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder to write; replaced if it holds a design."),
    ] = Path("build/generated"),
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the manifest here too.")] = None,
):
    """Write the Verilog of a configuration with its file list, manifest, documents and C header.

    Example: acceltran generate --config mini -o build/mini && verilator --lint-only -f build/mini/files.f
    """
    from .commands import generate_command

    generate_command(config, output, json_path)


@app.command()
def run(
    config: ConfigOption = "mini",
    model: Annotated[
        Path, typer.Option(help="Hugging Face BERT folder: config.json, model.safetensors, tokenizer.json."),
    ] = DEFAULT_MODEL,
    text: Annotated[list[str] | None, typer.Option(help="A sentence; several make a batch.")] = None,
    file: Annotated[Path | None, typer.Option(help="One sentence per line, run as one batch.")] = None,
    length: Annotated[int | None, typer.Option(min=2, help="Tokens to pad to (default: the longest sentence).")] = None,
    layers: Annotated[int | None, typer.Option(min=1, help="Run only the first layers.")] = None,
    tau: Annotated[float | None, typer.Option(min=0, help="DynaTran: zero every activation below this magnitude.")] = None,
    target_sparsity: Annotated[float | None, typer.Option(min=0, max=1, help="DynaTran: wanted activation sparsity.")] = None,
    sites: Annotated[Path | None, typer.Option(help="DynaTran: thresholds of each site, from acceltran calibrate; "
                                               "--target-sparsity then is the operating point.")] = None,
    weight_sparsity: Annotated[float, typer.Option(min=0, max=0.99, help="Share of weights to zero by magnitude.")] = 0.0,
    skip: Annotated[str | None, typer.Option(help="none, activation or both, in place of the configuration's.")] = None,
    order: Annotated[str | None, typer.Option(help="Loop order of every product: bijk, kijb, ... (default: the best).")] = None,
    overlap: Annotated[bool, typer.Option(help="Let instructions overlap; else each waits for the one before.")] = True,
    resident: Annotated[bool, typer.Option(help="Weights are in the buffers before cycles count.")] = False,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the report as JSON.")] = None,
    trace: Annotated[Path | None, typer.Option(help="Write a timeline for Perfetto or chrome://tracing.")] = None,
    waves: Annotated[Path | None, typer.Option(help="Record all signals to this FST file (slow).")] = None,
    latency: Annotated[int, typer.Option(min=1, max=1000, help="Main memory: cycles to the first data.")] = 40,
):
    """Run sentences on the simulated RTL and compare every intermediate tensor with the golden model.

    Example: acceltran run --text "a warm , funny film" --tau 0.05 --json report.json
    """
    from .commands import run_command

    raise typer.Exit(run_command(
        config=config, model=model, texts=text, file=file, length=length, layers=layers, tau=tau,
        target_sparsity=target_sparsity, sites=sites, weight_sparsity=weight_sparsity, skip=skip, order=order,
        overlap=overlap, resident=resident, json_path=json_path, trace=trace, waves=waves, latency=latency,
    ))


@app.command()
def disassemble(
    program: Annotated[Path, typer.Argument(help="program.bin, or a folder that holds one.")],
):
    """Print the instructions of a compiled program, one line each.

    Example: acceltran compile --text "a warm , funny film" -o build/program && acceltran disassemble build/program
    """
    from .commands import disassemble_command

    disassemble_command(program)


@app.command("compile")
def compile_(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for program.bin, image.bin and manifest.json.")],
    config: ConfigOption = "mini",
    model: Annotated[Path, typer.Option(help="Hugging Face BERT folder.")] = DEFAULT_MODEL,
    text: Annotated[list[str] | None, typer.Option(help="A sentence; several make a batch.")] = None,
    file: Annotated[Path | None, typer.Option(help="One sentence per line.")] = None,
    length: Annotated[int | None, typer.Option(min=2, help="Tokens to pad to.")] = None,
    layers: Annotated[int | None, typer.Option(min=1, help="Only the first layers.")] = None,
    tau: Annotated[float | None, typer.Option(min=0, help="DynaTran threshold.")] = None,
    target_sparsity: Annotated[float | None, typer.Option(min=0, max=1, help="DynaTran: wanted sparsity.")] = None,
    sites: Annotated[Path | None, typer.Option(help="DynaTran: thresholds of each site, from acceltran calibrate.")] = None,
    weight_sparsity: Annotated[float, typer.Option(min=0, max=0.99, help="Share of weights to zero.")] = 0.0,
    order: Annotated[str | None, typer.Option(help="Loop order of every product (default: the best).")] = None,
    overlap: Annotated[bool, typer.Option(help="Let instructions overlap.")] = True,
    resident: Annotated[bool, typer.Option(help="Bring weights by a program of their own.")] = False,
):
    """Compile sentences to a program and its main-memory image.

    Example: acceltran compile --text "a warm , funny film" -o build/program
    """
    from .commands import compile_command

    compile_command(config=config, model=model, texts=text, file=file, length=length, layers=layers, tau=tau,
                    target_sparsity=target_sparsity, sites=sites, weight_sparsity=weight_sparsity, order=order,
                    overlap=overlap, resident=resident, output=output)


@app.command()
def evaluate(
    data: Annotated[Path, typer.Option(help="Labelled sentences: a heading, then sentence<TAB>0 or 1 in each line.")],
    config: ConfigOption = "mini",
    model: Annotated[Path, typer.Option(help="Hugging Face BERT folder with a classifier.")] = DEFAULT_MODEL,
    method: Annotated[str, typer.Option(help="none, dynatran (one threshold), per-site, top-k (probabilities).")] = "none",
    tau: Annotated[float | None, typer.Option(min=0, help="dynatran: one threshold for all activations.")] = None,
    target_sparsity: Annotated[float | None, typer.Option(min=0, max=1, help="dynatran: wanted sparsity; per-site: operating "
                                                          "point (default: the calibrated one).")] = None,
    sites: Annotated[Path | None, typer.Option(help="per-site: thresholds from acceltran calibrate.")] = None,
    keep: Annotated[int | None, typer.Option(help="top-k: probabilities that stay in each row.")] = None,
    weight_sparsity: Annotated[float, typer.Option(min=0, max=0.99, help="Share of weights to zero by magnitude.")] = 0.0,
    word_format: Annotated[str | None, typer.Option("--format", help="Integer and fraction bits, like 4.16.")] = None,
    length: Annotated[int, typer.Option(min=2, help="Tokens to pad to, for the figures with padding.")] = 128,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first sentences.")] = None,
    baseline: Annotated[bool, typer.Option(help="Evaluate without pruning of activations too.")] = True,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write everything as JSON.")] = None,
):
    """Evaluate the integer model, which the RTL reproduces: accuracy, zeros, and multiplications that remain.

    Example: acceltran evaluate --data dev.tsv --method dynatran --tau 0.05 --json dev.json
    """
    from .evaluate.command import evaluate_command

    evaluate_command(
        config=config, model=model, data=data, method=method, tau=tau, target_sparsity=target_sparsity, sites=sites, keep=keep,
        weight_sparsity=weight_sparsity, word_format=word_format, length=length, limit=limit, baseline=baseline,
        json_path=json_path,
    )


@app.command()
def calibrate(
    data: Annotated[Path, typer.Option(help="Labelled training sentences: a heading, then sentence<TAB>0 or 1 in each line.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="JSON file of the thresholds.")],
    model: Annotated[Path, typer.Option(help="Hugging Face BERT folder with a classifier.")] = DEFAULT_MODEL,
    budget: Annotated[float, typer.Option(min=0, help="Accuracy, in points, to give up.")] = 0.5,
    weight_sparsity: Annotated[float, typer.Option(min=0, max=0.99, help="Share of weights to zero by magnitude.")] = 0.0,
    sentences: Annotated[int, typer.Option(min=10, help="Sentences to search on, drawn from the file.")] = 400,
    check: Annotated[int, typer.Option(min=10, help="Others, on which the operating point is chosen.")] = 4000,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
):
    """Find a DynaTran threshold for each site: those that remove most multiplications for the accuracy given up.

    The result is a way from no pruning to the most that was tried, as curves for the hardware's threshold calculator: one
    register, the operating point, moves all sites along it.

    Example: acceltran calibrate --data train.tsv -o sites.json && acceltran run --sites sites.json --text "a warm film"
    """
    from .evaluate.command import calibrate_command

    calibrate_command(data=data, output=output, model=model, budget=budget, weight_sparsity=weight_sparsity,
                      sentences=sentences, check=check, seed=seed)


@app.command()
def study(
    data: Annotated[Path, typer.Option(help="Labelled sentences to report on.")],
    train: Annotated[Path, typer.Option(help="Labelled sentences to choose thresholds per site on.")],
    model: Annotated[list[Path] | None, typer.Option(help="Hugging Face BERT folders (default: the packaged one).")] = None,
    weight_sparsity: Annotated[list[float] | None, typer.Option(help="Shares of weights to zero (default: 0 and 0.5).")] = None,
    config: ConfigOption = "mini",
    length: Annotated[int, typer.Option(min=2, help="Tokens to pad to, for the figures with padding.")] = 128,
    budget: Annotated[float, typer.Option(min=0, help="Accuracy, in points, that calibration may give up.")] = 0.5,
    results: Annotated[Path, typer.Option(help="Evaluations, kept here: what is there is not run again.")] = Path(
        "build/dynatran.json"),
    output: Annotated[Path, typer.Option("--output", "-o", help="Document with markers to update.")] = Path("docs/dynatran.md"),
):
    """Evaluate every method at many strengths, for the tables and plots of docs/dynatran.md. Takes half an hour and more.

    Example: acceltran study --data dev.tsv --train train.tsv
    """
    from .evaluate.command import study_command

    study_command(data=data, train=train, models=model or [DEFAULT_MODEL], weight_sparsities=weight_sparsity or [0.0, 0.5],
                  config=config, length=length, budget=budget, results=results, output=output)


@app.command()
def explore(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Document with markers, such as docs/exploration.md, to update."),
    ] = None,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write all points as JSON.")] = None,
):
    """Explore the PE array with its cycle model (no RTL), and hold the model to cycles measured on the RTL.

    Example: acceltran explore --output docs/exploration.md --json build/exploration.json
    """
    from .commands import explore_command

    explore_command(output, json_path)


@app.command()
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
    from ..sim.silicon.command import synth_command

    synth_command(config=config, top=top, skip=skip, liberty=liberty or [], clock=clock, timed=timing,
                  memories=memories, memory_node=memory_node, jobs=jobs, json_path=json_path, plot=plot,
                  golden=golden)


def main():
    """Entry point: one line and exit code 2 for bad input, 1 for a failed run."""
    from ..hw.config import ConfigError
    from ..sim.silicon.mapper import SynthesisError
    from ..sim.verilator import SimulationError
    from .checkpoint import ModelError
    from .compiler import CompileError

    try:
        app()
    except (ConfigError, ModelError, CompileError) as error:
        _stop(2, error)
    except (SimulationError, SynthesisError) as error:
        _stop(1, error)
    except OSError as error:
        _stop(2, f"{error.filename}: {error.strerror}" if error.filename else error)


def _stop(code, error):
    print(f"error: {error}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
