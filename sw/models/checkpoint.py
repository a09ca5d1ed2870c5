"""Read a model folder in the Hugging Face layout: a configuration, weights, a tokenizer."""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import torch

from .config_fields import read_fields
from .encoder_config import EncoderConfig
from .encoder_parts import encoder_parts
from .errors import ModelError
from .float_encoder import FloatEncoder
from .registry import FAMILIES, family_of
from .sentence_modules import SentenceModules, read_sentence_modules
from .tasks import POOLINGS, TASKS, Head, named_task
from .text_tokenizer import TextTokenizer
from .tokenizer_files import read_tokenizer
from .weight_files import open_weights

__all__ = ["Checkpoint", "load_checkpoint"]

CONFIG = "config.json"
FLOAT_TYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_NAMED = 3


@dataclass(frozen=True)
class Checkpoint:
    """One model.

    Members
    -------
    folder : Path
    config : EncoderConfig
    tensors : dict of str to float32 Tensor
        By the canonical names of the family; linear weights are ``[out, in]``.
    tokenizer : TextTokenizer
    head : Head
        What stands behind the layers, for the task that the model is used for.
    modules : SentenceModules, optional
        How an embedding is made of the hidden states, where it is not the pooler's vector.
    unused : tuple of str
        Tensors of the files that this task has no use for, by their names there.
    notes : tuple of str
        Remarks on the files for the user, a line each.
    """

    folder: Path
    config: EncoderConfig
    tensors: dict[str, torch.Tensor]
    tokenizer: TextTokenizer
    head: Head
    modules: SentenceModules | None = None
    unused: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def family(self):
        """The Family of the model."""
        return FAMILIES[self.config.model_type]

    @property
    def task(self):
        """The Task that it is used for."""
        return self.head.task

    @property
    def has_classifier(self):
        """Whether the model gives a text a label, or a value."""
        return self.task is TASKS["text-classification"]

    @cached_property
    def token_names(self):
        """The tokens by their numbers."""
        return {number: name for name, number in self.tokenizer.backend.get_vocab().items()}

    @cached_property
    def prompt_tokens(self):
        """How many tokens stand before the text of a sentence, the model's first one included, where there is a prompt."""
        if self.modules is None or not self.modules.prompt:
            return 0
        return len(self.tokenizer.encode(self.modules.prompt)) - 1

    def parts(self, layers=None):
        """Parts of the model, or of its first `layers`, which have nothing behind them."""
        count = self.config.num_hidden_layers
        return encoder_parts(self.config, count if layers is None else layers, self.head if layers in (None, count) else None)

    def float_encoder(self, dtype=torch.float32):
        """The float reference of the model, a FloatEncoder."""
        return FloatEncoder(self, dtype)

    @cached_property
    def identity(self):
        """A digest of what the model computes: its configuration without the labels' names, and its tensors."""
        digest = hashlib.sha256()
        fields = {name: value for name, value in asdict(self.config).items() if name not in ("id2label", "problem_type")}
        digest.update(json.dumps(fields | {"task": self.task.name}, sort_keys=True).encode())
        for name, tensor in sorted(self.tensors.items()):
            digest.update(f"{name} {list(tensor.shape)}".encode())
            digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()


