"""A self-checking testbench in plain Verilog for one compiled program: it needs no Python when it runs."""

import re
from itertools import chain
from pathlib import Path

import numpy as np
from amaranth.hdl import Shape
from amaranth.lib.wiring import In

from ..hw.accelerator import accelerator_signature
from ..hw.generate import SOURCES, file_list
from ..hw.spec.registers import ADDRESS_BITS, by_name, config_values, pack
from ..sw.compiler import CompileError, compile_encoder
from ..sw.compiler.image import to_hex
from ..sw.golden.tiles import to_stream
from ..sw.host.driver import EVENTS, START, enable_interrupts, set_base, set_thresholds
from ..sw.ir.counts import multiplication_counts
from ..sw.ir.execute import golden_run
from ..sw.models.sentences import encode_sentences
from ..sw.models.tiny_encoder import TINY_SHAPES, tiny_encoder

__all__ = ["EXPECTED", "MEMORY", "TESTBENCH", "compile_texts", "compile_tiny", "make_testbench", "verilog_ports"]

TESTBENCH, MEMORY, EXPECTED, FILE_LIST = "testbench.v", "testbench_memory.hex", "testbench_expected.hex", "testbench.f"

_TEMPLATE = Path(__file__).parent / "verilog" / TESTBENCH
_TINY_SPARSITY = 0.25
_PATIENCE = 100
"""The timeout, in multiples of the cycles in which the multipliers could do all products."""


def compile_texts(config, checkpoint, texts, length=None, **options):
    """Sentences as one batch, filled for the clusters, and what the golden model makes of them.

    Parameters
    ----------
    config : AcceleratorConfig
    checkpoint, texts, length : see `encode_sentences`
    options : see `compile_encoder`

    Returns
    -------
    Program, and its tensors by name
    """
    batch = encode_sentences(checkpoint, texts, length).filled(config.clusters)
    program = compile_encoder(checkpoint, config, batch.ids, batch.lengths, **options)
    return program, golden_run(program, batch.ids, batch.lengths)


def compile_tiny(config, *, resident=False):
    """A small random encoder, with activations pruned to a sparsity: what `compile_texts` gives.

    Raises
    ------
    CompileError : the configuration cannot run even the smallest encoder
    """
    for shape in TINY_SHAPES:
        checkpoint, texts = tiny_encoder(config, **shape)
        try:
            return compile_texts(config, checkpoint, texts, target_sparsity=_TINY_SPARSITY, calibration_texts=texts,
                                 resident=resident)
        except CompileError as error:
            refusal = error
    raise refusal


