"""Read a Hugging Face BERT folder: config.json, model.safetensors, tokenizer.json."""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer

from ...hw.spec.activations import ACTIVATIONS
from .errors import ModelError

__all__ = ["BertConfig", "Checkpoint", "count_cut", "tensor_shapes", "load_checkpoint",
           "encode_texts"]

_FUNCTIONS = tuple(entry.name for entry in ACTIVATIONS)
CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
SPECIAL_TOKENS = ("[PAD]", "[CLS]", "[SEP]")
REQUIRED_SIZES = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size",
                  "max_position_embeddings")
FLOAT_TYPES = (torch.float16, torch.bfloat16, torch.float32)
POOLER, CLASSIFIER = "pooler.dense.weight", "classifier.weight"
ENCODER_PARTS = ("embeddings.", "encoder.", "pooler.")
BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")
PLAIN_FIELDS = {
    "is_decoder": (False, "there is no causal attention"),
    "add_cross_attention": (False, "there is no cross-attention"),
    "is_encoder_decoder": (False, "there is no decoder"),
    "cross_attention_hidden_size": (None, "there is no cross-attention"),
    "pruned_heads": ({}, "every layer has all heads"),
    "auto_map": (None, "code of the model's own is not run"),
    "quantization_config": (None, "packed weights are not unpacked"),
}
"""Fields of config.json that change the computation: the only value that is computed here, and why."""


@dataclass(frozen=True, kw_only=True)
class BertConfig:
    """The fields of config.json that shape the computation.

    Raises
    ------
    ModelError
        If the activation is not one of `hw.spec.activations` or `hidden_size` is no multiple of `num_attention_heads`.
    """

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    vocab_size: int
    max_position_embeddings: int
    type_vocab_size: int
    hidden_act: str
    layer_norm_eps: float
    num_labels: int
    id2label: dict[int, str]

    def __post_init__(self):
        if self.hidden_act not in _FUNCTIONS:
            raise ModelError(f"config.json: hidden_act is {self.hidden_act!r}, known are {', '.join(_FUNCTIONS)}: "
                             "use a model trained with one of these")
        if self.hidden_size % self.num_attention_heads:
            raise ModelError(f"config.json: hidden_size {self.hidden_size} is no multiple of num_attention_heads "
                             f"{self.num_attention_heads}: use a model whose heads divide its width")

    @property
    def head_size(self):
        """Width of one attention head."""
        return self.hidden_size // self.num_attention_heads


@dataclass(frozen=True)
class Checkpoint:
    """One model.

    Members
    -------
    folder : Path
    config : BertConfig
    tensors : dict of str to float32 Tensor
        Canonical Hugging Face names without the leading ``bert.``; linear weights are ``[out, in]``.
    tokenizer : tokenizers.Tokenizer
        Truncation and padding are off.
    truncation_side : str
        Where texts that are too long lose tokens, by the tokenizer's files: "right" or "left".
    """

    folder: Path
    config: BertConfig
    tensors: dict[str, torch.Tensor]
    tokenizer: Tokenizer
    truncation_side: str = "right"

    @property
    def has_pooler(self):
        """Whether the model has a pooler (dense and tanh on [CLS])."""
        return POOLER in self.tensors

    @property
    def has_classifier(self):
        """Whether the model has a classification head behind the pooler."""
        return CLASSIFIER in self.tensors

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


def tensor_shapes(config, pooler=True, classifier=True):
    """Canonical name to shape of every tensor that a model of this configuration has."""
    hidden, ffn = config.hidden_size, config.intermediate_size
    shapes = {
        "embeddings.word_embeddings.weight": (config.vocab_size, hidden),
        "embeddings.position_embeddings.weight": (config.max_position_embeddings, hidden),
        "embeddings.token_type_embeddings.weight": (config.type_vocab_size, hidden),
    }

    def vectors(name):
        shapes[f"{name}.weight"] = shapes[f"{name}.bias"] = (hidden,)

    def linear(name, out_size, in_size):
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (out_size, in_size), (out_size,)

    vectors("embeddings.LayerNorm")
    for layer in range(config.num_hidden_layers):
        prefix = f"encoder.layer.{layer}"
        for name in ("self.query", "self.key", "self.value", "output.dense"):
            linear(f"{prefix}.attention.{name}", hidden, hidden)
        vectors(f"{prefix}.attention.output.LayerNorm")
        linear(f"{prefix}.intermediate.dense", ffn, hidden)
        linear(f"{prefix}.output.dense", hidden, ffn)
        vectors(f"{prefix}.output.LayerNorm")
    if pooler:
        linear("pooler.dense", hidden, hidden)
    if classifier:
        linear("classifier", config.num_labels, hidden)
    return shapes


