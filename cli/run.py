"""What `acceltran run` does."""

import contextlib
import shutil
import tempfile
from pathlib import Path

from rich.table import Table

from ..hw.spec.files import write_json
from ..sim.batches import infer_batches
from ..sim.errors import SimulationError
from ..sim.timeline import instruction_labels, write_timeline
from .answer_text import answer_lines, similarity_lines
from .array_file import ArrayFile, check_suffix
from .console import BatchProgress, announce, check_outputs, console, print_fidelity, tell, told_cut, warn
from .hardware import loop_order
from .inputs import address_of, calibration_options, load_inputs, longest_of, site_options
from .run_page import RunPage, told_options
from .run_results import FEW_COMPARED, BatchResult, RunResults, placed, similarity_of

__all__ = ["finish_run", "keep_recordings", "print_report", "run_command"]


def run_command(*, config, model, texts, text_pairs, file, skip, order, json_path, output, trace, waves, sites, target_sparsity,
                length, truncate, batch, jobs, calibration, limits, task, pooling, base=None, layout=None, report=None,
                clock=None, **options):
    """Options are those of the command, see its help."""
    check_suffix(output)
    config, checkpoint, data = load_inputs(config, model, texts, file, skip, layout, text_pairs=text_pairs, task=task,
                                           pooling=pooling, lenient=True)
    page = RunPage(report, config=config, checkpoint=checkpoint, clock=clock, options=told_options(
        sites=sites, target_sparsity=target_sparsity, order=order, calibration=calibration, length=length,
        **options)) if report else None
    order = loop_order(order)
    options |= {"base": address_of("--base", base)}
    options |= site_options(sites, target_sparsity, checkpoint) | calibration_options(calibration)
    check_outputs(json_path, output, trace, waves, report)
    longest = longest_of(checkpoint, data, length, truncate)
    single = "--trace" if trace else "--waves" if waves else None
    told = []

    def begin(window, batches, more):
        if not told and data.reading:
            announce(data, cut=0 if more else window.cut, longest=longest)
        if not told:
            tell(*checkpoint.notes)
        told.append(more)
        tell(*(f"line {window.lines[number]} is left out: {why}" for number, why in sorted(window.skipped.items())))
        shown.begin(len(window.skipped), batches, more)

    def collect(inference):
        if single:
            keep_recordings(inference.program, inference.run, trace, waves)
        if page:
            page.add(inference)
        return BatchResult.of(inference, limits, output is not None)

    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="acceltran-"))
        shown = stack.enter_context(BatchProgress(config.name, len(data.rows)))
        arrays = stack.enter_context(ArrayFile(output)) if output else None
        results = RunResults(limits, arrays)
        for window in infer_batches(config, checkpoint, data.rows, folder=Path(folder), collect=collect, batch=batch, jobs=jobs,
                                    single=single, length=length, longest=longest, lenient=data.reading is not None,
                                    order=order, waves=waves is not None, activity=bool(trace or report), stage=shown.stage,
                                    begin=begin, done=shown.done, **options):
            with shown.paused():
                results.add(window)
        values = results.report()
        if values is None:
            raise SimulationError(results.failed[0]["reason"])
        if arrays:
            arrays.write()
    if results.cut and len(told) > 1:
        tell(told_cut(results.cut, len(data.texts), longest))
    return finish_run(values, {"reading": data.reading, "cut": results.cut, "longest": longest}, json_path,
                      page=page, clock=clock)


def keep_recordings(program, run, trace, waves):
    """Write the timeline and the waves of a run to the paths that are not None."""
    if trace:
        write_timeline(trace, program.config, run, instruction_labels(program))
    if waves:
        shutil.move(run.folder / "dump.fst", waves)


