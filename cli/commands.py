"""What the subcommands of `acceltran` do."""

import contextlib
import dataclasses
import shutil
import tempfile
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import MofNCompleteColumn, Progress
from rich.status import Status
from rich.table import Table

from ..hw.spec.config import AcceleratorConfig, ConfigError
from ..hw.spec.isa import LoopOrder
from ..sw.compiler import CompileError, compile_encoder
from ..sw.compiler.disassemble import disassemble
from ..sw.models.checkpoint import ModelError, count_cut, encode_texts, load_checkpoint
from .data_files import Data, read_sentences

__all__ = ["announce", "calibration_options", "check_outputs", "compile_command", "console", "disassemble_command",
           "explore_command", "finish_run", "generate_command", "keep_recordings", "load_config", "load_inputs", "longest_of",
           "loop_order", "print_fidelity", "read_texts", "run_command", "site_options", "stages", "told_cut", "warn"]

_WORST = 5
"""Tensors in the table of those that lose values."""

console = Console(soft_wrap=True, highlight=False)
progress = Console(stderr=True, soft_wrap=True, highlight=False)


def generate_command(config, output, json_path, *, testbench, **inputs):
    """See `cli.generate`."""
    from ..hw.generate import generate
    from ..sim.inference import write_json

    _check_testbench_options(testbench, **inputs)
    config = AcceleratorConfig.load(config)
    if output.exists() and not output.is_dir():
        raise ConfigError(f"output = {str(output)!r}: is a file; choose an empty or new folder")
    check_outputs(json_path)
    with Status(f"generating {config.name}", console=progress):
        manifest = generate(config, output, _testbench(config, output, **inputs) if testbench else {})
    if json_path:
        write_json(json_path, manifest)
    table = Table("file", "lines", title=f"{config.name}: {config.multipliers} multipliers, in {output}")
    for name, entry in manifest["files"].items():
        table.add_row(name, str(entry["lines"]))
    console.print(table)


def _check_testbench_options(testbench, *, model, texts, length, resident):
    """Refuse options that would have no effect."""
    given = {"--model": model is not None, "--text": bool(texts), "--length": length is not None, "--resident": resident}
    for name in (name for name, present in given.items() if present):
        if not testbench:
            raise ConfigError(f"{name}: is for the testbench; add --testbench")
        if model is None and name in ("--text", "--length"):
            raise ConfigError(f"{name}: is for a model, and the testbench's own encoder brings its sentences; add --model DIR")
    if model is not None and not texts:
        raise ConfigError("--model: has no sentence to run; add --text \"...\"")


def _testbench(config, output, *, model, texts, length, resident):
    """The files of a testbench for --model on --text, or else for a small encoder made here."""
    from ..sim.testbench import compile_texts, compile_tiny, make_testbench

    if model is None:
        program, golden = compile_tiny(config, resident=resident)
    else:
        program, golden = compile_texts(config, load_checkpoint(model), texts, length, resident=resident)
    return make_testbench(program, golden, output)


def check_outputs(*paths):
    """Refuse files that could not be written, before the work begins; None is no file.

    Raises
    ------
    ConfigError : the folder does not exist, or the path is a folder itself
    """
    for path in filter(None, paths):
        if not path.absolute().parent.is_dir():
            raise ConfigError(f"output = {str(path)!r}: its folder does not exist; make it first")
        if path.is_dir():
            raise ConfigError(f"output = {str(path)!r}: is a folder; name a file")


def announce(data, *, cut=0, total=None, longest=None):
    """Say on standard error what was read from a file.

    Parameters
    ----------
    data : Data
    cut : how many of its sentences were too long, of `total` (default: all) that are used
    longest : tokens that they were cut to
    """
    told = [told_cut(cut, total or len(data.texts), longest)] if cut else []
    for line in (data.describe(), *data.notes, *told):
        progress.print(escape(line))


def told_cut(cut, total, longest):
    """A line about sentences that were too long."""
    return f"{cut} of {total} texts {'was' if cut == 1 else 'were'} cut to {longest} tokens"


