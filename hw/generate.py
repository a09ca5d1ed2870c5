"""Write everything a user of one accelerator needs: Verilog, file list, manifest, documents, C header."""

import hashlib
from pathlib import Path

from .accelerator import Accelerator
from .buffer.sram import SRAM_VERILOG
from .spec import isa, registers
from .spec.files import replacing, write_json
from .spec.version import version_text
from .streams.crossbar import CROSSBAR_VERILOG
from .verilog_export import to_verilog

__all__ = ["SOURCES", "WAIVERS", "file_list", "generate", "manifest"]

WAIVERS = SRAM_VERILOG.with_name("waivers.vlt")
"""What Verilator is not to warn about, each with its reason."""

SOURCES = (SRAM_VERILOG.name, CROSSBAR_VERILOG.name, "accelerator.v")
"""Verilog files of a generated accelerator, in the order in which tools read them."""


def manifest(config, files):
    """The machine-readable description of a generated accelerator.

    Parameters
    ----------
    config : AcceleratorConfig
    files : {name: text} of the generated files
    """
    c = config
    return {
        "version": version_text(),
        "top": "accelerator",
        "configuration": c.to_dict(),
        "identity": registers.config_values(c)["CONFIG_IDENTITY"],
        "derived": {
            "multipliers": c.multipliers, "width": c.width, "accumulator_width": c.accumulator_width,
            "mask_bits": c.mask_bits, "line_bits": c.line_bits, "words_per_slot": c.words_per_slot,
        },
        "memories": [
            {"name": f"{name}_{n}", "words": words, "bits": bits, "write_lanes": lanes, "ports": "1 read, 1 write"}
            for name, count, words, bits, lanes in _memories(c) for n in range(count)
        ],
        "instructions": instructions_json(),
        "files": {name: {"sha256": hashlib.sha256(text.encode()).hexdigest(), "lines": text.count("\n")}
                  for name, text in files.items()},
    }


def _memories(c):
    for kind, banks, tiles in (("activation", c.activation_banks, c.activation_tiles),
                               ("weight", c.weight_banks, c.weight_tiles)):
        words, bits = tiles // banks * c.words_per_slot, c.lines_per_beat * c.line_bits
        yield f"{kind}_lines", banks, words, bits, c.lines_per_beat
        yield f"{kind}_masks", banks, tiles // banks, c.mask_bits, 1
    yield "vector_lines", 1, c.vector_lines, c.line_bits, 1


def instructions_json():
    """The instruction set as plain values: opcodes, engines, fields with their bit positions."""
    def fields(entries, start):
        out = []
        for f in entries:
            out.append({"name": f.name, "low": start, "bits": f.bits, "signed": f.signed, "doc": f.doc})
            start += f.bits
        return out

    header = sum(f.bits for f in isa.HEADER)
    return {
        "bytes": isa.INSTRUCTION_BYTES,
        "header": fields(isa.HEADER, 0),
        "operations": [
            {"name": i.opcode.name, "opcode": int(i.opcode), "doc": i.doc, "fields": fields(i.fields, header),
             "engine": None if i.engine is None else i.engine.name.lower()} for i in isa.INSTRUCTIONS
        ],
    }


def file_list(folder, names=SOURCES):
    """A list of files for ``-f`` that names them by their absolute paths, so that it serves from any working folder."""
    return "".join(f"{Path(folder).absolute() / name}\n" for name in names)


def generate(config, folder, extra=None):
    """Write the accelerator of `config` to `folder`, all files or none; returns the manifest.

    An existing folder is replaced only if it is empty or holds a generated accelerator.

    Parameters
    ----------
    config : AcceleratorConfig
    folder : to write
    extra : {name: text} of further files, such as a testbench's

    Raises
    ------
    FileExistsError : the folder holds something else
    """
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()) and not (folder / "manifest.json").exists():
        raise FileExistsError(f"output = {str(folder)!r}: holds other files; choose an empty or new folder")
    files = {
        "accelerator.v": to_verilog(Accelerator(config=config), "accelerator"),
        **{path.name: path.read_text() for path in (SRAM_VERILOG, CROSSBAR_VERILOG)},
        WAIVERS.name: WAIVERS.read_text(),
        "files.f": file_list(folder),
        "relative.f": "".join(f"{name}\n" for name in SOURCES),
        "registers.json": registers.to_json(),
        "registers.md": registers.to_markdown(),
        "acceltran_registers.h": registers.to_c_header(),
        "instructions.md": isa.markdown(),
        **(extra or {}),
    }
    description = manifest(config, files)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with replacing(folder) as new:
        new.mkdir()
        for name, text in files.items():
            (new / name).write_text(text)
        write_json(new / "manifest.json", description)
    return description
