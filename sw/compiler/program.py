"""A compiled program: instructions, memory image, and where everything is."""

import json
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from ...hw.spec.config import AcceleratorConfig
from ...hw.spec.files import write_bytes
from ...hw.spec.isa import INSTRUCTION_BYTES, decode, encode
from ..golden.tiles import from_stream
from ..ir.errors import CompileError
from ..ir.graph import Graph, unpad
from .expected import Expected

__all__ = ["FORMAT", "Program"]

FORMAT = 2
"""Of saved programs: it counts up when the files, their fields, or the instruction set change."""

_MANIFEST, _PROGRAM, _IMAGE, _RESULTS = "manifest.json", "program.bin", "image.bin", "results.bin"
_AGAIN = "compile the program again"
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
    expected : Expected, what a run must give; None where nobody ran the golden model
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
    expected: Expected | None = None
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
        return self.output(name, memory[start: start + output["bytes"]])

    def output(self, name, raw):
        """`result` from the bytes of the output alone."""
        output = self.outputs[name]
        matrix, _ = from_stream(bytes(raw), output["rows"], output["columns"], self.config.tile, self.config.width)
        integers = torch.from_numpy(matrix)
        return integers, unpad(integers, output["frac"], output["shape"])

    def save(self, folder):
        """Write program.bin, image.bin, manifest.json and, if it is known what a run must give, results.bin.

        results.bin holds the outputs of the golden model one after the other, in the order of `outputs`. The manifest comes
        last and names the checksums of the files, and its own.

        Parameters
        ----------
        folder : to write to

        Returns
        -------
        dict : the manifest
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        files = {_PROGRAM: self.raw, _IMAGE: self.image}
        manifest = {"format": FORMAT} | {name: getattr(self, name) for name in _PLAIN} | {
            "config": self.config.to_dict(), "expected": None}
        if self.expected:
            files[_RESULTS] = b"".join(self.expected.outputs[name] for name in self.outputs)
            manifest["expected"] = self.expected.to_dict()
        manifest["checksums"] = {name: zlib.crc32(raw) for name, raw in files.items()} | {_MANIFEST: _checksum(manifest)}
        for name, raw in {**files, _MANIFEST: json.dumps(manifest, indent=1).encode()}.items():
            write_bytes(folder / name, raw)
        return manifest

    @classmethod
    def load(cls, folder):
        """Read what `save` wrote.

        Raises
        ------
        CompileError : for a missing, damaged or mixed-up file, or a program of another format
        """
        folder = Path(folder)
        manifest = _read_manifest(folder / _MANIFEST)
        names = [_PROGRAM, _IMAGE] + ([_RESULTS] if manifest["expected"] else [])
        try:
            files = {name: (folder / name).read_bytes() for name in names}
        except OSError as error:
            raise CompileError(f"{error.filename}: {error.strerror}: {_AGAIN}") from None
        for name, raw in files.items():
            if zlib.crc32(raw) != manifest["checksums"].get(name):
                raise CompileError(f"{folder / name}: does not belong to {_MANIFEST}: {_AGAIN}")
        raw = files[_PROGRAM]
        words = [raw[n: n + INSTRUCTION_BYTES] for n in range(0, len(raw), INSTRUCTION_BYTES)]
        plain = {name: manifest[name] for name in _PLAIN}
        plain["sections"] = {name: tuple(span) for name, span in plain["sections"].items()}
        try:
            program = cls(**plain, instructions=[_plain(*decode(word)) for word in words], image=files[_IMAGE],
                          config=AcceleratorConfig.from_dict(manifest["config"]))
            if manifest["expected"] is None:
                return program
            return replace(program, expected=Expected.from_dict(manifest["expected"], program._cut(files[_RESULTS])))
        except (ValueError, KeyError, TypeError) as error:
            raise CompileError(f"{folder / _MANIFEST}: does not fit this version ({error}): {_AGAIN}") from None

    def _cut(self, results):
        """{output: its part of results.bin}."""
        parts, start = {}, 0
        for name, output in self.outputs.items():
            end = start + 4 * output["rows"] * output["columns"] * self.config.tile**2
            parts[name], start = results[start: end], end
        if start != len(results):
            raise ValueError(f"{_RESULTS} has {len(results)} bytes, and its outputs {start}")
        return parts


def _read_manifest(path):
    """The manifest as plain values, with all its fields and no other.

    Raises
    ------
    CompileError : it cannot be read, was changed, or is of another format
    """
    try:
        manifest = json.loads(path.read_text())
    except OSError as error:
        raise CompileError(f"{error.filename}: {error.strerror}: {_AGAIN}") from None
    except ValueError as error:
        raise CompileError(f"{path}: not a manifest ({error}): {_AGAIN}") from None
    if not isinstance(manifest, dict) or "format" not in manifest:
        raise CompileError(f"{path}: not a manifest (it names no format): {_AGAIN}")
    if manifest["format"] != FORMAT:
        raise CompileError(f"{path}: a program of format {manifest['format']}, and this version reads {FORMAT}: {_AGAIN}")
    known = {"format", *_PLAIN, "config", "expected", "checksums"}
    for what, names in (("has no", known - manifest.keys()), ("has an unknown", manifest.keys() - known)):
        if names:
            raise CompileError(f"{path}: {what} field {', '.join(sorted(names))}: {_AGAIN}")
    checksums = manifest["checksums"]
    if not isinstance(checksums, dict) or checksums.get(_MANIFEST) != _checksum(manifest):
        raise CompileError(f"{path}: was changed since it was written: {_AGAIN}")
    return manifest


def _checksum(manifest):
    """Of everything in a manifest but the checksums."""
    values = json.loads(json.dumps({name: value for name, value in manifest.items() if name != "checksums"}))
    return zlib.crc32(json.dumps(values, sort_keys=True).encode())


def _plain(opcode, fields):
    """Fields as the compiler gives them: without those of the header that are zero."""
    header = ("wait_memory", "wait_matrix", "wait_vector", "engine", "reserved")
    kept = {name: value for name, value in fields.items() if name != "opcode" and (value or name not in header)}
    if opcode.name == "HALT":
        kept.pop("signal", None)
    return opcode, kept
