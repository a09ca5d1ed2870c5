"""The same sentences on the RTL: equal predictions, and cycles."""

import tempfile
from pathlib import Path
from statistics import mean

from ...sim.inference import infer
from ...sim.inference import report as run_report
from ...sw.models.checkpoint import encode_texts

__all__ = ["check_on_rtl"]


def check_on_rtl(checkpoint, hardware, texts, predictions, method, *, length, model=None, calibration_texts=None,
                 report=lambda done: None):
    """Run each sentence on its own, at its own length and padded, and compare every intermediate tensor and the prediction.

    Parameters
    ----------
    checkpoint, hardware, texts, method, length, calibration_texts : as for `evaluate`; not top-k, which the hardware has not
    predictions : number of the class of each sentence, or the value if the model has one output, of the integer model
    model : see `infer`
    report : called after each run

    Returns
    -------
    values : plain values for JSON: ``sentences``, ``tokens`` (mean), ``equal_predictions`` (of both runs), ``mismatches``
        (integers that differ from the golden model), ``cycles`` and ``cycles_padded`` (means)

    Raises
    ------
    SimulationError : a program does not end, or ends with an error
    """
    options, runs = method.compiler_options() | {"calibration_texts": calibration_texts}, {None: [], length: []}
    longest = length or checkpoint.config.max_position_embeddings
    for text in texts:
        for padded, done in runs.items():
            with tempfile.TemporaryDirectory(prefix="acceltran-") as folder:
                done.append(run_report(infer(checkpoint=checkpoint, config=hardware, texts=[text], folder=Path(folder),
                                             length=padded, longest=longest, model=model, **options)))
            report(1)
    regression = checkpoint.config.num_labels == 1
    labels = [[run["predictions"][0]["logits"][0] if regression else run["predictions"][0]["index"] for run in done]
              for done in runs.values()]
    return {
        "sentences": len(texts), "tokens": mean(encode_texts(checkpoint, texts, longest=longest)[1]),
        "equal_predictions": sum(len({*of_one}) == 1 for of_one in zip(predictions, *labels, strict=True)),
        "mismatches": sum(run["mismatches"] for done in runs.values() for run in done),
        "cycles": mean(run["cycles"] for run in runs[None]), "cycles_padded": mean(run["cycles"] for run in runs[length]),
    }
