"""Calibration: what the activations of a model look like on sample sentences."""

from dataclasses import dataclass

import numpy as np
import torch

from ..ir.spread import Spread
from .tokens import Tokens, place_rows

__all__ = ["SENTENCES", "Calibration", "calibrate"]

SENTENCES = (
    "the plot never quite recovers from its slow first hour, but the two leads are a pleasure to watch.",
    "a warm, funny and surprisingly honest film about growing old.",
    "i could not wait for it to end.",
    "loud, long and utterly pointless.",
    "Please send the signed contract back to us by Friday, March 14, so that work can begin on time.",
    "What is the boiling point of water on top of a mountain that is 3,000 metres high?",
    "The committee rejected the proposal because nobody could explain where the money would come from.",
    "Rain is expected in the north; the south stays dry and mild, with temperatures around 18 degrees.",
    "not good, not bad, not anything at all",
    "An engine that burns hydrogen emits water, yet making the hydrogen still takes a great deal of energy.",
    "Her first novel, written in three weeks, sold more copies than all of his books together!",
    "The cat slept on the warm keyboard while the program was still running.",
    "Yes.",
    "one of the finest performances of the year, wasted on a script that mistakes noise for drama and length for depth",
    "Switch the device off, wait ten seconds, and press the button on the left side until the light turns green.",
    "Er sagte kein Wort und ging; na ja, c'est la vie, as they say (perhaps too often).",
)
"""Sentences of varied length, topic and mood, used when the user gives none."""


@dataclass(frozen=True)
class Calibration:
    """What was seen.

    Parameters
    ----------
    maxima : largest magnitude of every float tensor, by its name
    spreads : Spread of every float tensor, times its scale
    magnitudes : float32 array of all magnitudes, for the tensors asked for
    """

    maxima: dict[str, float]
    spreads: dict[str, Spread]
    magnitudes: dict[str, np.ndarray]


def calibrate(checkpoint, texts=None, *, layers=None, keep=(), scale=lambda name: 1.0):
    """Run the float encoder on sentences, each unpadded.

    Parameters
    ----------
    checkpoint : Checkpoint
    texts : sentences, cut to the model's positions; the built-in ones by default
    layers : encoder layers to run, all by default
    keep : names of the tensors whose magnitudes are kept
    scale : by what the values of a tensor are multiplied in its Spread, by its name

    Returns
    -------
    Calibration
    """
    encoder = checkpoint.float_encoder()
    maxima: dict[str, float] = {}
    spreads: dict[str, Spread] = {}
    kept: dict[str, list[np.ndarray]] = {name: [] for name in keep}
    for ids, tokens in _sentences(checkpoint, SENTENCES if texts is None else texts):
        for name, values in encoder.run(ids, [ids.shape[1]], layers, tokens=tokens).items():
            magnitudes = values.abs()
            maxima[name] = max(maxima.get(name, 0.0), float(magnitudes.max()))
            spreads.setdefault(name, Spread(scale(name))).add(values)
            if name in kept:
                kept[name].append(magnitudes.flatten().numpy())
    return Calibration(maxima, spreads, {name: np.concatenate(parts) for name, parts in kept.items()})


def _sentences(checkpoint, texts):
    """Token numbers [1, length] and Tokens of each sentence; for question answering each is asked of the next one."""
    longest, pairs = checkpoint.config.max_position_embeddings, None
    if checkpoint.task.name == "question-answering":
        pairs = [*texts[1:], *texts[:1]]
    encoded = checkpoint.tokenizer.encode_many(texts, pairs, longest=longest)
    return [(torch.tensor([one.ids]), [Tokens(places=place_rows(checkpoint.config, one.ids, one.types))]) for one in encoded]
