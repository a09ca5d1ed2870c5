"""What `acceltran run` does."""

import shutil
import tempfile
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from ..hw.spec.files import write_json
from ..sim.batches import combine, infer_batches
from ..sim.inference import report
from ..sim.timeline import write_timeline
from ..sw.models.checkpoint import count_cut
from ..sw.models.fidelity import combine as combine_fidelities
from .console import announce, check_outputs, console, print_fidelity, stages, told_cut, warn
from .hardware import loop_order
from .inputs import calibration_options, load_inputs, longest_of, site_options

__all__ = ["finish_run", "keep_recordings", "print_report", "run_command"]


def run_command(*, config, model, texts, file, skip, order, json_path, trace, waves, sites, target_sparsity, length, truncate,
                batch, calibration, limits, layout=None, **options):
    """Options are those of the command, see its help."""
    config, checkpoint, data = load_inputs(config, model, texts, file, skip, layout)
    order = loop_order(order)
    options |= site_options(sites, target_sparsity, checkpoint) | calibration_options(calibration)
    check_outputs(json_path, trace, waves)
    longest = longest_of(checkpoint, data, length, truncate)
    cut = count_cut(checkpoint, data.texts, longest) if longest else 0
    single = "--trace" if trace else "--waves" if waves else None

    def begin(batches):
        if data.reading:
            announce(data, cut=cut, longest=longest)

    with tempfile.TemporaryDirectory(prefix="acceltran-") as folder, stages(config.name) as stage:
        reports, fidelities = [], []
        for inference in infer_batches(config, checkpoint, data.texts, folder=Path(folder), batch=batch, single=single,
                                       length=length, longest=longest, order=order, waves=waves is not None,
                                       activity=trace is not None, stage=stage, begin=begin, **options):
            fidelities.append(inference.fidelity)
            reports.append(report(inference) | {"fidelity": inference.fidelity.to_dict(limits)})
        values = combine(reports) | {"fidelity": combine_fidelities(fidelities).to_dict(limits)}
        keep_recordings(inference.program, inference.run, trace, waves)
    inputs = {"texts": data.texts, "lines": data.lines, "reading": data.reading, "cut": cut, "longest": longest}
    return finish_run(values, inputs, json_path)


def keep_recordings(program, run, trace, waves):
    """Write the timeline and the waves of a run to the paths that are not None."""
    if trace:
        labels = {n: opcode.name for n, (opcode, _) in enumerate(program.instructions)}
        labels |= {step: name for name, place in program.tensors.items() for step in place["steps"]}
        write_timeline(trace, program.config, run, labels)
    if waves:
        shutil.move(run.folder / "dump.fst", waves)


def finish_run(values, inputs, json_path):
    """Print the report of a run, write it, and give the exit code.

    Parameters
    ----------
    values : of `combine`
    inputs : ``texts`` and ``lines`` of the sentences, ``reading``, ``cut`` and ``longest``, see `run_command`
    json_path : Path, or None
    """
    places = [{"text": text} | ({"line": line} if line else {})
              for text, line in zip(inputs["texts"], inputs["lines"], strict=True)]
    values["predictions"] = [place | prediction for place, prediction in zip(places, values["predictions"], strict=False)]
    values |= {name: inputs[name] for name in ("reading", "cut", "longest")}
    if json_path:
        write_json(json_path, values)
    print_report(values, inputs["texts"])
    return 1 if warn(values["fidelity"]) or values["mismatches"] else 0


def print_report(values, texts):
    """The tables of a run."""
    if not values["predictions"]:
        console.print("the model has no classifier: the last hidden state was stored")
    for text, prediction in zip(texts, values["predictions"], strict=False):
        logits = ", ".join(f"{x:.4f}" for x in prediction["logits"])
        console.print(f"{escape(text)}\n  -> [bold]{escape(prediction['label'])}[/bold] (logits {logits})")
    if values["cut"]:
        console.print(told_cut(values["cut"], len(texts), values["longest"]))
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
