"""`acceltran run --program`: a program that `acceltran compile` wrote, on the simulated RTL."""

import tempfile
from pathlib import Path

from ..sim.batches import combine
from ..sim.inference import seen_outputs
from ..sim.saved_run import run_saved
from ..sw.compiler import CompileError, Program
from .array_file import ArrayFile, arrays_of, check_suffix
from .console import check_outputs, stages, tell
from .run import finish_run, keep_recordings

__all__ = ["refuse_without_effect", "saved_run_command"]

_HEEDED = ("program", "json_path", "output", "trace", "waves", "latency")


def refuse_without_effect(context):
    """Refuse the options of a command line that a saved program has no use for.

    Parameters
    ----------
    context : typer.Context of `acceltran run`

    Raises
    ------
    CompileError : names them
    """
    given = [_as_given(option, context.params) for option in context.command.params
             if option.name not in _HEEDED and context.get_parameter_source(option.name).name == "COMMANDLINE"]
    if given:
        have, them = ("has", "it") if len(given) == 1 else ("have", "them")
        raise CompileError(f"{', '.join(given)}: {have} no effect with --program, which is compiled already: leave {them} out, "
                           f"or compile again with {them}")


def _as_given(option, values):
    negated = option.secondary_opts and values.get(option.name) is False
    return (option.secondary_opts if negated else option.opts)[0]


def saved_run_command(folder, *, json_path, trace, waves, latency, output=None):
    """Run the program of a folder; returns the exit code.

    Raises
    ------
    CompileError : the folder is damaged, mixed up, or of another version
    SimulationError : see `run_saved`
    """
    check_suffix(output)
    program = Program.load(folder)
    check_outputs(json_path, output, trace, waves)
    with tempfile.TemporaryDirectory(prefix="acceltran-") as logs, stages(program.config.name) as stage:
        values, run = run_saved(program, folder=Path(logs), stage=stage, waves=waves is not None, activity=trace is not None,
                                latency=latency)
        keep_recordings(program, run, trace, waves)
        unnamed = [f"sentence {number + 1}" for number in range(values["sentences"])]
        inputs = {"texts": unnamed, "pairs": None, "lines": [None] * len(unnamed), "reading": None, "cut": 0, "longest": None,
                  "notes": []}
        inputs |= program.expected.inputs
        if output:
            _write_arrays(output, program, run, inputs["lines"])
    tell(*inputs.pop("notes"))
    return finish_run(combine([values]) | {"compared_by": "hashes"}, inputs, json_path)


def _write_arrays(path, program, run, lines):
    outputs = {name: floats for name, (_, floats) in seen_outputs(program, run).items()}
    with ArrayFile(path) as arrays:
        arrays.add([line or number for number, line in enumerate(lines, 1)], arrays_of(program.expected.answers, outputs))
        arrays.write()
