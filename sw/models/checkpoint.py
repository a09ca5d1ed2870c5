"""Read a model folder in the Hugging Face layout: config.json, model.safetensors, tokenizer.json."""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer

from .config_fields import read_fields
from .errors import ModelError
from .registry import FAMILIES, family_of

__all__ = ["Checkpoint", "count_cut", "load_checkpoint", "encode_texts"]

CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
FLOAT_TYPES = (torch.float16, torch.bfloat16, torch.float32)


@dataclass(frozen=True)
class Checkpoint:
    """One model.

    Members
    -------
    folder : Path
    config : configuration of its family, see `Family.read_config`
    tensors : dict of str to float32 Tensor
        By the canonical names of the family; linear weights are ``[out, in]``.
    tokenizer : tokenizers.Tokenizer
        Truncation and padding are off.
    truncation_side : str
        Where texts that are too long lose tokens, by the tokenizer's files: "right" or "left".
    """

    folder: Path
    config: Any
    tensors: dict[str, torch.Tensor]
    tokenizer: Tokenizer
    truncation_side: str = "right"

    @property
    def family(self):
        """The Family of the model."""
        return FAMILIES[self.config.model_type]

    @property
    def has_pooler(self):
        """Whether the model has a pooler behind its layers."""
        return self.family.pooler in self.tensors

    @property
    def has_classifier(self):
        """Whether the model has a classification head behind the pooler."""
        return self.family.classifier in self.tensors

    def parts(self, layers=None):
        """Parts of the model, or of its first `layers`, which have nothing behind them."""
        whole = layers in (None, self.config.num_hidden_layers)
        return self.family.parts(self.config, self.config.num_hidden_layers if layers is None else layers,
                                 whole and self.has_pooler, whole and self.has_classifier)

    def float_encoder(self, dtype=torch.float32):
        """The float reference of the model, see `Family.float_encoder`."""
        return self.family.float_encoder(self, dtype)

    @cached_property
    def identity(self):
        """A digest of what the model computes: its configuration without the labels' names, and its tensors."""
        digest = hashlib.sha256()
        fields = {name: value for name, value in asdict(self.config).items() if name != "id2label"}
        digest.update(json.dumps(fields, sort_keys=True).encode())
        for name, tensor in sorted(self.tensors.items()):
            digest.update(f"{name} {list(tensor.shape)}".encode())
            digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()


def load_checkpoint(folder):
    """Read a model folder.

    Parameters
    ----------
    folder : path
        Holds config.json, whose ``model_type`` is that of a known family, model.safetensors (float16, bfloat16 or float32)
        and tokenizer.json. Which tensors may be left out, and which are refused, says the family.

    Returns
    -------
    Checkpoint

    Raises
    ------
    ModelError
        One line naming the file, tensor or field, the value found and the remedy.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ModelError(f"{folder}: no such folder: give a folder with {CONFIG}, {WEIGHTS} and {TOKENIZER}")
    for name in (CONFIG, WEIGHTS, TOKENIZER):
        if not (folder / name).is_file():
            raise ModelError(f"{folder / name}: file is missing: a model folder holds {CONFIG}, {WEIGHTS} "
                             f"and {TOKENIZER}")
    fields = read_fields(folder / CONFIG)
    family = family_of(folder / CONFIG, fields)
    config = family.read_config(folder / CONFIG, fields)
    tokenizer = _read_tokenizer(folder / TOKENIZER, family, config)
    side = _truncation_side(folder / TOKENIZER_CONFIG, tokenizer)
    tokenizer.no_truncation()
    return Checkpoint(folder, config, _read_tensors(folder / WEIGHTS, family, config), tokenizer, side)


def encode_texts(checkpoint, texts, length=None, *, longest=None):
    """Tokenise texts, between the family's first and last token (``[CLS] .. [SEP]``), padded with its padding (``[PAD]``).

    Parameters
    ----------
    checkpoint : Checkpoint
        Gives the tokenizer and the longest length.
    texts : sequence of str
        At least one, none empty.
    length : int, optional
        Columns of the result; the longest text's tokens by default.
    longest : int, optional
        Tokens, [CLS] and [SEP] included, to which longer texts are cut, at the side that the tokenizer's files say; they
        are refused by default. `length` and the model's positions cut too.

    Returns
    -------
    ids : int64 Tensor [len(texts), length]
    lengths : list of int
        Tokens of each text, [CLS] and [SEP] included.

    Raises
    ------
    ModelError
        For no text, an empty text, or one longer than `length` or the model's positions.
    """
    texts = list(texts)
    if not texts:
        raise ModelError("no text given: give at least one")
    positions = checkpoint.config.max_position_embeddings
    if length is not None and not 3 <= length <= positions:
        raise ModelError(f"length {length} is outside 3..{positions} (max_position_embeddings): choose one inside")
    limit, reason = (positions, "max_position_embeddings") if length is None else (length, "the chosen length")
    special = checkpoint.family.special_tokens
    pad, first, last = (checkpoint.tokenizer.token_to_id(token) for token in special)
    rows = []
    for number, text in enumerate(texts, 1):
        tokens = checkpoint.tokenizer.encode(text, add_special_tokens=False).ids if text.strip() else []
        if not tokens:
            raise ModelError(f"text {number} of {len(texts)} is empty ({text[:20]!r}): give at least one word")
        if longest is not None:
            room = min(limit, longest) - 2
            tokens = tokens[:room] if checkpoint.truncation_side == "right" else tokens[-room:]
        if len(tokens) + 2 > limit:
            raise ModelError(f"text {number} of {len(texts)} has {len(tokens) + 2} tokens with {special[1]} and "
                             f"{special[2]}, {reason} allows {limit}: shorten it by {len(tokens) + 2 - limit}")
        rows.append([first, *tokens, last])
    lengths = [len(row) for row in rows]
    ids = torch.full((len(rows), length or max(lengths)), pad, dtype=torch.int64)
    for row, tokens in zip(ids, rows, strict=True):
        row[: len(tokens)] = torch.tensor(tokens)
    return ids, lengths


def count_cut(checkpoint, texts, longest):
    """How many texts have more tokens than `longest`, [CLS] and [SEP] included."""
    encodings = checkpoint.tokenizer.encode_batch(list(texts), add_special_tokens=False)
    return sum(len(encoding.ids) + 2 > longest for encoding in encodings)


def _truncation_side(path, tokenizer):
    """Right, unless one of the tokenizer's files says left."""
    try:
        stated = json.loads(path.read_text(encoding="utf-8-sig")).get("truncation_side") if path.is_file() else None
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"{path}: not a JSON object ({error}): fetch the file again, or remove it") from None
    side = stated or (tokenizer.truncation or {}).get("direction", "right")
    if side not in ("right", "left"):
        raise ModelError(f"{path}: truncation_side is {side!r}: set it to \"right\" or \"left\"")
    return side


