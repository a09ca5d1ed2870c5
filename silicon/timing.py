"""Slack of mapped blocks at a clock, with OpenSTA."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from .design import with_children
from .errors import SynthesisError
from .flow import MACRO_PORTS, macro_name

__all__ = ["TIMED_CELLS", "timed_blocks", "timing", "timing_tool"]

TIMED_CELLS = 2_500_000
"""A block of more cells is not timed in one piece, but its children are."""

_PATHS = 400
_KEPT = 5
THRESHOLDS = " ".join(f"{name}_{edge} : {value};" for edge in ("rise", "fall") for name, value in (
    ("input_threshold_pct", 50), ("output_threshold_pct", 50), ("slew_lower_threshold_pct", 20),
    ("slew_upper_threshold_pct", 80)))
"""Thresholds of a Liberty file, which OpenSTA wants to be the same in all."""

_SCRIPT = """
foreach file {{ {liberty} }} {{ read_liberty $file }}
foreach file {{ {netlists} }} {{ read_verilog $file }}
link_design {top}
create_clock -name clk -period {period} [get_ports {{ {clocks} }}]
set_input_delay 0 -clock clk [get_ports {{ {inputs} }}]
set_output_delay 0 -clock clk [get_ports {{ {outputs} }}]
set_load {load} [get_ports {{ {outputs} }}]
proc show {{ kind paths }} {{
  foreach path $paths {{
    set from [get_property $path startpoint]
    set to [get_property $path endpoint]
    puts "PATH $kind [get_property $path slack] [get_property $from full_name] [get_property $to full_name]"
  }}
}}
show all [find_timing_paths -path_delay max -group_count {paths}]
set registers [all_registers -clock_pins]
if {{[llength $registers]}} {{
  show registers [find_timing_paths -from $registers -to [all_registers -data_pins] -path_delay max -group_count {paths}]
}}
"""


def timing_tool():
    """Path of OpenSTA, or None."""
    return shutil.which("sta")


def timed_blocks(modules, measured):
    """Names of the largest distinct modules, from the top (the last) down, that are timed in one piece."""
    found, pending = [], [next(reversed(modules))]
    while pending:
        name = pending.pop(0)
        if name in found or not measured[name].cells:
            continue
        if measured[name].cells <= TIMED_CELLS:
            found.append(name)
        else:
            pending.extend(dict.fromkeys(child for _, child in modules[name].instances))
    return found


def timing(top, modules, mapped, library, *, clock, sram):
    """Worst slack and worst paths of module `top` at `clock` MHz.

    Inputs arrive and outputs leave at the clock edge, the clock is ideal, wires have no delay. SRAM macros answer after the
    access time of the table and need no setup time.

    Returns
    -------
    dict: slack_ps of the worst path, register_slack_ps of the worst between registers (None: there is none), paths: the worst
    for each pair of start and end, bits of one register together, as {slack_ps, start, end}

    Raises
    ------
    SynthesisError : OpenSTA failed
    """
    below = with_children(modules, top)
    clocks = [name for name, direction, _ in below[top].ports if direction == "input" and name.endswith("clk")]
    ports = {way: " ".join(_plain(name) + ("[*]" if bits > 1 else "") for name, direction, bits in below[top].ports
                           if direction == way and name not in clocks) for way in ("input", "output")}
    with tempfile.TemporaryDirectory(prefix="acceltran-") as folder:
        files = {"library.lib": library.text}
        if any(mapped[name].macros for name in below):
            files["sram.lib"] = _macros(mapped, below, library, sram)
        for name, text in files.items():
            (Path(folder) / name).write_text(text)
        (Path(folder) / "timing.tcl").write_text(_SCRIPT.format(
            liberty=" ".join(f"{folder}/{name}" for name in files), netlists=" ".join(str(mapped[n].netlist) for n in below),
            top=top, period=1e6 / clock / library.time_ps, clocks=" ".join(map(_plain, clocks)), inputs=ports["input"],
            outputs=ports["output"], load=4 * library.inverter_ff / library.load_ff, paths=_PATHS,
        ))
        run = subprocess.run([timing_tool(), "-no_init", "-no_splash", "-exit", f"{folder}/timing.tcl"],
                             capture_output=True, text=True)
    output = run.stdout + run.stderr
    if run.returncode or "Error:" in output:
        reason = next((line for line in output.splitlines() if "Error:" in line), output[-200:])
        raise SynthesisError(f"{top}: OpenSTA failed: {reason}")
    paths = {"all": [], "registers": []}
    for kind, slack, start, end in re.findall(r"^PATH (\w+) (\S+) (\S+) (\S+)$", output, re.MULTILINE):
        paths[kind].append({"slack_ps": round(float(slack) * library.time_ps, 1), "start": _source(start), "end": _source(end)})
    return {
        "slack_ps": paths["all"][0]["slack_ps"] if paths["all"] else None,
        "register_slack_ps": paths["registers"][0]["slack_ps"] if paths["registers"] else None,
        "paths": _distinct(paths["all"])[:_KEPT], "register_paths": _distinct(paths["registers"])[:_KEPT],
    }


def _plain(name):
    return name.removeprefix("\\")


def _source(pin):
    """Name in the source of a flip-flop's pin or a port."""
    if "$_DFF_P_/" in pin:
        pin = pin.rsplit("$_DFF_P_/", 1)[0]
    return re.sub(r"/", ".", pin.replace("\\", ""))


