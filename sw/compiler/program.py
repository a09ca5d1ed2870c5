"""A compiled program: instructions, memory image, and where everything is."""

import json
import os
import tempfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import torch

from ...hw.spec.config import AcceleratorConfig
from ...hw.spec.isa import INSTRUCTION_BYTES, decode, encode
from ..golden.tiles import from_stream
from ..ir.errors import CompileError
from ..ir.graph import Graph, unpad

__all__ = ["Program"]

_MANIFEST, _PROGRAM, _IMAGE = "manifest.json", "program.bin", "image.bin"
_PLAIN = ("base", "entry", "preload", "curves", "target", "outputs", "tensors", "sections", "planned_cycles")


@dataclass(frozen=True, kw_only=True)
class Program:
    """Everything a host, a simulator or a test bench needs.

    Parameters
    ----------
    instructions : (Opcode, fields) in program order, HALT last; an instruction's number is its index
    image : main memory from address `base` on: program, vectors, weights, tables, indices, room for outputs
    base, entry : address of the image's first byte, and of the first instruction
    preload : {"entry", "instructions"} of the program in the image that must have run once before; None: there is none
    curves : threshold curves, 9 knots each; curve field n means ``curves[n - 1]``
    target : wanted sparsity in 1/256, for the TARGET_SPARSITY register
    outputs : by name: tensor, address, bytes (at most), rows, columns (tiles, packed back to back), frac, shape of
        the result without padding
    tensors : every activation tensor that the program writes, by name: steps (numbers of the instructions that write
        it, none where the preload does; it is whole when the last is complete), slot, pitch, rows, columns (tiles), frac, kind
    sections : address and bytes of each part of the image, by name
    config : AcceleratorConfig it is compiled for
    planned_cycles : how long the planner expects it to take; None where instructions do not overlap
    graph : the Graph that `golden_run` executes; None in a program that was loaded
    """

    instructions: list
    image: bytes = field(repr=False)
    base: int
    entry: int
    preload: dict | None
    curves: list[list[int]]
    target: int
    outputs: dict[str, dict]
    tensors: dict[str, dict]
    sections: dict[str, tuple[int, int]]
    config: AcceleratorConfig
    planned_cycles: int | None = None
    graph: Graph | None = field(default=None, repr=False)

    @property
    def raw(self):
        """The instructions as bytes."""
        return b"".join(encode(opcode, **fields) for opcode, fields in self.instructions)

    def result(self, name, memory):
        """The integers and floats of an output, from main memory after a run.

        Parameters
        ----------
        name : of the output
        memory : bytes-like, from address `base` on

        Returns
        -------
        integers : int64 Tensor of all tiles, as the golden model has it
        floats : float64 Tensor of the output's shape, padding removed
        """
        output = self.outputs[name]
        start = output["address"] - self.base
        matrix, _ = from_stream(bytes(memory[start: start + output["bytes"]]), output["rows"], output["columns"],
                                self.config.tile, self.config.width)
        integers = torch.from_numpy(matrix)
        return integers, unpad(integers, output["frac"], output["shape"])

    def save(self, folder, **more):
        """Write program.bin, image.bin and manifest.json; the manifest comes last and names the others' checksums.

        Parameters
        ----------
        folder : to write to
        more : plain values that the manifest holds too

        Returns
        -------
        dict : the manifest
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        files = {_PROGRAM: self.raw, _IMAGE: self.image}
        manifest = {name: getattr(self, name) for name in _PLAIN} | {
            "config": self.config.to_dict(), "checksums": {name: zlib.crc32(raw) for name, raw in files.items()}} | more
        for name, raw in {**files, _MANIFEST: json.dumps(manifest, indent=1).encode()}.items():
            _replace(folder / name, raw)
        return manifest

    @classmethod
    def load(cls, folder):
        """Read what `save` wrote.

        Raises
        ------
        CompileError : for a missing, damaged or mixed-up file
        """
        folder = Path(folder)
        try:
            manifest = json.loads((folder / _MANIFEST).read_text())
            files = {name: (folder / name).read_bytes() for name in (_PROGRAM, _IMAGE)}
            plain = {name: manifest[name] for name in _PLAIN}
            config, checksums = AcceleratorConfig.from_dict(manifest["config"]), manifest["checksums"]
        except OSError as error:
            raise CompileError(f"{error.filename}: {error.strerror}: compile the program again") from None
        except (ValueError, KeyError, TypeError) as error:
            raise CompileError(f"{folder / _MANIFEST}: not a manifest ({error}): compile the program again") from None
        for name, raw in files.items():
            if zlib.crc32(raw) != checksums.get(name):
                raise CompileError(f"{folder / name}: does not belong to {_MANIFEST}: compile the program again")
        raw = files[_PROGRAM]
        words = [raw[n: n + INSTRUCTION_BYTES] for n in range(0, len(raw), INSTRUCTION_BYTES)]
        plain["sections"] = {name: tuple(span) for name, span in plain["sections"].items()}
        return cls(**plain, instructions=[_plain(*decode(word)) for word in words], image=files[_IMAGE], config=config)


def _plain(opcode, fields):
    """Fields as the compiler gives them: without those of the header that are zero."""
    header = ("wait_memory", "wait_matrix", "wait_vector", "engine", "reserved")
    kept = {name: value for name, value in fields.items() if name != "opcode" and (value or name not in header)}
    if opcode.name == "HALT":
        kept.pop("signal", None)
    return opcode, kept


def _replace(path, raw):
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
