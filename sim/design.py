"""Generated Verilog of a configuration, and the system around it that is simulated."""

import os
import re
from dataclasses import replace
from pathlib import Path

from ..hw.accelerator import Accelerator
from ..hw.buffer.sram import SRAM_VERILOG
from ..hw.cluster import Cluster
from ..hw.memory.axi import size_code
from ..hw.pe.mac_lane import MacLane
from ..hw.pe.pe import PE
from ..hw.streams.crossbar import CROSSBAR_VERILOG
from ..hw.verilog_export import to_verilog
from .cache import digest, kept, package_versions
from .cover_points import cover_points
from .sources import source_identity
from .verilator import QUICK, build

__all__ = ["COVERAGE", "POINTS_ONLY", "SHORT_RUNS", "SIMULATION_SOURCES", "accelerator_verilog", "build_system",
           "covered_design", "simulator_options", "system_verilog"]

_FOLDER = Path(__file__).parent / "verilog"
SIMULATION_SOURCES = (SRAM_VERILOG, CROSSBAR_VERILOG, _FOLDER / "acceltran_sram_log.v", _FOLDER / "acceltran_memory.v",
                      _FOLDER / "acceltran_read_channel.v")

_VERILOG = "accelerator.v"

_SYSTEM = """
// The accelerator with its main memory, for runs in which Python sleeps.
module system(
    input wire clk, input wire rst, output wire irq,
{host_ports}
);
{wires}
    accelerator dut(.clk(clk), .rst(rst), .irq(irq),
{connections}
    );
    acceltran_memory #(.DATA({bus_width}), .ADDRESS({address_bits}), .BYTES({memory_bytes})) memory(
        .clk(clk), .rst(rst),
{memory_connections}
    );
{further_ports}
    // Timeline: starts and completions of instructions always, what works in each cycle with +activity.
    integer timeline_log, activity_log = 0;
    initial begin
        timeline_log = $fopen("timeline.log", "w");
        if ($test$plusargs("activity")) activity_log = $fopen("activity.log", "w");
    end
    final begin
        $fclose(timeline_log);
        if (activity_log != 0) $fclose(activity_log);
    end
    reg [{timeline_bits}-1:0] timeline_before = 0;
    reg [{activity_bits}-1:0] activity_before = 0;
    always @(posedge clk) begin
        timeline_before <= timeline;
        activity_before <= activity;
        if (timeline != timeline_before) $fwrite(timeline_log, "%0d %h\\n", $time, timeline);
        if (activity_log != 0 && activity != activity_before) $fwrite(activity_log, "%0d %h\\n", $time, activity);
    end
endmodule
"""

_FURTHER_PORT = """
    // Memory port {number} reads the same array.
    wire [{place_bits}-1:0] place_{number};
    acceltran_read_channel #(
        .DATA({bus_width}), .ADDRESS({address_bits}), .BYTES({memory_bytes}), .NUMBER({number})
    ) port_{number}(
        .clk(clk), .rst(rst), .place(place_{number}), .word(memory.words[place_{number}]),
{connections}
    );
"""

_LONG_ONE = "64'd1"
"""Plain numbers of Verilog are signed and have 32 bits."""

_OPTIMISED = {
    "arguments": ("-O3", "--output-split", "20000", "--output-split-cfuncs", "500"),
    "variables": ("OPT_FAST=-O2 -fno-tree-slp-vectorize", "OPT_SLOW=-O0", "OPT_GLOBAL=-O2"),
}
"""Of what runs in every cycle, once, and of Verilator's own code. GCC 12 makes vectors of -1 of sums of comparisons, such as
``(0U != a) + (0U != b)``, and adds them up with the wrong sign."""

SHORT_RUNS = "ACCELTRAN_SHORT_RUNS"
"""Environment variable that asks for simulators that are ready sooner and run slower: for runs of few thousand cycles."""


COVERAGE = "ACCELTRAN_COVERAGE"
"""Environment variable that names a folder: simulators of whole systems then count which lines, branches, toggles and cover
points each run reaches, and every run leaves its counts there (docs/coverage.md)."""

POINTS_ONLY = "ACCELTRAN_COVERAGE_POINTS"
"""Environment variable by which they count cover points only: built in a fraction of the time, and several times faster."""

_COUNTING = {
    "arguments": ("-O3", "--output-split", "20000", "--coverage-line", "--coverage-toggle", "--coverage-user", "--assert"),
    "variables": ("OPT_FAST=-O1", "OPT_SLOW=-O0", "OPT_GLOBAL=-O2"),
}
"""Toggles of vectors of more than 256 bits, Verilator's limit, are not counted: such a vector holds others."""


def accelerator_verilog(config, *, fields=False):
    """Verilog of `config` with top module ``accelerator``, kept in the cache until the sources or `config` change.

    With `fields` it has a wire for each field of each structure, for waves.
    """
    identity = digest(source_identity("acceltran.hw"), package_versions("amaranth", "pyosys"), config.to_json(), fields)

    def make(folder):
        (folder / _VERILOG).write_text(to_verilog(Accelerator(config=config), "accelerator", fields=fields))

    return (kept("verilog", f"{config.name}-{identity}", make) / _VERILOG).read_text()