def load_checkpoint(folder, task=None, pooling=None):
    """Read a model folder, as transformers or sentence-transformers write it.

    Parameters
    ----------
    folder : path
        Holds config.json, whose ``model_type`` is that of a known family, weights (see `open_weights`) in float16, bfloat16 or
        float32, and a tokenizer (see `read_tokenizer`); or, of sentence-transformers, modules.json that says where they are.
    task : name of a Task
        By default the one that config.json names an architecture for, or for which alone there are tensors; a folder of
        sentence-transformers gives embeddings.
    pooling : one of `POOLINGS`, for embeddings
        By default as the folder says, or the mean.

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
        raise ModelError(f"{folder}: no such folder: give one with {CONFIG}, weights and a tokenizer")
    if pooling not in (None, *POOLINGS):
        raise ModelError(f"pooling = {pooling!r}: known are {', '.join(POOLINGS)}: give one of these")
    modules = read_sentence_modules(folder)
    inner = modules.transformer if modules else folder
    path = inner / CONFIG
    if not path.is_file():
        raise ModelError(f"{path}: file is missing: a model folder holds {CONFIG}, weights and a tokenizer")
    fields = read_fields(path)
    family = family_of(path, fields)
    config = family.read_config(path, fields)
    tokenizer = read_tokenizer(inner, fields)
    with open_weights(inner) as weights:
        return _read_weights(weights, folder, family, config, tokenizer, modules, pooling,
                             _wanted_task(path, fields, family, task or pooling and "sentence-embedding", modules))


def _wanted_task(path, fields, family, task, modules):
    """The Task that the user or the files name; None where they do not."""
    if task is not None:
        return named_task(task)
    if modules is not None:
        return TASKS["sentence-embedding"]
    architectures = fields.get("architectures")
    if not architectures:
        return None
    if not isinstance(architectures, list) or not all(isinstance(name, str) for name in architectures):
        raise ModelError(f"{path}: architectures is {architectures!r}, not a list of names: correct it, or remove it")
    found = family.task(architectures[0])
    if found is None:
        raise ModelError(f"{path}: architectures is {architectures[0]}, whose head is not known: add --task, one of "
                         f"{', '.join(TASKS)}")
    return found


def _read_weights(weights, folder, family, config, tokenizer, modules, pooling, task):
    """The Checkpoint, from its open weights."""
    stored = _stored_names(weights, family)
    if task is None:
        task = _only_task(weights, family, config, stored)
    pooled = pooling == "pooler" or task.name == "hidden-states" and "pooler.dense.weight" in stored
    head = family.head(config, task, pooler=pooled)
    if task.name != "sentence-embedding" or pooling == "pooler":
        modules = None
    elif pooling or modules is None:
        modules = SentenceModules.plain(folder, config.hidden_size, pooling or "mean")
    shapes, tied = family.tensor_shapes(config, head), family.tied(config)
    missing = [name for name in shapes if name not in stored and name not in tied]
    if missing:
        _refuse_another_family(weights, family, shapes)
    family.refuse_others(weights.path, stored.keys() - shapes.keys())
    if missing:
        remedy = (f"{task.name} needs it: use a model trained for that, or another task" if head.needs(missing[0]) else
                  "config.json asks for it, use the config and weights of one model")
        raise ModelError(f"{weights.path}: tensor {missing[0]} {list(shapes[missing[0]])} is missing: {remedy}")
    tensors: dict[str, torch.Tensor] = {}
    for name, shape in shapes.items():
        if name in tied:
            tensors[name] = _tied(weights, stored, tensors, name, tied[name])
        else:
            tensors[name] = _read_tensor(weights, stored[name], name, shape)
    unused = tuple(sorted(stored[name] for name in stored if name not in shapes and not family.is_buffer(name)))
    notes = list(weights.notes)
    if unused:
        more = f" and {len(unused) - _NAMED} more" if len(unused) > _NAMED else ""
        notes.append(f"{weights.path.name}: {task.name} has no use for {', '.join(unused[:_NAMED])}{more}")
    return Checkpoint(folder, config, tensors, tokenizer, head, modules, unused, tuple(notes))


def _only_task(weights, family, config, stored):
    """The Task for which alone the files have tensors."""
    found = family.tasks_of(config, stored.keys())
    if len(found) > 1:
        raise ModelError(f"{weights.path}: has tensors for {' and '.join(found)}, and config.json names no architectures: add "
                         "--task with one of them")
    return TASKS[found[0] if found else "hidden-states"]


def _stored_names(weights, family):
    """The file's name of every tensor, by its canonical one."""
    stored: dict[str, str] = {}
    for name in weights.names:
        first = stored.setdefault(family.canonical(name), name)
        if first != name:
            raise ModelError(f"{weights.path}: holds both {min(first, name)} and {max(first, name)}, which name the same "
                             "tensor: remove the one that does not belong to the model")
    return stored


def _tied(weights, stored, tensors, name, twin):
    """The tensor that stands in for `name`; one of its own in the file must be equal."""
    if name in stored and not torch.equal(weights.read(stored[name]).float(), tensors[twin]):
        raise ModelError(f"{weights.where(stored[name])}: tensor {stored[name]} is not {twin}, to which config.json ties it: "
                         "set tie_word_embeddings to false, or use the config and weights of one model")
    return tensors[twin]


def _refuse_another_family(weights, family, shapes):
    """Refuse weights of which another family knows more names."""
    def known(one):
        return sum(one.canonical(name) in shapes for name in weights.names)

    other = max(FAMILIES.values(), key=known)
    if known(other) > known(family):
        raise ModelError(f"{weights.path}: these are weights of {other.title}, and config.json is of {family.title}: use the "
                         "config and weights of one model")


def _read_tensor(weights, stored, name, shape):
    found, path = weights.shape(stored), weights.where(stored)
    if found != shape:
        raise ModelError(f"{path}: tensor {name} is {list(found)} but config.json asks for {list(shape)}: use the config and "
                         "weights of one model")
    tensor = weights.read(stored)
    if tensor.dtype not in FLOAT_TYPES:
        raise ModelError(f"{path}: tensor {name} is {str(tensor.dtype).replace('torch.', '')}: store it as float16 or float32")
    tensor = tensor.float()
    if not tensor.isfinite().all():
        raise ModelError(f"{path}: tensor {name} holds {int((~tensor.isfinite()).sum())} infinite or NaN values: use a model "
                         "that trained without overflow")
    return tensor