def read_texts(texts, file, layout=None):
    """The sentences of a command: given one by one, or those of a file.

    Returns
    -------
    Data

    Raises
    ------
    ModelError : there is none, or the file cannot be read
    """
    if texts and file:
        raise ModelError("--text and --file: give one of them")
    if file:
        return read_sentences(file, layout)
    if not texts:
        raise ModelError("no sentence: give --text \"...\" or --file FILE with one sentence per line")
    return Data(texts=list(texts), lines=[None] * len(texts), reading=None)


def calibration_options(file):
    """Options of the compiler for a file of calibration sentences, or none."""
    return {"calibration_texts": file and read_sentences(file).texts}


def loop_order(name):
    """The LoopOrder called `name`; None stays None."""
    if name is None:
        return None
    try:
        return LoopOrder[name.upper()]
    except KeyError:
        raise CompileError(f"order = {name!r}: choose a permutation of b, i, j, k, like bijk") from None


def load_config(name, skip=None):
    """A configuration by name or path, with `skip` in place of its own if given."""
    config = AcceleratorConfig.load(name)
    if skip is None:
        return config
    try:
        return dataclasses.replace(config, skip=skip, name=f"{config.name}_{skip}")
    except ConfigError as error:
        raise ConfigError(f"--skip: {error}") from None


def load_inputs(config, model, texts, file, skip=None, layout=None):
    """The configuration, checkpoint and sentences (Data) of a command."""
    config = load_config(config, skip)
    data = read_texts(texts, file, layout)
    return config, load_checkpoint(model), data


def longest_of(checkpoint, data, length, truncate=False):
    """What sentences are cut to: those of a file and, on request, those of --text; None if they are refused."""
    return length or checkpoint.config.max_position_embeddings if data.reading or truncate else None


def site_options(sites, target_sparsity, checkpoint):
    """Options of the compiler for a file of thresholds per site, or none; they must be those of the model."""
    from .evaluate.sites import SiteCurves

    if sites is None:
        return {"target_sparsity": target_sparsity}
    curves = SiteCurves.load(sites, checkpoint)
    return {"site_taus": curves.taus, "target_sparsity": curves.point if target_sparsity is None else target_sparsity}


def run_command(*, config, model, texts, file, skip, order, json_path, trace, waves, sites, target_sparsity, length, truncate,
                batch, calibration, limits, layout=None, **options):
    """See `cli.run`."""
    from ..sim.batches import combine, infer_batches
    from ..sim.inference import report
    from ..sw.models.fidelity import combine as combine_fidelities

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
    from ..sim.timeline import write_timeline

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
    from ..sim.inference import write_json

    places = [{"text": text} | ({"line": line} if line else {})
              for text, line in zip(inputs["texts"], inputs["lines"], strict=True)]
    values["predictions"] = [place | prediction for place, prediction in zip(places, values["predictions"], strict=False)]
    values |= {name: inputs[name] for name in ("reading", "cut", "longest")}
    if json_path:
        write_json(json_path, values)
    print_report(values, inputs["texts"])
    return 1 if warn(values["fidelity"]) or values["mismatches"] else 0


@contextlib.contextmanager
def stages(title):
    """Show on standard error what is being done: a spinner on a terminal, else a line per stage.

    Compiling is not announced in a log: it is quick, and bad input, found there, is to be a single line.
    """
    if not progress.is_terminal:
        yield lambda name: name.endswith("compiling") or progress.print(f"{title}: {name} ...")
        return
    with Status(f"{title} ...", console=progress) as status:
        yield lambda name: status.update(f"{title}: {name} ...")


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


