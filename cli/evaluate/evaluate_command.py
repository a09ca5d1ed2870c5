"""What `acceltran evaluate` does."""

from rich.progress import MofNCompleteColumn, Progress
from rich.table import Table

from ...hw.spec.config import AcceleratorConfig
from ...hw.spec.files import write_json
from ...sw.models.checkpoint import load_checkpoint
from ...sw.models.errors import ModelError
from ..console import announce, check_outputs, console, print_fidelity, progress, told_cut, warn
from ..data_files import read_labelled
from ..inputs import calibration_options
from ..labels import Targets, check_classifier
from ..late import Late
from .evaluate import Method, evaluate, format_of, with_format
from .sites import SiteCurves

__all__ = ["evaluate_command"]

check_on_rtl = Late("evaluate --rtl", "evaluate.rtl_check:check_on_rtl", "sim")


def evaluate_command(*, config, model, data, method, tau, target_sparsity, sites, keep, weight_sparsity, word_format, length,
                     limit, baseline, rtl, batch, jobs, json_path, calibration, limits, layout=None):
    """Options are those of the command, see its help."""
    hardware = AcceleratorConfig.load(config)
    if word_format:
        hardware = with_format(hardware, word_format)
    check_outputs(json_path)
    if rtl and method == "top-k":
        raise ModelError("method = 'top-k': the hardware has none; leave --rtl out, or choose none, dynatran or per-site")
    checkpoint = load_checkpoint(model)
    check_classifier(checkpoint, "evaluate")
    check = check_on_rtl.load() if rtl else None
    chosen = Method(name=method, tau=tau, target=target_sparsity, sites=sites and SiteCurves.load(sites, checkpoint), keep=keep,
                    weight_sparsity=weight_sparsity)
    found = read_labelled(data, Targets(checkpoint.config), layout)
    texts, labels = found.sentences[:limit], found.labels[:limit]
    announce(found)
    calibrated = calibration_options(calibration)
    passes = 1 + (baseline and method != "none")
    with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=progress, transient=True) as bar:
        task = bar.add_task("sentences", total=passes * len(texts))
        values = evaluate(checkpoint, hardware, texts, labels, chosen, length=length, baseline=baseline, limits=limits,
                          report=lambda done: bar.advance(task, done), **calibrated)
    settings = {"model": str(model), "data": str(data), "method": method, "tau": tau, "target_sparsity": target_sparsity,
                "sites": sites and str(sites), "keep": keep, "weight_sparsity": weight_sparsity, "length": length,
                "calibration": calibration and str(calibration), "format": format_of(hardware)}
    values = settings | {"reading": found.reading} | values
    if check:
        with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=progress, transient=True) as bar:
            task = bar.add_task("runs of the RTL", total=2 * len(texts[:rtl]))
            values["rtl"] = check(checkpoint, hardware, texts[:rtl], values["predictions"][:rtl], chosen, length=length,
                                  batch=batch, jobs=jobs, report=lambda done: bar.advance(task, done), **calibrated)
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
