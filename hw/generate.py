"""Write everything a user of one accelerator needs: Verilog, file list, manifest, documents, C headers, package."""

import hashlib
from pathlib import Path

from .accelerator import Accelerator
from .buffer.sram import SRAM_VERILOG
from .packaging.config_header import to_config_header
from .packaging.constraints import to_constraints
from .packaging.device_tree import to_binding
from .packaging.fusesoc import TESTBENCH, core_name, to_core
from .packaging.ip_xact import to_ip_xact
from .packaging.smoke_testbench import SMOKE_TESTBENCH, to_smoke_testbench
from .packaging.svd import to_svd
from .packaging.system_rdl import to_system_rdl
from .packaging.wrapper import TOP, WRAPPER, to_wrapper
from .spec import isa, registers
from .spec.files import replacing, write_json
from .spec.version import version_text
from .streams.crossbar import CROSSBAR_VERILOG
from .verilog_export import to_verilog

__all__ = ["SOURCES", "WAIVERS", "file_list", "generate", "manifest", "package"]

WAIVERS = SRAM_VERILOG.with_name("waivers.vlt")
"""What Verilator is not to warn about, each with its reason."""

SOURCES = (SRAM_VERILOG.name, CROSSBAR_VERILOG.name, "accelerator.v", WRAPPER)
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
        "top": TOP,
        "configuration": c.to_dict(),
        "identity": registers.config_values(c)["CONFIG_IDENTITY"],
        "derived": {
            "multipliers": c.multipliers, "width": c.width, "weight_bits": c.b_width, "scale_bits": c.scale_bits,
            "accumulator_width": c.accumulator_width, "mask_bits": c.mask_bits, "line_bits": c.line_bits,
            "weight_line_bits": c.weight_line_bits, "vector_line_bits": c.vector_line_bits,
            "words_per_slot": c.words_per_slot,
        },
        "memories": [
            {"name": f"{name}_{n}", "words": words, "bits": bits, "write_lanes": lanes, "ports": "1 read, 1 write",
             "copies": c.clusters if kind != "weight" else 1}
            for kind, name, count, words, bits, lanes in _memories(c.cluster) for n in range(count)
        ],
        "instructions": isa.instructions_json(),
        "files": {name: {"sha256": hashlib.sha256(text.encode()).hexdigest(), "lines": text.count("\n")}
                  for name, text in files.items()},
    }


def _memories(c):
    for kind, banks, tiles, line_bits in (("activation", c.activation_banks, c.activation_tiles, c.line_bits),
                                          ("weight", c.weight_banks, c.weight_tiles, c.weight_line_bits)):
        words, bits = tiles // banks * c.words_per_slot, c.lines_per_beat * line_bits
        yield kind, f"{kind}_lines", banks, words, bits, c.lines_per_beat
        yield kind, f"{kind}_masks", banks, tiles // banks, c.mask_bits, 1
    yield "vector", "vector_lines", 1, c.vector_lines, c.vector_line_bits, 1


def file_list(folder, names=SOURCES):
    """A list of files for ``-f`` that names them by their absolute paths, so that it serves from any working folder."""
    return "".join(f"{Path(folder).absolute() / name}\n" for name in names)


def package(config, extra, *, observe=False):
    """What others need to take the accelerator into their own design and flow: {name: text}.

    Parameters
    ----------
    config, extra, observe : see `generate`
    """
    testbench = [name for name in extra if Path(name).suffix in (".v", ".hex")] if TESTBENCH in extra else []
    file_sets = {"rtl": SOURCES, "waivers": [WAIVERS.name], "simulation": [SMOKE_TESTBENCH, *testbench]}
    return {
        WRAPPER: to_wrapper(config, observe=observe),
        SMOKE_TESTBENCH: to_smoke_testbench(config),
        core_name(config): to_core(config, SOURCES, WAIVERS.name, testbench),
        "acceltran.xml": to_ip_xact(config, file_sets, observe=observe),
        "registers.rdl": to_system_rdl(config),
        "registers.svd": to_svd(config),
        "acceltran.sdc": to_constraints(config, observe=observe),
        "acceltran.yaml": to_binding(),
    }


def generate(config, folder, extra=None, *, observe=False):
    """Write the accelerator of `config` to `folder`, all files or none; returns the manifest.

    An existing folder is replaced only if it is empty or holds a generated accelerator.

    Parameters
    ----------
    config : AcceleratorConfig
    folder : to write
    extra : {name: text} of further files, such as those of a testbench; the package names them if `TESTBENCH` is among them
    observe : give the top module the ports by which a simulation watches the accelerator at work

    Raises
    ------
    FileExistsError : the folder holds something else
    """
    folder, extra = Path(folder), extra or {}
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
        "acceltran_config.h": to_config_header(config),
        "instructions.md": isa.markdown(),
        **package(config, extra, observe=observe),
        **extra,
    }
    description = manifest(config, files)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with replacing(folder) as new:
        new.mkdir()
        for name, text in files.items():
            (new / name).write_text(text)
        write_json(new / "manifest.json", description)
    return description