def print_fidelity(values):
    """How far the integers are from the float model, and which tensors lose most values."""
    count = len(values["sentences"])
    worst = f"at least, over {count} sentences" if count > 1 else values["output"]
    labels = "" if values["equal_labels"] is None else f", {values['equal_labels']} of {count} labels equal"
    console.print(f"against the float model: cosine {values['cosine']:.8f} ({worst}), largest error {values['max_error']:.2g}"
                  f"{labels}; of {values['values']:,} values, weights included, {values['saturated']:,} saturate, "
                  f"{values['vanished']:,} vanish")
    losing = [(name, one) for name, one in values["tensors"].items() if one["saturated"] or one["vanished"]]
    if not losing:
        return
    table = Table("tensor", "saturated %", "vanished %", "largest", "fits up to",
                  title=f"{len(losing)} tensors lose values, the worst of them")
    losing.sort(key=lambda item: -(item[1]["saturated"] + item[1]["vanished"]) / item[1]["values"])
    for name, one in losing[:_WORST]:
        table.add_row(name, *(f"{100 * one[part] / one['values']:.3f}" for part in ("saturated", "vanished")),
                      f"{one['largest']:.3g}", "" if one["reach"] is None else f"{one['reach']:.3g}")
    console.print(table)


def warn(values):
    """Print the warning of a fidelity, if there is one, on standard error; whether it is a failure."""
    if values["warning"]:
        progress.print(f"warning: {values['warning']}", markup=False)
    return bool(values["warning"]) and values["limits"]["strict"]


def compile_command(*, config, model, texts, file, length, order, output, sites, target_sparsity, truncate, calibration,
                    json_path, limits, layout=None, **options):
    """See `cli.compile_`."""
    from ..sim.inference import expectation, write_json
    from ..sw.models.fidelity import golden_fidelity

    check_outputs(json_path)
    config, checkpoint, data = load_inputs(config, model, texts, file, layout=layout)
    longest = longest_of(checkpoint, data, length, truncate)
    ids, lengths = encode_texts(checkpoint, data.texts, length, longest=longest)
    options |= site_options(sites, target_sparsity, checkpoint) | calibration_options(calibration)
    program = compile_encoder(checkpoint, config, ids, lengths, order=loop_order(order), **options)
    golden, fidelity = golden_fidelity(checkpoint, program.graph, ids)
    cut = count_cut(checkpoint, data.texts, longest) if longest else 0
    inputs = {"texts": data.texts, "lines": data.lines, "reading": data.reading, "cut": cut, "longest": longest}
    expected = expectation(program, golden, fidelity=fidelity.to_dict(limits), labels=checkpoint.config.id2label, inputs=inputs)
    manifest = dataclasses.replace(program, expected=expected).save(output)
    if json_path:
        write_json(json_path, manifest)
    if data.reading:
        console.print(escape(data.describe()))
    if cut:
        console.print(told_cut(cut, len(data.texts), longest))
    planned = f", {program.planned_cycles:,} cycles planned" if program.planned_cycles else ""
    console.print(f"{output}: {len(program.instructions)} instructions, image of {len(program.image):,} bytes{planned}")
    print_fidelity(expected.fidelity)
    return int(warn(expected.fidelity))


def disassemble_command(program):
    """See `cli.disassemble`."""
    path = program / "program.bin" if program.is_dir() else program
    remedy = "give a program.bin that `acceltran compile` wrote"
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise CompileError(f"program = {str(path)!r}: {error.strerror}; {remedy}") from None
    if not raw:
        raise CompileError(f"program = {str(path)!r}: holds no instruction; {remedy}")
    try:
        print(disassemble(raw))
    except ValueError as error:
        raise CompileError(f"program = {str(path)!r}: {error}; {remedy}") from None


def explore_command(output, json_path):
    """See `cli.explore`."""
    from ..sim.inference import write_json
    from .explore import compare, explore, markdown, total_runs, update_document, values

    check_outputs(output, json_path)
    document = None
    if output:
        if not output.is_file():
            raise ConfigError(f"output = {str(output)!r}: there is no such document; start from docs/exploration.md")
        document = output.read_text()
    with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=progress) as bar:
        task = bar.add_task("points", total=total_runs())
        rows = compare(lambda _: bar.advance(task))
        found = explore(lambda _: bar.advance(task))
    tables = markdown(found, rows)
    if document:
        try:
            output.write_text(update_document(document, tables))
        except ValueError as error:
            raise ConfigError(f"output = {str(output)!r}: {error}") from error
    if json_path:
        write_json(json_path, values(found, rows))
    if not document:
        for key, table in tables.items():
            console.print(f"{key}\n{table}\n", markup=False)
