"""The same sentences on the RTL: equal predictions, and cycles."""

import tempfile
from pathlib import Path
from statistics import mean

from ...sim.batches import infer_batches
from ...sim.inference import report as run_report
from ...sw.models.sentence import Sentence

__all__ = ["check_on_rtl"]


def check_on_rtl(checkpoint, hardware, texts, predictions, method, *, length, batch=1, jobs=1, model=None,
                 calibration_texts=None, report=lambda done: None):
    """Run the sentences at their own length and padded, and compare every intermediate tensor and the predictions.

    Parameters
    ----------
    checkpoint, hardware, texts, method, length, calibration_texts : as for `evaluate`; not top-k, which the hardware has not
    predictions : number of the class of each sentence, or the value if the model has one output, of the integer model
    batch, jobs, model : see `infer_batches`
    report : called with the number of sentences of each run that ended

    Returns
    -------
    values : plain values for JSON: ``sentences``, ``tokens`` (mean), ``equal_predictions`` (of both runs), ``mismatches``
        (integers that differ from the golden model), ``cycles`` and ``cycles_padded`` (means)

    Raises
    ------
    SimulationError : a program does not end, or ends with an error
    """
    options = method.compiler_options() | {"calibration_texts": calibration_texts, "batch": batch, "jobs": jobs, "model": model}
    rows = list(enumerate(one if isinstance(one, Sentence) else Sentence(one) for one in texts))
    longest = length or checkpoint.config.max_position_embeddings
    key = "logits" if checkpoint.config.num_labels == 1 else "index"
    labels, cycles, tokens, mismatches = {}, {}, [], 0
    for padded in dict.fromkeys((None, length)):
        labels[padded], cycles[padded] = [None] * len(rows), 0
        with tempfile.TemporaryDirectory(prefix="acceltran-") as folder:
            for window in infer_batches(hardware, checkpoint, rows, folder=Path(folder), collect=_collect, length=padded,
                                        longest=longest, done=report, **options):
                for numbers, (values, lengths) in window.parts:
                    mismatches += values["mismatches"]
                    cycles[padded] += values["cycles"]
                    tokens += lengths
                    for number, prediction in zip(numbers, values["predictions"], strict=True):
                        found = prediction[key]
                        labels[padded][window.lines[number]] = found[0] if key == "logits" else found
    return {
        "sentences": len(rows), "tokens": mean(tokens),
        "equal_predictions": sum(len({*of_one}) == 1 for of_one in zip(predictions, *labels.values(), strict=True)),
        "mismatches": mismatches, "cycles": cycles[None] / len(rows), "cycles_padded": cycles[length] / len(rows),
    }


def _collect(inference):
    return run_report(inference), [len(one["names"]) for one in inference.answers.sentences]
