"""What `acceltran evaluate`, `calibrate` and `study` do."""

import functools
import random
from dataclasses import replace

import torch
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ...hw.spec.config import AcceleratorConfig
from ...sw.models.checkpoint import count_cut, load_checkpoint
from ...sw.models.errors import ModelError
from ...sw.models.quantise import weight_zeros
from ..commands import announce, calibration_options, check_outputs, console, print_fidelity, progress, told_cut, warn
from ..data_files import read_labelled, read_sentences, write_tsv
from ..labels import Targets, check_classifier
from ..train.train import CONFIG
from ..train.train_command import split_data
from .cost import SHAPES, attention_probabilities, pass_times, selector_gates
from .document import update_document, update_part
from .evaluate import Method, evaluate, with_format
from .rtl_check import check_on_rtl
from .seeds import run_seeds, seed_table
from .sites import SiteCurves, calibrate_sites
from .study import BUDGETS, FORMATS, KEEPS, POINTS, TAUS, Curve, choose_strengths, run_study

__all__ = ["calibrate_command", "cost_command", "evaluate_command", "seeds_command", "study_command"]

_SEARCH = 400


def calibrate_command(*, data, output, model, budget, weight_sparsity, sentences, check, seed, layout=None):
    """See `cli.calibrate`."""
    from ...hw.spec.files import write_json

    check_outputs(output)
    checkpoint = load_checkpoint(model)
    check_classifier(checkpoint, "calibrate", classes=True)
    found = read_labelled(data, Targets(checkpoint.config), layout)
    parts = _draw(data, found.texts, found.labels, sentences, check, seed)
    positions = checkpoint.config.max_position_embeddings
    announce(found, cut=count_cut(checkpoint, found.texts, positions), longest=positions)
    columns = TextColumn("removed {task.percentage:.1f} % of the multiplications"), TimeElapsedColumn()
    with Progress(*columns, console=progress, transient=True) as bar:
        task = bar.add_task("", total=1.0)
        curves = calibrate_sites(checkpoint, *parts, budget=budget, weight_sparsity=weight_sparsity,
                                 report=lambda removed: bar.update(task, completed=removed))
    write_json(output, curves.to_dict() | {"settings": {
        "model": str(model), "data": str(data), "budget": budget, "weight_sparsity": weight_sparsity,
        "sentences": sentences, "check": len(parts[1][0]), "seed": seed}})
    table = Table("operating point", "multiplications left %", "divergence", "accuracy %",
                  title="on the sentences of the search")
    for n, point in enumerate(curves.points):
        table.add_row(f"{n / (len(curves.points) - 1):.3f}", f"{100 * point['remaining']:.1f}", f"{point['divergence']:.4f}",
                      f"{100 * point['accuracy']:.2f}")
    console.print(table)
    console.print(f"within {budget} points on {len(parts[1][0])} others: operating point {curves.point:.3f}")


def _draw(data, texts, labels, sentences, check, seed):
    """(texts, labels) to search on, and others to choose on: `check` of them, or all that are left."""
    total = len(texts) if check is None else sentences + check
    if len(texts) < total or sentences >= total:
        raise ModelError(f"data = {str(data)!r}: has {len(texts)} sentences, not {sentences} + {check or 1}; give more, "
                         "or lower --sentences or --check")
    drawn = random.Random(seed).sample(range(len(texts)), total)
    return [([texts[n] for n in part], [labels[n] for n in part]) for part in (drawn[:sentences], drawn[sentences:])]


