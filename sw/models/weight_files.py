"""Weights of a model folder in the Hugging Face layout, in whichever of its forms they are stored."""

import pickle
import re
import warnings
import zipfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from .errors import ModelError
from .files import file_inside, read_json, refuse_pointer

__all__ = ["Weights", "open_weights"]

FORMS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
"""File names in the order in which transformers looks for them."""

INDEX = ".index.json"
ADAPTERS = ("adapter_model.safetensors", "adapter_model.bin")
ADAPTER_CONFIG = "adapter_config.json"
WRAPPERS = ("state_dict", "model", "model_state_dict")
"""Under which names trainers keep the weights in their checkpoints."""

ZIP = b"PK\x03\x04"
SAVE = "save its state_dict alone, as model.safetensors"

OTHERS = (
    *((name, "a LoRA adapter, not a model", "merge it into its base model (peft: merge_and_unload) and save that")
      for name in ADAPTERS),
    ("tf_model*.h5", "TensorFlow weights", "load them with from_tf=True in transformers 4 and save_pretrained"),
    ("*.ckpt.index", "TensorFlow weights", "load them with from_tf=True in transformers 4 and save_pretrained"),
    ("flax_model*.msgpack", "Flax weights", "load them with from_flax=True in transformers 4 and save_pretrained"),
    ("*.gguf", "GGUF weights", "fetch model.safetensors of the model that they were made from"),
    ("*.onnx", "an ONNX graph", "fetch model.safetensors of the model that it was made from"),
    ("onnx/*.onnx", "an ONNX graph", "fetch model.safetensors of the model that it was made from"),
    ("model-*-of-*.safetensors", "a shard without its index", "fetch model.safetensors.index.json too"),
    ("pytorch_model-*-of-*.bin", "a shard without its index", "fetch pytorch_model.bin.index.json too"),
    ("*.safetensors", "another name", "rename it to model.safetensors if it holds the model"),
    ("pytorch_model*.bin", "another name", "rename it to pytorch_model.bin if it holds the model"),
)
"""What else a folder may hold: pattern of its name, what it is, the remedy."""


class Weights:
    """Tensors of a model by the names in its files.

    Tensors stay in the files, which are mapped into memory, until they are read; only ``.bin`` files of before
    PyTorch 1.6 are read at once. Usable as a context, whose end closes the files.

    Members
    -------
    path : Path
        The file, or the index of several.
    names : tuple of str
    notes : tuple of str
        One line about each file of which only a part was taken for the weights.
    """

    def __init__(self, path, files, where):
        self.path = path
        self.names = tuple(where)
        self.notes = tuple(file.note for file in files if file.note)
        self._where = where
        self._stack = ExitStack()
        for file in files:
            self._stack.callback(file.close)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._stack.close()

    def where(self, name):
        """The file that holds a tensor."""
        return self._where[name].path

    def shape(self, name):
        """The shape of a tensor, as a tuple of int."""
        return self._where[name].shape(name)

    def read(self, name):
        """A tensor in the data type in which it is stored.

        Raises
        ------
        ModelError : for one that is no plain array of numbers
        """
        return self._where[name].read(name)


def open_weights(folder):
    """Find and open the weights of a model folder.

    They are the first of ``model.safetensors``, ``model.safetensors.index.json`` with its shards, ``pytorch_model.bin``
    and ``pytorch_model.bin.index.json`` with its shards that the folder holds, as in transformers. Nothing that a
    ``.bin`` file holds besides tensors is ever executed. Of a trainer's checkpoint, a ``.bin`` file that keeps the
    weights one level down, the part ``state_dict``, ``model`` or ``model_state_dict`` is taken if it is the only one with
    tensors; `Weights.notes` says so. Tensors of a shard that the index does not name are left out.

    Returns
    -------
    Weights

    Raises
    ------
    ModelError
        One line naming the file, what was found and the remedy.
    """
    folder = Path(folder)
    path = next((folder / name for name in FORMS if (folder / name).is_file()), None)
    if path is None:
        raise ModelError(_missing(folder))
    if (folder / ADAPTER_CONFIG).is_file() and any((folder / name).is_file() for name in ADAPTERS):
        raise ModelError(f"{folder / ADAPTER_CONFIG}: a LoRA adapter lies beside {path.name}, which is not applied: merge it "
                         f"(peft: merge_and_unload), or remove {ADAPTER_CONFIG}")
    if path.name.endswith(INDEX):
        return _open_shards(path)
    file = _open_file(path)
    return Weights(path, [file], dict.fromkeys(file.names, file))


def _missing(folder):
    looked = f"{', '.join(FORMS[:-1])} nor {FORMS[-1]}"
    for pattern, kind, remedy in OTHERS:
        found = min(folder.glob(pattern), default=None)
        if found is not None:
            return f"{folder}: holds neither {looked}, but {found.relative_to(folder)} ({kind}): {remedy}"
    return f"{folder}: holds no weights, neither {looked}: add the model's weights"


def _open_shards(path):
    where = _read_index(path)
    files = {name: _open_file(file_inside(path.parent, name), path) for name in sorted(set(where.values()))}
    for tensor, shard in where.items():
        holders = [name for name, file in files.items() if tensor in file.names]
        if shard not in holders:
            raise ModelError(f"{path}: says that {shard} holds tensor {tensor}, which it does not: use the index and shards "
                             "of one model")
        if len(holders) > 1:
            raise ModelError(f"{path}: tensor {tensor} is in both {holders[0]} and {holders[1]}: remove the one that does "
                             "not belong to the model")
    return Weights(path, list(files.values()), {tensor: files[shard] for tensor, shard in where.items()})