def load_checkpoint(folder):
    """Read a model folder.

    Parameters
    ----------
    folder : path
        Holds config.json, model.safetensors (float16, bfloat16 or float32) and tokenizer.json. Tensors of other heads
        (``cls.*``) and buffers (``position_ids``) are left out; any other that the encoder does not have is refused.

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
    config = _read_config(folder / CONFIG)
    tokenizer = _read_tokenizer(folder / TOKENIZER, config)
    side = _truncation_side(folder / TOKENIZER_CONFIG, tokenizer)
    tokenizer.no_truncation()
    return Checkpoint(folder, config, _read_tensors(folder / WEIGHTS, config), tokenizer, side)


def encode_texts(checkpoint, texts, length=None, *, longest=None):
    """Tokenise texts to ``[CLS] .. [SEP]``, padded with ``[PAD]``.

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
    pad, cls, sep = (checkpoint.tokenizer.token_to_id(token) for token in SPECIAL_TOKENS)
    rows = []
    for number, text in enumerate(texts, 1):
        tokens = checkpoint.tokenizer.encode(text, add_special_tokens=False).ids if text.strip() else []
        if not tokens:
            raise ModelError(f"text {number} of {len(texts)} is empty ({text[:20]!r}): give at least one word")
        if longest is not None:
            room = min(limit, longest) - 2
            tokens = tokens[:room] if checkpoint.truncation_side == "right" else tokens[-room:]
        if len(tokens) + 2 > limit:
            raise ModelError(f"text {number} of {len(texts)} has {len(tokens) + 2} tokens with [CLS] and [SEP], "
                             f"{reason} allows {limit}: shorten it by {len(tokens) + 2 - limit}")
        rows.append([cls, *tokens, sep])
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


def _read_config(path):
    try:
        fields = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_once)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: not valid JSON ({error}): fetch the file again") from None
    if not isinstance(fields, dict):
        raise ModelError(f"{path}: holds a {type(fields).__name__}, not an object of fields: fetch the file again")
    for field, known in (("model_type", "bert"), ("position_embedding_type", "absolute")):
        if fields.get(field, known) != known:
            raise ModelError(f"{path}: {field} is {fields[field]!r}, known is {known!r}: use a BERT encoder")
    for field, (known, reason) in PLAIN_FIELDS.items():
        if (fields.get(field) or known) != known:
            raise ModelError(f"{path}: {field} is {fields[field]!r}, but {reason}: use a plain BERT encoder")
    if not isinstance(fields.get("hidden_act", "gelu"), str):
        raise ModelError(f"{path}: hidden_act is {fields['hidden_act']!r}, not a name: use one of "
                         f"{', '.join(_FUNCTIONS)}")
    epsilon = fields.get("layer_norm_eps", 1e-12)
    if isinstance(epsilon, bool) or not isinstance(epsilon, int | float) or not 0 < epsilon < 1:
        raise ModelError(f"{path}: layer_norm_eps is {epsilon!r}, not a number between 0 and 1: correct it")
    sizes = {name: _size(path, fields, name) for name in REQUIRED_SIZES}
    labels = _labels(path, fields)
    try:
        return BertConfig(**sizes, type_vocab_size=_size(path, fields, "type_vocab_size", 2),
                          hidden_act=fields.get("hidden_act", "gelu"), layer_norm_eps=float(epsilon),
                          num_labels=len(labels), id2label=labels)
    except ModelError as error:
        raise ModelError(f"{path.parent}: {error}") from None