def study_command(*, data, train, models, weight_sparsities, config, length, results, output, layout=None):
    """See `cli.study`."""
    hardware = AcceleratorConfig.load(config)
    check_outputs(results, output)
    load, curves = functools.cache(load_checkpoint), []
    models = [str(model) for model in models]
    found, others = (_read_for_all(path, models, load, layout) for path in (data, train))
    check = _draw(train, others.texts, others.labels, _SEARCH, None, 0)[1]
    for part in (found, others):
        announce(part)
    for model in models:
        there = weight_zeros(load(model))
        for weights in [0.0, *(share for share in weight_sparsities if share > there)]:
            sites = results.with_name(f"{results.stem}-{model.replace('/', '_')}-{weights}.json")
            if not sites.exists():
                calibrate_command(data=train, output=sites, model=model, budget=BUDGETS[-1], weight_sparsity=weights,
                                  sentences=_SEARCH, check=None, seed=0, layout=layout)
            thresholds = SiteCurves.load(sites, load(model))
            curves += [Curve(model, weights, "none", {"": {}}),
                       Curve(model, weights, "dynatran", {f"{tau}": {"tau": tau} for tau in TAUS}),
                       Curve(model, weights, "top-k", {f"{keep}": {"keep": keep} for keep in KEEPS}),
                       Curve(model, weights, "per-site", {f"{p}": {"sites": thresholds, "target": p} for p in POINTS})]

    def report(line):
        progress.print(f"study: {line} ...")

    choices = choose_strengths(curves, load, *check, results=results.with_name(f"{results.stem}-choices.json"), report=report)
    curves = [curve.without_points_between(choices) for curve in curves]
    for word_format in FORMATS:
        dense, sites = (curve for curve in curves[:4] if curve.method in ("none", "per-site"))
        point = choices[sites.key(BUDGETS[-1])]
        chosen = {} if point is None else {point: sites.settings[point]}
        curves += [replace(dense, word_format=word_format), replace(sites, word_format=word_format, settings=chosen)]
    values = run_study(curves, load, hardware, found.texts, found.labels, length=length, results=results, report=report)
    for path in [output, *update_document(output, values, choices)]:
        console.print(f"wrote {path}")


def _read_for_all(path, models, load, layout):
    """Data whose labels mean the same to all models."""
    found = None
    for model in models:
        checkpoint = load(model)
        check_classifier(checkpoint, "study", classes=True)
        read = read_labelled(path, Targets(checkpoint.config), layout)
        if found and read.labels != found.labels:
            raise ModelError(f"data = {str(path)!r}: its labels are other classes to {model} than to {models[0]}: study models "
                             "with one id2label")
        found = found or read
    return found


def seeds_command(*, data, seeds, config, folder, cache, exclusions, output, layout=None):
    """See `cli.seeds`."""
    hardware = AcceleratorConfig.load(config)
    check_outputs(output)
    found = read_labelled(data, Targets(CONFIG), layout)
    announce(found)
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    training, kept = split_data(cache, exclusions)
    held_out = folder / "held-out.tsv"
    write_tsv(held_out, [review.text for review in kept], [int(review.rating > 0) for review in kept])

    def calibrate(model, sites):
        calibrate_command(data=held_out, output=sites, model=model, budget=BUDGETS[0], weight_sparsity=0.0, sentences=_SEARCH,
                          check=None, seed=0)

    values = run_seeds(range(seeds), training, calibrate, hardware, found.texts, found.labels, folder=folder, cache=cache,
                       report=lambda line: progress.print(f"seeds: {line} ..."))
    update_part(output, "seeds", seed_table(values))
    console.print(f"wrote {output}")


def cost_command(*, data, model, tau, keep, length, json_path, layout=None):
    """See `cli.cost`."""
    from ...hw.spec.files import write_json

    check_outputs(json_path)
    torch.set_num_threads(1)
    checkpoint, found = load_checkpoint(model), read_sentences(data, layout)
    texts = found.texts[:16]
    tensors = {f"{model.name}, {len(texts)} sentences": attention_probabilities(checkpoint, texts, length)}
    announce(found, cut=count_cut(checkpoint, texts, length), total=len(texts), longest=length)
    tensors |= {name: torch.rand(shape, generator=torch.Generator().manual_seed(0)).softmax(-1).flatten(0, -2)
                for name, shape in SHAPES.items()}
    values = {"tau": tau, "keep": keep, "passes": {}, "gates": {}}
    table = Table("attention probabilities", "threshold ms", "top-k ms", "ratio", title="one pass in PyTorch, one thread")
    for name, tensor in tensors.items():
        times = values["passes"][name] = pass_times(tensor, tau=tau, keep=keep)
        table.add_row(name, *(f"{1e3 * times[key]:.2f}" for key in ("threshold", "top_k")), f"{times['ratio']:.2f}")
    console.print(table)
    table = Table("values in a row", "DynaTran GE", "top-k GE", "ratio", title="hardware for one row per cycle, 20 bits")
    with progress.status("mapping"):
        values["gates"] = selector_gates(20, (8, 16, 32))
    for tile, gates in values["gates"].items():
        table.add_row(f"{tile}", *(f"{gates[key]:,.0f}" for key in ("dynatran", "top_k")),
                      f"{gates['top_k'] / gates['dynatran']:.2f}")
    console.print(table)
    if json_path:
        write_json(json_path, values)


