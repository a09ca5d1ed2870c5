"""What a saved program must give: enough to run and compare it without the model and without its graph."""

import hashlib
from dataclasses import dataclass, field, fields

import numpy as np
import torch

from ..ir.graph import unpad
from ..models.answers import Answers

__all__ = ["Expected", "tensor_bytes", "tensor_hash"]


@dataclass(frozen=True, kw_only=True)
class Expected:
    """Results of the golden model, and what a report of a run tells besides.

    Parameters
    ----------
    outputs : of every output, `tensor_bytes` of its tiles in main memory
    hashes : of every activation tensor that the program or its preload writes, `tensor_hash` of the whole of it
    sentences : how many were given; those that the program runs besides repeat the last one
    multiplications : {"none", "both"}: of dense products, and of pairs of factors of which neither is zero
    sparsity : zeros by class of tensor, as a report has them
    answers : Answers, what the outputs mean
    inputs : plain values that say what is run: ``texts``, and what is known of where they come from
    fidelity : plain values, how far the results are from the float model's
    """

    outputs: dict[str, bytes] = field(repr=False)
    hashes: dict[str, str] = field(repr=False)
    sentences: int
    multiplications: dict[str, int]
    sparsity: dict[str, dict]
    answers: Answers
    inputs: dict
    fidelity: dict = field(repr=False)

    def integers(self, name, columns):
        """The integers of an output, int64 [rows, `columns`] with padding."""
        return torch.from_numpy(np.frombuffer(self.outputs[name], "<i4").reshape(-1, columns).astype(np.int64))

    def floats(self, program):
        """The outputs of a Program as floats without padding, by name."""
        return {name: unpad(self.integers(name, place["columns"] * program.config.tile), place["frac"], place["shape"])
                for name, place in program.outputs.items()}

    def to_dict(self):
        """Plain values for JSON, without `outputs`."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "outputs"}
        return values | {"answers": self.answers.to_dict()}

    @classmethod
    def from_dict(cls, values, outputs):
        """The inverse of `to_dict`.

        Raises
        ------
        ValueError : names the fields that are missing or unknown
        """
        known = {f.name for f in fields(cls)} - {"outputs"}
        if different := known ^ values.keys():
            raise ValueError(f"expected: {', '.join(sorted(different))}")
        return cls(**values | {"answers": Answers.from_dict(values["answers"])}, outputs=outputs)


def tensor_bytes(matrix):
    """A matrix of integers row by row, padding included, four bytes each, little-endian two's complement."""
    return np.ascontiguousarray(np.asarray(matrix), dtype="<i4").tobytes()


def tensor_hash(matrix):
    """SHA-256 of `tensor_bytes`, in hexadecimal digits."""
    return hashlib.sha256(tensor_bytes(matrix)).hexdigest()