def finish_run(values, inputs, json_path, *, page=None, clock=None):
    """Print the report of a run, write it, and give the exit code.

    Parameters
    ----------
    values : of `RunResults`, or `combine`
    inputs : ``reading``, ``cut`` and ``longest``, see `run_command`; of a saved program also ``texts``, ``pairs`` and ``lines``
        of its sentences, whose answers were not printed
    json_path : Path, or None
    page : RunPage to write, or None
    clock : in MHz, at which the time of the cycles is given, or None
    """
    if "texts" in inputs:
        sentences = zip(inputs["texts"], inputs["pairs"] or [None] * len(inputs["texts"]), inputs["lines"], strict=True)
        values["predictions"] = [placed(text, pair, line) | prediction
                                 for (text, pair, line), prediction in zip(sentences, values["predictions"], strict=True)]
        for prediction in values["predictions"]:
            console.print("\n".join(answer_lines(prediction, values["kind"])))
    values = {"skipped_lines": [], "failed": []} | values | {name: inputs[name] for name in ("reading", "cut", "longest")}
    values |= similarity_of(values["predictions"], values["similarity_kind"])
    if clock:
        values |= {"clock_mhz": clock, "milliseconds": values["cycles"] / (1000 * clock)}
    if json_path:
        write_json(json_path, values)
    if page:
        page.write(values)
    print_report(values)
    if values["skipped_lines"]:
        lines = [one["line"] for one in values["skipped_lines"]]
        tell(f"{len(lines)} of {len(lines) + values['sentences']} lines were left out: {', '.join(map(str, lines))}")
    if warn(values["fidelity"]) or values["mismatches"] or values["failed"]:
        return 1
    return 2 if values["skipped_lines"] else 0


def print_report(values):
    """The tables of a run."""
    if values["task"] == "hidden-states":
        console.print("nothing more is asked of the model: the last hidden state was stored")
    console.print(f"on the host: {values['host']}")
    if values.get("similarity") and 2 <= len(values["similarity"]) <= FEW_COMPARED:
        console.print("\n".join(similarity_lines(values["similarity"], values["similarity_kind"])))
    if values["similarity_kind"] and not values["similarity"]:
        console.print(f"{values['sentences']} vectors are too many to compare each with each: no similarity is given")
    if values["cut"]:
        console.print(told_cut(values["cut"], values["sentences"], values["longest"]))
    if len(values["batches"]) > 1:
        table = Table("batch", "sentences", "cycles", "multipliers busy %", "integers that differ", title="batches")
        for number, part in enumerate(values["batches"], 1):
            table.add_row(f"{number}", f"{part['sentences']}", f"{part['cycles']:,}",
                          f"{100 * part['utilisation']['multipliers']:.1f}", f"{part['mismatches']}")
        console.print(table)
    table = Table("tensor class", "zeros %", "with padding %", title="sparsity")
    for kind, share in values["sparsity"].items():
        table.add_row(kind, f"{100 * share['sparsity']:.1f}", f"{100 * share['sparsity_padded']:.1f}")
    console.print(table)
    table = Table("", "", title=f"cycles on {values['config']}", show_header=False)
    use, counters = values["utilisation"], values["counters"]
    for name, value in (
        ("cycles", f"{values['cycles']:,}"),
        *([(f"milliseconds at {values['clock_mhz']:g} MHz", f"{values['milliseconds']:.4g}")] if "clock_mhz" in values else []),
        *([("places of the clusters that repeat the last sentence", f"{values['repeated']:,}")] if values["repeated"] else []),
        ("multiplications done", f"{values['multiplications']:,}"),
        ("multiplications skipped", f"{values['skipped']:,}"),
        ("multipliers busy", f"{100 * use['multipliers']:.1f} %"),
        ("dense-equivalent utilisation", f"{100 * use['multipliers_dense_equivalent']:.1f} %"),
        *((f"{engine} engine busy / stalled", f"{100 * use[engine]:.1f} % / {100 * values['stalled'][engine]:.1f} %")
          for engine in ("memory", "matrix", "vector")),
        ("bytes read / written", f"{counters['bytes_read']:,} / {counters['bytes_written']:,}"),
        ("A / B tiles loaded", f"{counters['a_tile_loads']:,} / {counters['b_tile_loads']:,}"),
        ("build / simulation seconds", f"{values['build_seconds']:.1f} / {values['simulation_seconds']:.1f}"),
    ):
        table.add_row(name, value)
    console.print(table)
    print_fidelity(values["fidelity"])
    if values["mismatches"]:
        least = "at least " if values.get("compared_by") == "hashes" else ""
        console.print(f"{least}[bold]{values['mismatches']} integers differ[/bold] from the golden model:")
        for name, count in values["mismatched_tensors"].items():
            console.print(f"  {name}: {count}")
    else:
        console.print(f"all {values['tensors_compared']} intermediate tensors equal")