def _read_tensors(path, family, config):
    try:
        with safe_open(path, framework="pt") as file:
            stored = _stored_names(path, family, file.keys())
            pooler, classifier = family.pooler in stored, family.classifier in stored
            if classifier and not pooler:
                raise ModelError(f"{path}: has {family.classifier} but no {family.pooler}: use a sequence-classification "
                                 "model, or leave the classifier out")
            expected = family.tensor_shapes(config, pooler, classifier)
            family.refuse_others(path, stored.keys() - expected.keys())
            return {name: _read_tensor(file, path, stored, name, shape) for name, shape in expected.items()}
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: truncated or corrupt ({error}): fetch the file again") from None


def _stored_names(path, family, names):
    """The file's name of every tensor, by its canonical one."""
    stored: dict[str, str] = {}
    for name in names:
        first = stored.setdefault(family.canonical(name), name)
        if first != name:
            raise ModelError(f"{path}: holds both {min(first, name)} and {max(first, name)}, which name the same tensor: "
                             "remove the one that does not belong to the model")
    return stored


def _read_tensor(file, path, stored, name, shape):
    if name not in stored:
        raise ModelError(f"{path}: tensor {name} {list(shape)} is missing: config.json asks for it, use the config and "
                         "weights of one model")
    tensor = file.get_tensor(stored[name])
    if tuple(tensor.shape) != shape:
        raise ModelError(f"{path}: tensor {name} is {list(tensor.shape)} but config.json asks for {list(shape)}: use "
                         "the config and weights of one model")
    if tensor.dtype not in FLOAT_TYPES:
        raise ModelError(f"{path}: tensor {name} is {str(tensor.dtype).replace('torch.', '')}: store it as float16 or "
                         "float32")
    tensor = tensor.float()
    if not tensor.isfinite().all():
        raise ModelError(f"{path}: tensor {name} holds {int((~tensor.isfinite()).sum())} infinite or NaN values: use a "
                         "model that trained without overflow")
    return tensor


def _read_tokenizer(path, family, config):
    try:
        tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # the library raises plain Exception
        raise ModelError(f"{path}: no valid tokenizer ({error}): fetch the file again") from None
    tokenizer.no_padding()
    for token in family.special_tokens:
        if tokenizer.token_to_id(token) is None:
            raise ModelError(f"{path}: token {token} is missing: use a {family.title} tokenizer")
    largest = max(tokenizer.get_vocab(with_added_tokens=True).values())
    if largest >= config.vocab_size:
        raise ModelError(f"{path}: token number {largest} is beyond vocab_size {config.vocab_size} of config.json: use "
                         "the tokenizer of this model")
    return tokenizer
