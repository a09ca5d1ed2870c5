"""Any number of sentences on the RTL: as many programs as they need, one report."""

import tempfile
from pathlib import Path

from ..sw.compiler import CapacityError, CompileError, check_batch, largest_batch, outline_encoder, quantise_encoder
from ..sw.models.checkpoint import encode_texts
from .expectation import COUNTED, zero_shares
from .inference import infer
from .system import largest_memory

__all__ = ["combine", "infer_batches"]

_QUANTISED = ("tau", "target_sparsity", "site_taus", "weight_sparsity", "calibration_texts", "layers")
_ASKED = ("tau", "target_sparsity", "site_taus", "layers")
_FITTED = ("overlap", "resident")


def infer_batches(config, checkpoint, texts, *, folder, batch=None, single=None, length=None, longest=None,
                  stage=lambda name: None, begin=lambda batches: None, **options):
    """Run sentences in batches, in their order, each as `infer` does.

    Parameters
    ----------
    config : AcceleratorConfig
    checkpoint : Checkpoint
    texts : sentences
    folder : for logs; with several batches those of each are gone when the next begins
    batch : sentences of a batch; None for the most that fit, which shapes alone tell. A batch that cannot be placed after
        all is halved
    single : None, or the name of an option that needs one batch
    length, longest : see `infer`
    stage : called with the name of each stage as it begins
    begin : called with the number of batches before the first
    options : see `infer`

    Yields
    ------
    Inference of each batch

    Raises
    ------
    CapacityError : a sentence does not fit, or not `batch` of them
    CompileError : several batches with `single`
    SimulationError : see `infer`
    """
    stage("compiling")
    quantised = {name: options.pop(name) for name in _QUANTISED if name in options}
    fitted = {name: options[name] for name in _FITTED if name in options} | {"memory": largest_memory(config)}
    lengths = encode_texts(checkpoint, texts, length, longest=longest)[1]
    asked = {name: quantised[name] for name in _ASKED if name in quantised}
    counts = _counts(outline_encoder(checkpoint, config, **asked), config, lengths, length, batch, fitted)
    if single and len(counts) > 1:
        raise CompileError(f"{single}: shows one program, and {len(texts)} sentences take {len(counts)}: give {counts[0]} of "
                           "them")
    encoder = quantise_encoder(checkpoint, config, **quantised)
    begin(len(counts))
    first, number = 0, 0
    while number < len(counts):
        title = f"batch {number + 1} of {len(counts)}: " if len(counts) > 1 else ""
        part = texts[first: first + counts[number]]
        try:
            with tempfile.TemporaryDirectory(dir=folder) as own:
                yield infer(config, checkpoint, part, folder=Path(own) if len(counts) > 1 else Path(folder), length=length,
                            longest=longest, encoder=encoder, stage=lambda name, title=title: stage(title + name), **options)
        except CapacityError:
            if len(part) == 1:
                raise
            counts[number: number + 1] = [len(part) - len(part) // 2, len(part) // 2]
            continue
        first, number = first + len(part), number + 1


def _counts(encoder, config, lengths, columns, batch, fitted):
    """Sentences of each batch."""
    counts = []
    while (first := sum(counts)) < len(lengths):
        rest = lengths[first:]
        count = min(batch, len(rest)) if batch else largest_batch(
            encoder, config, rest, columns, near=counts[-1] if counts else 1, **fitted)
        if batch or not count:
            part = rest[: count or 1]
            check_batch(encoder, config, part, columns or max(part), **fitted)
        counts.append(count)
    return counts


def combine(reports):
    """One report of several batches, as `report` gives it: sums, and shares of the sums; ``batches`` has those of each.

    Parameters
    ----------
    reports : of `report`, one or more
    """
    first, cycles = reports[0], sum(report["cycles"] for report in reports)
    predictions = [prediction for report in reports for prediction in report["predictions"]]
    labels = [prediction["label"] for prediction in predictions]
    seconds = sum(report["simulation_seconds"] for report in reports)
    simulated = sum(report["cycles_per_second"] * report["simulation_seconds"] for report in reports)
    summed = {name: sum(report[name] for report in reports) for name in (
        "cycles", "ideal_cycles", "multiplications", "skipped", "dense_multiplications", "tensors_compared", "mismatches",
        "sentences", "instructions", "build_seconds", "simulation_seconds")}
    kept = ("config", "prediction", "predictions")
    return first | summed | {
        "prediction": labels[0] if len(labels) == 1 else labels,
        "predictions": predictions,
        **{name: _known_sum(reports, name) for name in ("multiplications_expected", "planned_cycles")},
        "lost_cycles": _sums(reports, "lost_cycles"),
        "utilisation": _means(reports, "utilisation", cycles),
        "stalled": _means(reports, "stalled", cycles),
        "mismatched_tensors": _sums(reports, "mismatched_tensors"),
        "sparsity": _sparsity(reports),
        "counters": _sums(reports, "counters"),
        "cycles_per_second": simulated / seconds,
        "batches": [{name: value for name, value in report.items() if name not in kept} for report in reports],
    }


def _known_sum(reports, key):
    """None unless all reports have the figure."""
    values = [report[key] for report in reports]
    return None if None in values else sum(values)


def _sums(reports, key):
    names = dict.fromkeys(name for report in reports for name in report[key])
    return {name: sum(report[key].get(name, 0) for report in reports) for name in names}


def _means(reports, key, cycles):
    return {name: sum(report[key][name] * report["cycles"] for report in reports) / cycles for name in reports[0][key]}


def _sparsity(reports):
    counts = {}
    for report in reports:
        for kind, entry in report["sparsity"].items():
            known = counts.setdefault(kind, dict.fromkeys(COUNTED, 0))
            counts[kind] = {name: known[name] + entry[name] for name in COUNTED}
    return {kind: zero_shares(entry) for kind, entry in counts.items()}
