"""What the options of a command say about the model, its sentences and their pruning."""

from ..sw.models.checkpoint import load_checkpoint
from ..sw.models.errors import ModelError
from .data_files import Data, read_sentences
from .evaluate.sites import SiteCurves
from .hardware import load_config

__all__ = ["calibration_options", "load_inputs", "longest_of", "read_texts", "site_options"]


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
    if sites is None:
        return {"target_sparsity": target_sparsity}
    curves = SiteCurves.load(sites, checkpoint)
    return {"site_taus": curves.taus, "target_sparsity": curves.point if target_sparsity is None else target_sparsity}
