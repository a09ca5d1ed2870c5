"""The `acceltran` command."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from .bench.cli import app as bench_app
from .cache_command import cache
from .evaluate.cli import calibrate, cost, evaluate, seeds, study, train
from .options import DEFAULT_MODEL, CalibrationOption, ConfigOption, with_layout, with_limits
from .silicon.cli import ablate, fpga, power, synth

__all__ = ["app", "main"]

_EPILOG = """
Examples, from a checkout of the project:

  acceltran generate --config mini -o build/mini          Verilog, manifest, documents, C header

  acceltran run --text "a warm , funny film"              BERT-Tiny on the simulated RTL

  acceltran run --config my.toml --tau 0.05 --json r.json   a configuration of your own, pruned at run time

Exit codes: 0 all is well, 1 the RTL and the golden model differ, a run failed or --strict found a limit passed, 2 bad input.
"""

app = typer.Typer(
    help="Generate, run and measure AccelTran, a synthesizable accelerator for transformer encoders.",
    epilog=_EPILOG, no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False,
)

app.add_typer(bench_app, name="bench")



@app.command()
def generate(
    config: ConfigOption = "mini",
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder to write; replaced if it holds a design."),
    ] = Path("build/generated"),
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the manifest here too.")] = None,
    testbench: Annotated[bool, typer.Option("--testbench", help="Add a self-checking testbench in plain Verilog, which runs a "
                                            "small random encoder, or --model on --text.")] = False,
    model: Annotated[Path | None, typer.Option(help="With --testbench: Hugging Face BERT folder to run.")] = None,
    text: Annotated[list[str] | None, typer.Option(help="With --model: a sentence; several make a batch.")] = None,
    length: Annotated[int | None, typer.Option(min=2, help="With --model: tokens to pad to.")] = None,
    resident: Annotated[
        bool, typer.Option("--resident", help="With --testbench: bring weights by a program of their own, which runs first."),
    ] = False,
):
    """Write the Verilog of a configuration with its file list, manifest, documents and C header.

    Example: acceltran generate --config mini -o build/mini && verilator --lint-only -Wall build/mini/waivers.vlt -f
    build/mini/files.f, which says nothing. files.f names the sources by their absolute paths; where the folder was moved,
    relative.f serves from inside it.

    Example: acceltran generate --config nano -o build/nano --testbench && iverilog -g2005 -o build/tb -s testbench
    -f build/nano/testbench.f && vvp build/tb, whose last line says whether all outputs are equal.
    """
    from .commands import generate_command

    generate_command(config, output, json_path, testbench=testbench, model=model, texts=text, length=length,
                     resident=resident)


@app.command()
@with_layout(labels=False)
@with_limits
def run(
    context: typer.Context,
    config: ConfigOption = "mini",
    model: Annotated[
        Path, typer.Option(help="Hugging Face BERT folder: config.json, model.safetensors, tokenizer.json."),
    ] = DEFAULT_MODEL,
    text: Annotated[list[str] | None, typer.Option(help="A sentence; several make a batch.")] = None,
    file: Annotated[Path | None, typer.Option(help="Sentences: one per line, or a column of a csv, tsv or jsonl file.")] = None,
    length: Annotated[int | None, typer.Option(min=2, help="Tokens to pad to (default: the longest sentence).")] = None,
    truncate: Annotated[bool, typer.Option("--truncate", help="Cut a --text that is too long, as those of a file are, in place "
                                           "of refusing it.")] = False,
    batch: Annotated[int | None, typer.Option(min=1, help="Sentences of a program (default: the most that fit).")] = None,
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
    calibration: CalibrationOption = None,
    program: Annotated[Path | None, typer.Option(help="Folder that acceltran compile wrote: run that program.")] = None,
    layout=None,
    limits=None,
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
    from .commands import run_command
    from .saved_run import refuse_without_effect, saved_run_command

    if program:
        refuse_without_effect(context)
        raise typer.Exit(saved_run_command(program, json_path=json_path, trace=trace, waves=waves, latency=latency))
    raise typer.Exit(run_command(
        config=config, model=model, texts=text, file=file, length=length, layers=layers, tau=tau,
        target_sparsity=target_sparsity, sites=sites, weight_sparsity=weight_sparsity, skip=skip, order=order,
        overlap=overlap, resident=resident, json_path=json_path, trace=trace, waves=waves, latency=latency,
        truncate=truncate, batch=batch, calibration=calibration, layout=layout, limits=limits,
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
@with_layout(labels=False)
@with_limits
def compile_(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for program.bin, image.bin and manifest.json.")],
    config: ConfigOption = "mini",
    model: Annotated[Path, typer.Option(help="Hugging Face BERT folder.")] = DEFAULT_MODEL,
    text: Annotated[list[str] | None, typer.Option(help="A sentence; several make a batch.")] = None,
    file: Annotated[Path | None, typer.Option(help="Sentences: one per line, or a column of a csv, tsv or jsonl file.")] = None,
    length: Annotated[int | None, typer.Option(min=2, help="Tokens to pad to.")] = None,
    truncate: Annotated[bool, typer.Option("--truncate", help="Cut a --text that is too long, as those of a file.")] = False,
    layers: Annotated[int | None, typer.Option(min=1, help="Only the first layers.")] = None,
    tau: Annotated[float | None, typer.Option(min=0, help="DynaTran threshold.")] = None,
    target_sparsity: Annotated[float | None, typer.Option(min=0, max=1, help="DynaTran: wanted sparsity.")] = None,
    sites: Annotated[Path | None, typer.Option(help="DynaTran: thresholds of each site, from acceltran calibrate.")] = None,
    weight_sparsity: Annotated[float, typer.Option(min=0, max=0.99, help="Share of weights to zero.")] = 0.0,
    order: Annotated[str | None, typer.Option(help="Loop order of every product (default: the best).")] = None,
    overlap: Annotated[bool, typer.Option(help="Let instructions overlap.")] = True,
    resident: Annotated[bool, typer.Option(help="Bring weights by a program of their own.")] = False,
    calibration: CalibrationOption = None,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the manifest here too.")] = None,
    layout=None,
    limits=None,
):
    """Compile sentences to a program and its main-memory image, and say how far its results are from the float model's.

    One program is one batch: more sentences than fit are refused, with the number that does.

    Example: acceltran compile --text "a warm , funny film" -o build/program
    """
    from .commands import compile_command

    raise typer.Exit(compile_command(
        config=config, model=model, texts=text, file=file, length=length, layers=layers, tau=tau,
        target_sparsity=target_sparsity, sites=sites, weight_sparsity=weight_sparsity, order=order, overlap=overlap,
        resident=resident, output=output, truncate=truncate, calibration=calibration, json_path=json_path, layout=layout,
        limits=limits,
    ))


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


for _command in (evaluate, calibrate, cost, study, train, seeds, synth, power, fpga, ablate, cache):
    app.command()(_command)


def main():
    """Entry point: one line and exit code 2 for bad input, 1 for a failed run."""
    from ..hw.spec.config import ConfigError
    from ..silicon.mapper import SynthesisError
    from ..sim.verilator import SimulationError
    from ..sw.compiler import CompileError
    from ..sw.models.checkpoint import ModelError

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