def _distinct(paths):
    """The worst of the paths whose ends differ in numbers only."""
    kept = {}
    for path in paths:
        key = tuple(re.sub(r"\d+", "", path[end]) for end in ("start", "end"))
        kept.setdefault(key, path)
    return list(kept.values())


def _macros(mapped, below, library, sram):
    """Liberty of the SRAM macros."""
    found = {macro_name(**macro): macro for name in below for macro in mapped[name].macros}
    types, cells = set(), []
    for name, macro in sorted(found.items()):
        access = sram.estimate(width=macro["width"], depth=macro["depth"]).read_latency_ns * 1000 / library.time_ps
        address = max(1, (macro["depth"] - 1).bit_length())
        bits = {"CLK": 1, "EN": 1, "ADDR": address, "DATA": macro["width"]}
        pins = []
        for port in MACRO_PORTS:
            side, kind = port.split("_")
            copies = macro["reads" if side == "RD" else "writes"]
            width = copies * (macro["width"] if port == "WR_EN" else bits[kind])
            types.add(width)
            pins.append(_pin(port, width, access))
        cells.append(f"  cell ({name}) {{ area : 0; {' '.join(pins)} }}")
    declared = [f"  type (bits_{n}) {{ base_type : array; data_type : bit; bit_width : {n}; bit_from : {n - 1}; bit_to : 0; }}"
                for n in sorted(types)]
    return "\n".join(["library (sram) {", "  delay_model : table_lookup;", THRESHOLDS,
                      f'  time_unit : "{library.time_ps:g}ps";', f"  capacitive_load_unit ({library.load_ff:g}, ff);",
                      *declared, *cells, "}", ""])


def _pin(port, width, access):
    side, kind = port.split("_")
    clock = f"{side}_CLK"
    if kind == "CLK":
        body = "direction : input; clock : true; capacitance : 0;"
    elif port == "RD_DATA":
        rows = [f'{name} (scalar) {{ values ("{value:g}"); }}' for name, value in (
            ("cell_rise", access), ("cell_fall", access), ("rise_transition", 0), ("fall_transition", 0))]
        body = f'direction : output; timing () {{ related_pin : "{clock}"; timing_type : rising_edge; {" ".join(rows)} }}'
    else:
        body = (f'direction : input; capacitance : 0; timing () {{ related_pin : "{clock}"; timing_type : setup_rising; '
                'rise_constraint (scalar) { values ("0"); } fall_constraint (scalar) { values ("0"); } }')
    if width == 1:
        return f"pin ({port}) {{ {body} }}"
    return f"bus ({port}) {{ bus_type : bits_{width}; {body} }}"