def _read_index(path):
    """The shard of every tensor."""
    where = read_json(path).get("weight_map")
    if not where or not isinstance(where, dict) or not all(name and isinstance(name, str) for name in where.values()):
        raise ModelError(f"{path}: has no weight_map that names the file of every tensor: fetch the file again")
    for tensor, name in where.items():
        if file_inside(path.parent, name) is None:
            raise ModelError(f"{path}: places tensor {tensor} in {name!r}, outside of the folder: put the shards into it and "
                             "name them alone")
    return where


def _open_file(path, index=None):
    if index is not None and not path.is_file():
        raise ModelError(f"{path}: shard is missing: {index.name} names it, fetch it")
    refuse_pointer(path)
    return _SafeFile(path) if path.suffix == ".safetensors" else _open_pickle(path)


class _SafeFile:
    """One safetensors file."""

    note = ""

    def __init__(self, path):
        self.path = path
        try:
            self._file = safe_open(path, framework="pt")
            self.names = frozenset(self._file.keys())
            layout = (self._file.metadata() or {}).get("format")
        except (SafetensorError, OSError) as error:
            raise ModelError(f"{path}: truncated or corrupt ({error}): fetch the file again") from None
        if layout in ("tf", "flax"):
            raise ModelError(f"{path}: holds weights as {layout} lays them out, by its metadata: save the model from PyTorch")

    def shape(self, name):
        return tuple(self._file.get_slice(name).get_shape())

    def read(self, name):
        try:
            return self._file.get_tensor(name)
        except (SafetensorError, OSError, KeyError, AttributeError) as error:
            raise ModelError(f"{self.path}: tensor {name} cannot be read ({error}): store it as float16 or float32") from None

    def close(self):
        self._file.__exit__(None, None, None)


@dataclass
class _PickleFile:
    """One file of ``torch.save``."""

    path: Path
    tensors: dict[str, torch.Tensor]
    note: str

    @property
    def names(self):
        return self.tensors.keys()

    def shape(self, name):
        return tuple(self.tensors[name].shape)

    def read(self, name):
        tensor = self.tensors[name]
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
            kind = "quantised" if tensor.is_quantized else "without values" if tensor.is_meta else "sparse"
            raise ModelError(f"{self.path}: tensor {name} is {kind}: store it as a plain float16 or float32 tensor")
        return tensor.detach()

    def close(self):
        self.tensors = {}


def _open_pickle(path):
    stored = _unpickle(path)
    if not isinstance(stored, dict):
        raise ModelError(f"{path}: holds a {type(stored).__name__}, not tensors by name: {SAVE}")
    parts = {part: _tensors(stored.get(part)) for part in WRAPPERS}
    parts = {part: tensors for part, tensors in parts.items() if tensors}
    tensors = _tensors(stored)
    if len(parts) + bool(tensors) > 1:
        both = [*(["its top level"] if tensors else []), *parts]
        raise ModelError(f"{path}: holds tensors in both {both[0]} and {both[1]}: {SAVE}")
    if tensors:
        return _PickleFile(path, tensors, "")
    if not parts:
        raise ModelError(f"{path}: holds no tensors by name, only {_listed(stored)}: {SAVE}")
    part, tensors = parts.popitem()
    return _PickleFile(path, tensors, f"{path}: a trainer's checkpoint, of which {part} is read and the rest left out")


def _tensors(stored: Any) -> dict[str, torch.Tensor]:
    if not isinstance(stored, dict):
        return {}
    return {name: value for name, value in stored.items() if isinstance(name, str) and isinstance(value, torch.Tensor)}


def _listed(stored):
    return ", ".join(str(name) for name in list(stored)[:4]) or "an empty dict"


def _mappable(path):
    """Whether a file is an archive whose records lie in it as they are, as torch.save writes it since PyTorch 1.6."""
    with open(path, "rb") as file:
        if file.read(len(ZIP)) != ZIP:
            return False
    with zipfile.ZipFile(path) as archive:
        return all(record.compress_type == zipfile.ZIP_STORED for record in archive.infolist())


def _unpickle(path):
    """What a file of ``torch.save`` holds, if that is nothing but tensors and plain values."""
    try:
        with warnings.catch_warnings(action="ignore"):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=_mappable(path))
    except pickle.UnpicklingError as error:
        forbidden = re.search(r"GLOBAL (\S+)|unrecognized function <?(?:class|function|built-in function)? ?(\S+)", str(error))
        if forbidden:
            name = (forbidden[1] or forbidden[2]).strip("'<>")
            raise ModelError(f"{path}: is a pickle that holds {name}, not only tensors, and was not executed: where you trust "
                             f"it, {SAVE}") from None
        reason = str(error).split("WeightsUnpickler error:")[-1]
    except Exception as error:  # on corrupt files, the library raises whatever its unpickler ran into
        if "TorchScript" in str(error):
            raise ModelError(f"{path}: is a TorchScript program, not tensors by name: {SAVE}") from None
        reason = str(error) or type(error).__name__
    reason = " ".join(reason.split())
    raise ModelError(f"{path}: truncated, corrupt or no file of torch.save ({reason[:120]}): fetch the file again")