def evaluate_command(*, config, model, data, method, tau, target_sparsity, sites, keep, weight_sparsity, word_format, length,
                     limit, baseline, rtl, json_path, calibration, limits, layout=None):
    """See `cli.evaluate`."""
    from ...hw.spec.files import write_json

    hardware = AcceleratorConfig.load(config)
    if word_format:
        hardware = with_format(hardware, word_format)
    check_outputs(json_path)
    if rtl and method == "top-k":
        raise ModelError("method = 'top-k': the hardware has none; leave --rtl out, or choose none, dynatran or per-site")
    checkpoint = load_checkpoint(model)
    check_classifier(checkpoint, "evaluate")
    chosen = Method(name=method, tau=tau, target=target_sparsity, sites=sites and SiteCurves.load(sites, checkpoint), keep=keep,
                    weight_sparsity=weight_sparsity)
    found = read_labelled(data, Targets(checkpoint.config), layout)
    texts, labels = found.texts[:limit], found.labels[:limit]
    announce(found)
    calibrated = calibration_options(calibration)
    passes = 1 + (baseline and method != "none")
    with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=progress, transient=True) as bar:
        task = bar.add_task("sentences", total=passes * len(texts))
        values = evaluate(checkpoint, hardware, texts, labels, chosen, length=length, baseline=baseline, limits=limits,
                          report=lambda done: bar.advance(task, done), **calibrated)
    settings = {"model": str(model), "data": str(data), "method": method, "tau": tau, "target_sparsity": target_sparsity,
                "sites": sites and str(sites), "keep": keep, "weight_sparsity": weight_sparsity, "length": length,
                "calibration": calibration and str(calibration), "format": f"{hardware.integer_bits}.{hardware.fraction_bits}"}
    values = settings | {"reading": found.reading} | values
    if rtl:
        with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=progress, transient=True) as bar:
            task = bar.add_task("runs of the RTL", total=2 * len(texts[:rtl]))
            values["rtl"] = check_on_rtl(checkpoint, hardware, texts[:rtl], values["predictions"][:rtl], chosen, length=length,
                                         report=lambda done: bar.advance(task, done), **calibrated)
    if json_path:
        write_json(json_path, values)
    _print(values)
    if warn(values["fidelity"]):
        return 1
    return 1 if rtl and (values["rtl"]["mismatches"] or values["rtl"]["equal_predictions"] < values["rtl"]["sentences"]) else 0


def _print(values):
    columns = {"zeros %": "sparsity", "padded": "sparsity_padded", "left %": "remaining_multiplications",
               "padded ": "remaining_multiplications_padded"}
    for title, part in (("without pruning", values.get("baseline")), (values["method"], values)):
        if part is None:
            continue
        table = Table("class", *columns, title=f"{title}: zeros of operands, multiplications left of products (by the class "
                      f"of their result); padded: to {values['length']} tokens")
        shares = {head: part[key] for head, key in columns.items()}
        for kind in dict.fromkeys(kind for share in shares.values() for kind in share["class"]):
            table.add_row(kind, *_cells(share["class"].get(kind) for share in shares.values()))
        table.add_section()
        table.add_row("all", *_cells(share["all"] for share in shares.values()))
        console.print(table)
        console.print(f"{_score(part)} ({part['sentences']} sentences)")
        print_fidelity(part["fidelity"])
    if values["cut"]:
        console.print(told_cut(values["cut"], values["sentences"], values["longest"]))
    if "rtl" in values:
        _print_rtl(values["rtl"], values["length"])


def _score(part):
    """Accuracy, or correlations of values."""
    if "accuracy" in part:
        return f"accuracy {100 * part['accuracy']:.2f} % +- {100 * part['accuracy_stderr']:.2f}"
    shown = {name: "undefined, since one side is constant" if part[name] is None else f"{part[name]:.4f}"
             for name in ("pearson", "spearman")}
    return f"correlation with the labels: Pearson {shown['pearson']}, Spearman {shown['spearman']}"


def _print_rtl(values, length):
    console.print(f"on the RTL: {values['equal_predictions']} of {values['sentences']} predictions equal, "
                  f"{values['mismatches']} integers differ; {values['cycles']:,.0f} cycles on average at their own "
                  f"{values['tokens']:.1f} tokens, {values['cycles_padded']:,.0f} padded to {length}")


def _cells(shares):
    return ("" if share is None else f"{100 * share:.1f}" for share in shares)