def _once(pairs):
    """A JSON object, whose names may occur once each: of two values, one would be lost."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ModelError(f"field {twice} occurs twice: remove one of them")
    return fields


def _size(path, fields, name, default=None):
    value = fields.get(name, default)
    if value is None:
        raise ModelError(f"{path}: field {name} is missing: add it")
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ModelError(f"{path}: {name} is {value!r}, not a positive whole number: correct it")
    return value


def _labels(path, fields):
    labels = fields.get("id2label")
    if labels is None:
        return {index: f"LABEL_{index}" for index in range(_size(path, fields, "num_labels", 2))}
    if not labels or not isinstance(labels, dict) or set(labels) != {str(index) for index in range(len(labels))}:
        raise ModelError(f"{path}: id2label is {labels!r}, not an object with the keys 0, 1, ...: correct it")
    count = fields.get("num_labels", len(labels))
    if count != len(labels):
        raise ModelError(f"{path}: num_labels is {count!r} but id2label names {len(labels)}: correct one")
    return {index: str(labels[str(index)]) for index in range(len(labels))}


def _canonical(name):
    name = name.removeprefix("bert.")
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")


def _read_tensors(path, config):
    try:
        with safe_open(path, framework="pt") as file:
            stored = _stored_names(path, file.keys())
            if CLASSIFIER in stored and POOLER not in stored:
                raise ModelError(f"{path}: has {CLASSIFIER} but no {POOLER}: use a sequence-classification model, "
                                 "or leave the classifier out")
            expected = tensor_shapes(config, POOLER in stored, CLASSIFIER in stored)
            _refuse_others(path, stored.keys() - expected.keys())
            return {name: _read_tensor(file, path, stored, name, shape) for name, shape in expected.items()}
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: truncated or corrupt ({error}): fetch the file again") from None


def _stored_names(path, names):
    """The file's name of every tensor, by its canonical one."""
    stored = {}
    for name in names:
        first = stored.setdefault(_canonical(name), name)
        if first != name:
            raise ModelError(f"{path}: holds both {min(first, name)} and {max(first, name)}, which name the same tensor: "
                             "remove the one that does not belong to the model")
    return stored


def _refuse_others(path, names):
    """Refuse tensors of the encoder that a plain BERT of this configuration would leave unused."""
    names = sorted(name for name in names if name.startswith(ENCODER_PARTS) and name not in BUFFERS)
    if names:
        what = "cross-attention" if "crossattention" in names[0] else "a part"
        raise ModelError(f"{path}: tensor {names[0]}, one of {len(names)} such, belongs to {what} that a BERT encoder of this "
                         "config.json does not have: use a plain BERT encoder, or the config and weights of one model")


def _read_tensor(file, path, stored, name, shape):
    if name not in stored:
        raise ModelError(f"{path}: tensor {name} {list(shape)} is missing: config.json asks for it, use the config and "
                         "weights of one model")
    tensor = file.get_tensor(stored[name])
    if tuple(tensor.shape) != shape:
        raise ModelError(f"{path}: tensor {name} is {list(tensor.shape)} but config.json asks for {list(shape)}: use "
                         "the config and weights of one model")
    if tensor.dtype not in FLOAT_TYPES:
        raise ModelError(f"{path}: tensor {name} is {str(tensor.dtype).removeprefix('torch.')}: store it as float16 or "
                         "float32")
    tensor = tensor.float()
    if not tensor.isfinite().all():
        raise ModelError(f"{path}: tensor {name} holds {int((~tensor.isfinite()).sum())} infinite or NaN values: use a "
                         "model that trained without overflow")
    return tensor


def _read_tokenizer(path, config):
    try:
        tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # the library raises plain Exception
        raise ModelError(f"{path}: no valid tokenizer ({error}): fetch the file again") from None
    tokenizer.no_padding()
    for token in SPECIAL_TOKENS:
        if tokenizer.token_to_id(token) is None:
            raise ModelError(f"{path}: token {token} is missing: use a BERT tokenizer")
    largest = max(tokenizer.get_vocab(with_added_tokens=True).values())
    if largest >= config.vocab_size:
        raise ModelError(f"{path}: token number {largest} is beyond vocab_size {config.vocab_size} of config.json: use "
                         "the tokenizer of this model")
    return tokenizer