def make_testbench(program, golden, folder):
    """The files of a testbench that runs a program and compares its outputs.

    Parameters
    ----------
    program : Program
    golden : tensors of the golden model, by name
    folder : path where the files will lie, beside the accelerator's

    Returns
    -------
    {name: text}
    """
    config, folder = program.config, Path(folder).absolute()
    streams = dict(_streams(program, golden))
    return {
        TESTBENCH: _testbench(program, golden, folder, streams),
        MEMORY: to_hex(program.image, config.bus_width // 8),
        EXPECTED: to_hex(b"".join(stream for _, stream in streams.values()), 1),
        FILE_LIST: file_list(folder, (*SOURCES, TESTBENCH)),
    }


def _streams(program, golden):
    """(name, (address, bytes)) of every part of every output."""
    config = program.config
    for name, output in program.outputs.items():
        matrix, parts = golden[output["tensor"]][: output["rows"] * config.tile].numpy(), output["parts"]
        for number, part in enumerate(np.split(matrix, parts)):
            yield name if parts == 1 else f"{name}.{number}", (
                output["address"] + number * output["pitch"], to_stream(part, config.tile, config.width))


def _testbench(program, golden, folder, streams):
    config, inner = program.config, " " * 8
    ports = verilog_ports(config)
    address_bits = next(bits for name, bits, _ in ports if name == "m_axi__araddr")
    host = [name for name, _, driven in ports if driven and name.startswith("s_axil__")]
    offsets = {name: _hex(by_name(name).offset, ADDRESS_BITS) for name in (
        "PROGRAM_ADDRESS", "PROGRAM_LENGTH", "CONTROL", "STATUS", "ERROR_CODE", "ERROR_INSTRUCTION", "ERROR_ENGINE",
        "CYCLES_LO", "CYCLES_HI", "IRQ_STATUS")}
    patience = 1_000_000 + _PATIENCE * multiplication_counts(program.graph, golden)["total"].none // config.multipliers
    values = {
        "TITLE": f"configuration {config.name}, outputs {', '.join(streams)}",
        "FOLDER": _string(str(folder)),
        "TIMEOUT": str(patience),
        "DATA": str(config.bus_width),
        "WORDS": str(-(-len(program.image) // (config.bus_width // 8))),
        "EXPECTED_BYTES": str(sum(len(stream) for _, stream in streams.values())),
        "ADDRESS": str(address_bits),
        "BASE": _hex(program.base, address_bits),
        "REGISTER_BITS": str(ADDRESS_BITS),
        "DECLARATIONS": "\n".join(
            f"    {'reg' if name in host else 'wire'} [{bits - 1}:0] {name};" for name, bits, _ in ports),
        "IDLE": "\n".join(f"{inner}{name} = 0;" for name in host),
        "CONNECTIONS": ",\n".join(f"{inner}.{name}({name})" for name, _, _ in ports),
        "FURTHER_PORTS": "".join(_further_port(number, ports) for number in range(1, config.memory_ports)),
        "UNSUPPORTED": "".join(f" || unsupported_{number} !== 0" for number in range(1, config.memory_ports)),
        "X_CHECKS": "\n".join(f'{inner}    if (^{name} === 1\'bx) undefined("{name}");' for name, _, driven in ports
                              if not driven),
        "START": _hex(START),
        "EVENTS": _hex(EVENTS),
        "STATUS_MASK": _hex(pack(by_name("STATUS"), running=1, done=1, error=1, resetting=1)),
        "STATUS_DONE": _hex(pack(by_name("STATUS"), done=1)),
        "SETUP": "\n".join(inner + line for line in _setup(program)),
        "PROGRAMS": "\n".join(inner + line for line in _runs(program)),
        "COMPARISONS": "\n".join(inner + "    " + line for line in _comparisons(program, streams)),
        **offsets,
    }
    return re.sub(r"/\*(\w+)\*/", lambda found: values[found[1]], _TEMPLATE.read_text())


def _further_port(number, ports):
    """The read channels of a memory port beside the first, over the same array."""
    prefix = f"m_axi_{number}__"
    names = {name.removeprefix(prefix): name for name, _, _ in ports if name.startswith(prefix)}
    connections = ",\n".join(f"        .{name}({wire})" for name, wire in names.items() if name not in ("arprot", "arcache"))
    return f"""
    wire unsupported_{number};
    wire [ADDRESS-1:0] place_{number};
    testbench_reads #(.DATA(DATA), .ADDRESS(ADDRESS), .WORDS(WORDS), .BASE(BASE), .LATENCY(LATENCY)) port_{number}(
        .clk(clk), .rst(rst), .unsupported(unsupported_{number}), .place(place_{number}), .word(memory.words[place_{number}]),
{connections}
    );
"""


def verilog_ports(config):
    """(name in Verilog, bits, whether the accelerator reads it) of all ports but clock and reset."""
    ports = accelerator_signature(config).create()
    return [("__".join(map(str, path)), Shape.cast(member.shape).width, member.flow is In)
            for path, member, _ in ports.signature.flatten(ports)]


def _setup(program):
    for name in ("ID", "CONFIG_IDENTITY"):
        value = config_values(program.config)[name]
        yield f'expect_register({_hex(by_name(name).offset, ADDRESS_BITS)}, {_hex(value)}, "{name}");'
    writes = (set_base(program.config, program.base, program.port_bases()), set_thresholds(program.curves, program.target),
              enable_interrupts())
    for write in chain(*writes):
        yield f"write_register({_hex(write.offset, ADDRESS_BITS)}, {_hex(write.value)});"


def _runs(program):
    if program.preload:
        yield f'run_program({_hex(program.preload["entry"])}, {program.preload["instructions"]}, "preload");'
    yield f'run_program({_hex(program.entry)}, {len(program.instructions)}, "program");'


def _comparisons(program, streams):
    start = 0
    for name, (address, stream) in streams.items():
        yield f'compare("{name}", {_hex(address)}, {start}, {len(stream)});'
        start += len(stream)


def _hex(value, bits=32):
    return f"{bits}'h{value:0{-(-bits // 4)}x}"


def _string(text):
    """A Verilog string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
