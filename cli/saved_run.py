"""`acceltran run --program`: a program that `acceltran compile` wrote, on the simulated RTL."""

import tempfile
from dataclasses import replace
from pathlib import Path

from ..sim.batches import combine
from ..sim.inference import seen_outputs
from ..sim.saved_run import run_saved
from ..sw.compiler import CompileError, load_programs
from ..sw.compiler.bucket import choose
from ..sw.compiler.emit import check_base
from .array_file import ArrayFile, arrays_of, check_suffix
from .console import check_outputs, stages, tell
from .inputs import address_of
from .run import finish_run, keep_recordings
from .run_page import RunPage, told_options

__all__ = ["refuse_without_effect", "saved_run_command"]

_HEEDED = ("program", "json_path", "output", "trace", "waves", "latency", "base", "length", "report", "clock")
_TOLD = ("texts", "pairs", "lines", "reading", "cut", "longest")


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


def saved_run_command(folder, *, json_path, trace, waves, latency, base=None, length=None, output=None,
                      report=None, clock=None):
    """Run the programs of a folder, or the one for sentences of `length` tokens; returns the exit code.

    Raises
    ------
    CompileError : the folder is damaged, mixed up, or of another version; no program takes so long a sentence
    SimulationError : see `run_saved`
    """
    check_suffix(output)
    programs = load_programs(folder)
    programs = programs if length is None else [choose(programs, length)]
    single = next((name for name, path in (("--trace", trace), ("--waves", waves), ("--output", output)) if path), None)
    if single and len(programs) > 1:
        lengths = ", ".join(str(program.bucket.tokens) for program in programs)
        raise CompileError(f"{single}: shows one program, and {folder} holds those for up to {lengths} tokens: choose with "
                           "--length")
    if base is not None:
        programs = [replace(program, base=address_of("--base", base)) for program in programs]
        check_base(programs[0].base, len(programs[0].image), programs[0].config)
    check_outputs(json_path, output, trace, waves, report)
    page = RunPage(report, config=programs[0].config, clock=clock, options=told_options(
        program=folder, latency=latency, length=length)) if report else None
    reports, told = [], {"texts": [], "pairs": [], "lines": [], "notes": []}
    with tempfile.TemporaryDirectory(prefix="acceltran-") as logs, stages(programs[0].config.name) as stage:
        for program in programs:
            values, run = run_saved(program, folder=Path(logs), stage=stage, waves=waves is not None,
                                    activity=bool(trace or report), latency=latency)
            keep_recordings(program, run, trace, waves)
            if page:
                page.add_timeline(program, run)
            reports.append(values)
            inputs = _inputs(program, values["sentences"])
            for name, shown in told.items():
                shown += inputs[name] or [None] * values["sentences"] if name != "notes" else inputs[name]
            if output:
                _write_arrays(output, program, run, inputs["lines"])
    tell(*dict.fromkeys(told.pop("notes")))
    inputs |= told
    if not any(inputs["pairs"]):
        inputs["pairs"] = None
    return finish_run(combine(reports) | {"compared_by": "hashes"}, {name: inputs[name] for name in _TOLD}, json_path,
                      page=page, clock=clock)


def _inputs(program, sentences):
    """What is known of the sentences of a program."""
    unnamed = [f"sentence {number + 1}" for number in range(sentences)]
    inputs = {"texts": unnamed, "pairs": None, "lines": [None] * len(unnamed), "reading": None, "cut": 0, "longest": None,
              "notes": []}
    return inputs | program.expected.inputs


def _write_arrays(path, program, run, lines):
    outputs = {name: floats for name, (_, floats) in seen_outputs(program, run).items()}
    with ArrayFile(path) as arrays:
        arrays.add([line or number for number, line in enumerate(lines, 1)], arrays_of(program.expected.answers, outputs))
        arrays.write()
