"""A small encoder with random weights, made in memory: something to run where there is no model."""

from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

from ...hw.spec.activations import ACTIVATIONS
from .checkpoint import Checkpoint
from .encoder_config import EncoderConfig
from .registry import FAMILIES
from .tasks import TASKS
from .text_tokenizer import TextTokenizer

__all__ = ["SPECIAL", "TINY_SHAPES", "random_checkpoint", "random_texts", "random_weight", "tiny_encoder", "word_tokenizer"]

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
TINY_SHAPES = ({"heads": 2, "words": (4, 2)}, {"heads": 1, "words": (5,)})
"""Heads of one tile each, and words of each sentence: from the one that shows most to the one that needs least room."""

_PREFERRED = tuple(entry.name for entry in sorted(ACTIVATIONS, key=lambda entry: (entry.odd, entry.tail is None)))
"""Activation functions, those first that show most."""

_VOCABULARY, _POSITIONS = 32, 16


def tiny_encoder(hardware, *, heads, words, seed=6):
    """An encoder of one layer that fits a configuration, and sentences for it, the same ones every time.

    The activation function is one that the configuration has. With tanh there are a pooler and a classifier; without, the
    last hidden state is the result.

    Parameters
    ----------
    hardware : AcceleratorConfig
    heads : attention heads of one tile; the feed-forward network is half a tile wider than all of them
    words : number of words of each sentence

    Returns
    -------
    Checkpoint, and the sentences
    """
    hidden, whole = heads * hardware.tile, "tanh" in hardware.functions
    act = next((f for f in _PREFERRED if f in hardware.functions), _PREFERRED[0])
    config = EncoderConfig(hidden_size=hidden, num_hidden_layers=1, num_attention_heads=heads,
                        intermediate_size=hidden + hardware.tile // 2, vocab_size=_VOCABULARY,
                        position_rows=_POSITIONS, type_vocab_size=2, hidden_act=act, layer_norm_eps=1e-12,
                        num_labels=3, id2label={n: f"class{n}" for n in range(3)})
    texts = [random_texts(1, count, _VOCABULARY, seed + number)[0] for number, count in enumerate(words)]
    return random_checkpoint("tiny", config, "text-classification" if whole else "hidden-states", seed), texts


def random_checkpoint(name, config, task, seed=0):
    """A Checkpoint of an EncoderConfig with random weights, for the words of `word_tokenizer`."""
    generator = torch.Generator().manual_seed(seed)
    family = FAMILIES[config.model_type]
    head = family.head(config, TASKS[task])
    tensors = {tensor: random_weight(tensor, shape, generator) for tensor, shape in family.tensor_shapes(config, head).items()}
    roles = dict(zip(("pad", "unk", "cls", "sep", "mask"), SPECIAL, strict=True))
    return Checkpoint(Path(name), config, tensors, TextTokenizer(word_tokenizer(config.vocab_size), roles), head)


def random_weight(name, shape, generator):
    """Values for the tensor `name`, scaled like a trained model's."""
    noise = torch.randn(shape, generator=generator)
    if name.endswith(("LayerNorm.weight", "norm.weight")):
        return 1 + 0.1 * noise
    if name.startswith("embeddings") and not name.endswith("bias"):
        return 0.3 * noise
    return 0.1 * noise if name.endswith("bias") else noise * min(0.3, 1.2 / shape[1] ** 0.5)


def word_tokenizer(size):
    """A tokenizer with `size` tokens: the special ones, then the words ``w0``, ``w1``, ..."""
    words = [*SPECIAL, *(f"w{index}" for index in range(size - len(SPECIAL)))]
    tokenizer = Tokenizer(WordPiece({word: index for index, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = BertNormalizer(), BertPreTokenizer()
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")])
    return tokenizer


def random_texts(count, words, vocab=64, seed=0):
    """`count` texts of `words` random words that `word_tokenizer` knows."""
    picks = torch.randint(vocab - len(SPECIAL), (count, words), generator=torch.Generator().manual_seed(seed)).tolist()
    return [" ".join(f"w{index}" for index in row) for row in picks]
