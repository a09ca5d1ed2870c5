"""Programs in a folder: one image, and for each bucket its instructions and what it must give."""

import json
import zlib
from dataclasses import replace
from pathlib import Path

from ...hw.spec.config import AcceleratorConfig
from ...hw.spec.files import write_bytes
from ...hw.spec.isa import INSTRUCTION_BYTES, decode, instructions_json
from ...hw.spec.registers import config_values
from ...hw.spec.version import version_text
from ..ir.errors import CompileError
from .bucket import Bucket, choose
from .expected import Expected
from .model_header import MODEL_HEADER, model_header
from .program import Program

__all__ = ["FORMAT", "load_program", "load_programs", "save_programs"]

FORMAT = 6
"""Of saved programs: it counts up when the files, their fields, or the instruction set change."""

_MANIFEST, _IMAGE, _PROGRAM, _RESULTS = "manifest.json", "image.bin", "program.bin", "results.bin"
_AGAIN = "compile the program again"
_SHARED = ("base", "curves", "target", "sections")
_OWN = ("entry", "preload", "outputs", "tensors", "planned_cycles")
_FIELDS = {"format", "version", "identity", "config", "instructions", *_SHARED, "buckets", "checksums"}
_BUCKET_FIELDS = {*_OWN, "bucket", "expected", "program", "results"}


def save_programs(programs, folder):
    """Write image.bin, manifest.json, model.h, for each bucket its program and, if it is known what a run must give, results.

    Results are the outputs of the golden model one after the other, in the order of `outputs`. The manifest comes last and
    names the checksums of the files, and its own.

    Parameters
    ----------
    programs : Program of each bucket of one image, from the shortest on
    folder : to write to

    Returns
    -------
    dict : the manifest
    """
    folder, first = Path(folder), programs[0]
    folder.mkdir(parents=True, exist_ok=True)
    files = {_IMAGE: first.image, MODEL_HEADER: model_header(programs).encode()}
    manifest = {"format": FORMAT, "version": version_text(), "identity": config_values(first.config)["CONFIG_IDENTITY"],
                "config": first.config.to_dict(), "instructions": instructions_json()}
    manifest |= {name: getattr(first, name) for name in _SHARED} | {"buckets": []}
    for program in programs:
        names = [name if len(programs) == 1 else _of_bucket(name, program.bucket.tokens) for name in (_PROGRAM, _RESULTS)]
        entry = {name: getattr(program, name) for name in _OWN} | {
            "bucket": program.bucket.to_dict(), "expected": None, "program": names[0], "results": None}
        files[entry["program"]] = program.raw
        if program.expected:
            entry |= {"expected": program.expected.to_dict(), "results": names[1]}
            files[entry["results"]] = b"".join(program.expected.outputs[name] for name in program.outputs)
        manifest["buckets"].append(entry)
    manifest["checksums"] = {name: zlib.crc32(raw) for name, raw in files.items()} | {_MANIFEST: _checksum(manifest)}
    for name, raw in {**files, _MANIFEST: json.dumps(manifest, indent=1).encode()}.items():
        write_bytes(folder / name, raw)
    # Those of other buckets, which lay there before.
    for kind in (_PROGRAM, _RESULTS):
        for path in (folder / kind, *folder.glob(_of_bucket(kind, "*"))):
            if path.name not in files:
                path.unlink(missing_ok=True)
    return manifest


def _of_bucket(name, tokens):
    """The name of a file of one bucket among several."""
    stem, suffix = name.split(".")
    return f"{stem}-{tokens}.{suffix}"


def load_programs(folder):
    """Read what `save_programs` wrote.

    Returns
    -------
    list of Program

    Raises
    ------
    CompileError : for a missing, damaged or mixed-up file, or a program of another format
    """
    folder = Path(folder)
    manifest = _read_manifest(folder / _MANIFEST)
    try:
        files = {name: (folder / name).read_bytes() for name in manifest["checksums"] if name != _MANIFEST}
    except OSError as error:
        raise CompileError(f"{error.filename}: {error.strerror}: {_AGAIN}") from None
    for name, raw in files.items():
        if zlib.crc32(raw) != manifest["checksums"][name]:
            raise CompileError(f"{folder / name}: does not belong to {_MANIFEST}: {_AGAIN}")
    try:
        shared = {name: manifest[name] for name in _SHARED} | {
            "sections": {name: tuple(span) for name, span in manifest["sections"].items()}, "image": files[_IMAGE],
            "config": AcceleratorConfig.from_dict(manifest["config"])}
        return [_program(entry, shared, files) for entry in manifest["buckets"]]
    except (ValueError, KeyError, TypeError) as error:
        raise CompileError(f"{folder / _MANIFEST}: does not fit this version ({error}): {_AGAIN}") from None


def load_program(folder, tokens=None):
    """The program of a folder; of several, the longest, or the one for a sentence of so many tokens.

    Raises
    ------
    CompileError : see `load_programs` and `choose`
    """
    programs = load_programs(folder)
    return programs[-1] if tokens is None else choose(programs, tokens)


def _program(entry, shared, files):
    if different := _BUCKET_FIELDS ^ entry.keys():
        raise ValueError(f"buckets: {', '.join(sorted(different))}")
    raw = files[entry["program"]]
    words = [raw[n: n + INSTRUCTION_BYTES] for n in range(0, len(raw), INSTRUCTION_BYTES)]
    program = Program(**shared, **{name: entry[name] for name in _OWN}, bucket=Bucket.from_dict(entry["bucket"]),
                      instructions=[_plain(*decode(word)) for word in words])
    if entry["expected"] is None:
        return program
    outputs = _cut(program, entry["results"], files[entry["results"]])
    return replace(program, expected=Expected.from_dict(entry["expected"], outputs))


def _cut(program, name, results):
    """{output: its part of a file of results}."""
    parts, start = {}, 0
    for output, place in program.outputs.items():
        end = start + 4 * place["rows"] * place["columns"] * program.config.tile**2
        parts[output], start = results[start: end], end
    if start != len(results):
        raise ValueError(f"{name} has {len(results)} bytes, and its outputs {start}")
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
    for what, names in (("has no", _FIELDS - manifest.keys()), ("has an unknown", manifest.keys() - _FIELDS)):
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
    header = ("wait_memory", "wait_matrix", "wait_vector", "engine", "clusters", "reserved")
    kept = {name: value for name, value in fields.items() if name != "opcode" and (value or name not in header)}
    if opcode.name == "HALT":
        kept.pop("signal", None)
    return opcode, kept
