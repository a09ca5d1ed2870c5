"""The numbers that a run gave as arrays in a file: .npz or .safetensors."""

import contextlib
import tempfile
from math import prod
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from ..hw.spec.errors import ConfigError
from ..hw.spec.files import replacing

__all__ = ["ArrayFile", "arrays_of", "check_suffix"]

_SUFFIXES = (".npz", ".safetensors")
_NAMES = {"embedding": "embeddings", "hidden_state": "hidden_states"}


def check_suffix(path):
    """Refuse a file that is of no known kind by its name; None is no file.

    Raises
    ------
    ConfigError : names the kinds
    """
    if path is not None and path.suffix.lower() not in _SUFFIXES:
        raise ConfigError(f"output = {str(path)!r}: arrays are written as {' or '.join(_SUFFIXES)}: end the name with one of "
                          "them")


def arrays_of(answers, outputs):
    """The arrays of each sentence of a batch.

    Parameters
    ----------
    answers : Answers
    outputs : stored results by name, floats

    Returns
    -------
    list of dict of str to array : ``token_ids`` [tokens]; and, by the task, ``logits`` [labels] or [tokens, labels]; ``logits``
        [masks, vocabulary] with ``mask_positions`` [masks]; ``embeddings`` [width]; or ``hidden_states`` [tokens, hidden],
        with ``pooler`` [hidden]
    """
    found = []
    for number, (sentence, arrays) in enumerate(zip(answers.sentences, answers.arrays(outputs), strict=True)):
        one = {"token_ids": np.array(sentence["ids"], np.int64)}
        one |= {_NAMES.get(name, name): value.float().numpy() for name, value in arrays.items()}
        if answers.task == "fill-mask":
            one["mask_positions"] = np.array(answers.masked(number), np.int64)
        found.append(one)
    return found


class ArrayFile(contextlib.AbstractContextManager):
    """Collects the arrays of sentences, on disk until the file is written.

    The file has an element for each sentence in each array: ``lines`` and ``lengths`` (tokens), and those of `arrays_of`, with
    zeros behind what belongs to a sentence. Of predicted tokens there is an element for each mask in ``logits`` and
    ``mask_positions``, and ``mask_sentences`` has the number of its sentence, from 0.

    Parameters
    ----------
    path : .npz or .safetensors
    """

    def __init__(self, path):
        self._path, self._parts, self._sentences = path, {}, 0
        self._folder = tempfile.TemporaryDirectory(prefix="acceltran-")

    def __exit__(self, *error):
        self._folder.cleanup()

    def add(self, lines, arrays):
        """Add some sentences: their lines, and what `arrays_of` gives for them."""
        if not arrays:
            return
        masks = [len(one["mask_positions"]) for one in arrays if "mask_positions" in one]
        found = {"lines": np.array(lines, np.int64), "lengths": np.array([len(one["token_ids"]) for one in arrays], np.int64)}
        if masks:
            found["mask_sentences"] = np.repeat(np.arange(self._sentences, self._sentences + len(arrays)), masks)
        for name in arrays[0]:
            values = [one[name] for one in arrays]
            found[name] = np.concatenate(values) if masks and name != "token_ids" else _stacked(values)
        self._sentences += len(arrays)
        for name, value in found.items():
            parts = self._parts.setdefault(name, [])
            file = Path(self._folder.name) / f"{name}.{len(parts)}.npy"
            np.save(file, value)
            parts.append((file, value.shape, value.dtype))

    def write(self):
        """Write the file."""
        arrays = {name: self._joined(name, parts) for name, parts in self._parts.items()}
        with replacing(self._path) as new:
            if self._path.suffix.lower() == ".npz":
                np.savez(new, **arrays)
            else:
                save_file(arrays, new)

    def _joined(self, name, parts):
        """All parts of an array, in a file that is read as it is needed."""
        shapes = [shape for _, shape, _ in parts]
        shape = sum(shape[0] for shape in shapes), *(max(sizes) for sizes in zip(*(shape[1:] for shape in shapes), strict=True))
        if not prod(shape):
            return np.zeros(shape, parts[0][2])
        joined = np.lib.format.open_memmap(Path(self._folder.name) / f"{name}.npy", mode="w+", dtype=parts[0][2], shape=shape)
        first = 0
        for file, size, _ in parts:
            joined[first: first + size[0], *(slice(0, count) for count in size[1:])] = np.load(file, mmap_mode="r")
            file.unlink()
            first += size[0]
        return joined


def _stacked(values):
    """Arrays one above the other, with zeros where they are shorter than others."""
    shape = tuple(max(sizes) for sizes in zip(*(value.shape for value in values), strict=True))
    stacked = np.zeros((len(values), *shape), values[0].dtype)
    for place, value in zip(stacked, values, strict=True):
        place[tuple(slice(0, count) for count in value.shape)] = value
    return stacked
