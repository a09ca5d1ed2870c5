"""Models of well-known shapes with random weights: to see what a size takes without its files."""

import difflib

from .encoder_config import EncoderConfig
from .errors import ModelError
from .tiny_encoder import random_checkpoint

__all__ = ["PREFIX", "SHAPES", "check_shape", "random_model"]

PREFIX = "random:"
"""What stands before the name of a shape where a folder could stand, too."""

SHAPES = {"bert-tiny": (2, 128, 2), "bert-mini": (4, 256, 4), "bert-small": (4, 512, 8), "bert-medium": (8, 512, 8),
          "bert-base": (12, 768, 12), "bert-large": (24, 1024, 16)}
"""Layers, hidden size and heads, by name; the feed-forward network is four times as wide."""

_WORDS = 1000


def check_shape(name):
    """Refuse a shape that there is not.

    Raises
    ------
    ModelError : naming the nearest, or all
    """
    if name not in SHAPES:
        near = difflib.get_close_matches(name, SHAPES, n=1)
        raise ModelError(f"model = {PREFIX + name!r}: no such shape: " + (f"did you mean {PREFIX + near[0]!r}?" if near else
                         f"choose one of {', '.join(PREFIX + shape for shape in SHAPES)}"))


def random_model(name, *, seed=0):
    """A Checkpoint for text classification, of a shape by its name; a vocabulary of 1,000 words, 512 positions.

    Raises
    ------
    ModelError : there is no such shape
    """
    check_shape(name)
    layers, hidden, heads = SHAPES[name]
    config = EncoderConfig(
        hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=4 * hidden,
        vocab_size=_WORDS, position_rows=512, type_vocab_size=2, hidden_act="gelu", layer_norm_eps=1e-12, num_labels=2,
        id2label={n: f"class{n}" for n in range(2)})
    return random_checkpoint(name, config, "text-classification", seed)
