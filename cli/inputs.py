"""What the options of a command say about the model, its sentences and their pruning."""

from ..sw.ir.errors import CompileError
from ..sw.models.checkpoint import load_checkpoint
from ..sw.models.errors import ModelError
from .data_files import Data, read_sentences
from .evaluate.sites import SiteCurves
from .hardware import load_config

__all__ = ["address_of", "calibration_options", "load_inputs", "longest_of", "read_texts", "site_options"]


def read_texts(texts, file, layout=None, *, text_pairs=None, lenient=False, pairs=True):
    """The sentences of a command: given one by one, or those of a file.

    Parameters
    ----------
    texts, text_pairs : of the command line; as many pairs as texts, or one for all
    file, layout, lenient, pairs : see `read_sentences`

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
        if text_pairs:
            raise ModelError("--text-pair and --file: pairs of a file stand in a column of it: name it with --pair-column")
        return read_sentences(file, layout, lenient=lenient, pairs=pairs)
    if not texts:
        raise ModelError("no sentence: give --text \"...\" or --file FILE with one sentence per line")
    if text_pairs and len(text_pairs) not in (1, len(texts)):
        raise ModelError(f"--text-pair: {len(text_pairs)} for {len(texts)} --text: give one for each, or one for all")
    if text_pairs and not all(map(str.strip, text_pairs)):
        raise ModelError("--text-pair: is empty: give at least one word, or leave it out")
    if text_pairs:
        text_pairs = list(text_pairs) * (len(texts) // len(text_pairs))
    return Data(texts=list(texts), pairs=text_pairs or None, lines=[None] * len(texts), reading=None)


def calibration_options(file):
    """Options of the compiler for a file of calibration sentences, or none."""
    return {"calibration_texts": file and read_sentences(file).texts}


def load_inputs(config, model, texts, file, skip=None, layout=None, *, text_pairs=None, task=None, pooling=None, lenient=False):
    """The configuration, checkpoint and sentences (Data) of a command; for a vector of each text no pairs are looked for."""
    config, checkpoint = load_config(config, skip), load_checkpoint(model, task, pooling)
    data = read_texts(texts, file, layout, text_pairs=text_pairs, lenient=lenient,
                      pairs=checkpoint.task.name != "sentence-embedding")
    return config, checkpoint, data


def address_of(option, text):
    """The number of an option, decimal or, with 0x, hexadecimal; 0 where it is not given.

    Raises
    ------
    CompileError : it is no number
    """
    try:
        return int(text or "0", 0)
    except ValueError:
        raise CompileError(f"{option} {text}: give an address, such as 0x80000000") from None


def longest_of(checkpoint, data, length, truncate=False):
    """What sentences are cut to: those of a file and, on request, those of --text; None if they are refused."""
    return length or checkpoint.config.max_position_embeddings if data.reading or truncate else None


def site_options(sites, target_sparsity, checkpoint):
    """Options of the compiler for a file of thresholds per site, or none; they must be those of the model."""
    if sites is None:
        return {"target_sparsity": target_sparsity}
    curves = SiteCurves.load(sites, checkpoint)
    return {"site_taus": curves.taus, "target_sparsity": curves.point if target_sparsity is None else target_sparsity}