def _ports(verilog):
    """(direction, bits, name) of the accelerator's ports, in order."""
    start = verilog.index("module accelerator(")
    body = verilog[start: verilog.index("endmodule", start)]
    found = re.findall(r"^  (input|output)\s+(?:signed\s+)?(?:\[(\d+):0\]\s+)?(\w+)\s*;", body, re.MULTILINE)
    return [(direction, int(high or 0) + 1, name) for direction, high, name in found]


def system_verilog(config, *, memory_bits=27, fields=False):
    """The accelerator's Verilog and module ``system``: the accelerator, main memory and timeline logs."""
    verilog = accelerator_verilog(config, fields=fields)
    ports = {name: (direction, bits) for direction, bits, name in _ports(verilog)}
    host = [n for n in ports if n.startswith("s_axil__")]
    wires = [n for n in ports if n.startswith("m_axi_") or n in ("timeline", "activity")]
    size = {"bus_width": config.bus_width, "address_bits": ports["m_axi__araddr"][1],
            "memory_bytes": f"{'1' if memory_bits < 31 else _LONG_ONE} << {memory_bits}"}
    text = _SYSTEM.format(
        host_ports=",\n".join(f"    {ports[n][0]} wire [{ports[n][1] - 1}:0] {n}" for n in host),
        wires="\n".join(f"    wire [{ports[n][1] - 1}:0] {n};" for n in wires),
        connections=",\n".join(f"        .{n}({n})" for n in (*host, *wires)),
        memory_connections=_connections(wires, "m_axi__"),
        further_ports="".join(_FURTHER_PORT.format(number=n, connections=_connections(wires, f"m_axi_{n}__"),
                                                     place_bits=memory_bits - size_code(config.bus_width), **size)
                              for n in range(1, config.memory_ports)),
        **size,
        timeline_bits=ports["timeline"][1], activity_bits=ports["activity"][1],
    )
    return verilog + text


def _connections(wires, prefix):
    """Those of a memory with the wires of a port, without the attributes that it does not look at."""
    unused = {f"a{way}{name}" for way in "rw" for name in ("prot", "cache", "size", "burst")}
    names = {name.removeprefix(prefix): name for name in wires if name.startswith(prefix)}
    return ",\n".join(f"        .{name}({wire})" for name, wire in names.items() if name not in unused)


def shared_modules(verilog, *kinds):
    """Names of the modules in `verilog` that were made for the component classes `kinds` by `instantiate`."""
    names = "|".join(kind.__name__.lower() for kind in kinds)
    return re.findall(rf"^module ((?:{names})_[0-9a-f]{{6}})\(", verilog, re.MULTILINE)


def build_system(config, *, waves=False, memory_bits=27, instrument=None, sources=()):
    """Build (or find) the simulator of a whole system, optimised for speed.

    With several PEs, the PE is a block of its own, and so is the cluster with several clusters: Verilator translates it once
    and not once for each. All lanes of a PE run the same code, which then stays in the caches. Waves are recorded from a
    model in one piece, in which all PEs run the same code.

    Parameters
    ----------
    waves : as in `build`
    instrument : None, or a function from the accelerator's Verilog to that which is simulated in its place, in one piece
    sources : further Verilog files
    """
    verilog = system_verilog(config, memory_bits=memory_bits, fields=waves)
    if instrument:
        verilog = instrument(verilog)
    if (counts := os.environ.get(COVERAGE)) and not (waves or instrument):
        return _build_counting(config, verilog, sources, Path(counts))
    return build(verilog, "system", sources=[*SIMULATION_SOURCES, *sources], waves=waves,
                 **simulator_options(verilog, config, whole=bool(waves or instrument)))


def covered_design(config):
    """What files with the counts of `config` are called after: its name and a digest of all that is counted in it."""
    verilog = accelerator_verilog(config)
    return f"{config.name}-{digest(verilog, cover_points(config, verilog), _counting())}"


def _counting():
    """Options of `build` by which a simulator counts."""
    if not os.environ.get(POINTS_ONLY):
        return _COUNTING
    return QUICK | {"arguments": (*QUICK["arguments"], "--coverage-user", "--assert")}


def _build_counting(config, verilog, sources, folder):
    """The simulator of a system in one piece, which counts coverage; the accelerator's lines stand first in its Verilog."""
    points = cover_points(config, accelerator_verilog(config))
    model = build(verilog + points, "system", sources=[*SIMULATION_SOURCES, *sources], separate=_all_shared(verilog),
                  **_counting())
    return replace(model, counts=folder.resolve(), design=covered_design(config))


def _all_shared(verilog):
    """Names of the modules that `instantiate` made: counters of one are those of all its instances."""
    return re.findall(r"^module (\w+_[0-9a-f]{6})\(", verilog, re.MULTILINE)


def simulator_options(verilog, config, *, whole=False):
    """Options of `build` by which the accelerator of `config` in `verilog` runs fast, or is built fast for `SHORT_RUNS`.

    With `whole` it is in one piece.
    """
    return {
        "blocks": () if whole or config.pes == 1 else shared_modules(verilog, PE, Cluster),
        "separate": shared_modules(verilog, *((PE, MacLane) if whole else (MacLane,))),
        **(QUICK if os.environ.get(SHORT_RUNS) else _OPTIMISED),
    }
