"""Power of mapped modules at measured activities, with OpenSTA."""

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .mapper import SynthesisError
from .timing import THRESHOLDS, timing_tool

__all__ = ["ModulePower", "module_power"]

_BOTH_EDGES = 0.5
"""OpenSTA 2.0 takes the energies of a rise and of a fall together for each toggle."""

_IDEAL = """
library (ideal) {{
  delay_model : table_lookup; time_unit : "{time:g}ps"; capacitive_load_unit ({load:g}, ff); voltage_unit : "1V";
  leakage_power_unit : "1nW"; {thresholds}
  operating_conditions (ideal) {{ process : 1; temperature : 25; voltage : {voltage}; }}
  default_operating_conditions : ideal;
  cell (acceltran_ideal) {{
    area : 0; cell_leakage_power : 0; pin (A) {{ direction : input; capacitance : 0; }}
    pin (Y) {{ direction : output; function : "A"; timing () {{ related_pin : "A"; timing_sense : positive_unate; {edges} }} }}
  }}
}}
"""
_EDGES = " ".join(f'{edge} (scalar) {{ values ("0"); }}' for edge in (
    "cell_rise", "cell_fall", "rise_transition", "fall_transition"))
_MODULE = """
read_verilog {netlist}
link_design {top}
{clock}
set_power_activity -global -activity {toggles}
set_power_activity -input -activity {toggles}
foreach pin [get_pins -hierarchical *] {{ sta::set_power_pin_activity $pin {toggles} 0.5 }}
puts "MODULE {name}"
flush stdout
report_power -digits 8
"""
_CONDITIONS = re.compile(r"\boperating_conditions\s*\(\s*\"?(\w+)\"?\s*\)\s*\{[^}]*?\bvoltage\s*:\s*\"?([\d.]+)")
_WORDS = {"input", "output", "inout", "wire", "tri", "module", "endmodule", "assign", "parameter"}
"""Of Verilog, that are names of ports too."""

_DEFAULT = re.compile(r"\bdefault_operating_conditions\s*:[^;]*;")


@dataclass(frozen=True)
class ModulePower:
    """Of one module without those in it: joules per clock cycle and watts."""

    internal: float
    switching: float
    leakage: float

    def at(self, clock):
        """Watts at `clock` MHz."""
        return (self.internal + self.switching) * clock * 1e6 + self.leakage


def module_power(modules, mapped, library, activity, done=lambda: None):
    """{name: ModulePower} of the distinct `modules`.

    Every pin of a module toggles as often as its nets in the simulation do on average, clock pins twice a cycle. A module
    charges the pins that its inputs and its children's outputs drive, so that no pin between modules is left out.

    Parameters
    ----------
    mapped : see `map_modules`
    library : Library with power tables, see `read_library`
    activity : {name: Activity}
    done : called after each module

    Raises
    ------
    SynthesisError : OpenSTA failed
    """
    conditions = _CONDITIONS.search(library.text)
    if not conditions:
        raise SynthesisError(f"{library.name}: has no operating_conditions with a voltage, which power needs")
    with tempfile.TemporaryDirectory(prefix="acceltran-") as folder:
        folder = Path(folder)
        (folder / "library.lib").write_text(_with_default(library.text, conditions[1]))
        (folder / "ideal.lib").write_text(_IDEAL.format(
            time=library.time_ps, load=library.load_ff, voltage=conditions[2], thresholds=THRESHOLDS, edges=_EDGES))
        script = [f"read_liberty {folder}/library.lib", f"read_liberty {folder}/ideal.lib"]
        for name, module in modules.items():
            netlist = folder / f"{name}.v"
            netlist.write_text(_wrapped(module, modules, mapped[name].netlist.read_text()))
            clocks = " ".join(port for port, direction, _ in map(_plain, module.ports) if _is_clock(port, direction))
            clock = f"create_clock -name clk -period {1e12 / library.time_ps:g}" + f" [get_ports {{ {clocks} }}]" * bool(clocks)
            script.append(_MODULE.format(netlist=netlist, top=f"{name}_alone", clock=clock, name=name,
                                         toggles=f"{activity[name].toggles:.9f}"))
        (folder / "power.tcl").write_text("\n".join(script))
        return _run(folder / "power.tcl", modules, done)


def _with_default(text, conditions):
    """`text` with the default operating conditions after their definition: OpenSTA finds them nowhere else."""
    return f"{_DEFAULT.sub('', text).rstrip().removesuffix('}')}  default_operating_conditions : {conditions};\n}}\n"


def _run(script, modules, done):
    """Run OpenSTA; its clock has a period of one second, so watts are joules per cycle."""
    command = [timing_tool(), "-no_init", "-no_splash", "-exit", str(script)]
    found, last, errors, name = {}, [], [], None
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        for line in run.stdout:
            words = line.split()
            last = [*last[-2:], line.strip()]
            if line.startswith("Error"):
                errors.append(line.strip())
            if line.startswith("MODULE "):
                name = words[1]
            elif line.startswith("Total ") and name:
                internal, switching, leakage = map(float, words[1:4])
                found[name] = ModulePower(internal * _BOTH_EDGES, switching, leakage)
                done()
    missing = [name for name in modules if name not in found]
    if run.returncode or missing or errors:
        reason = next(iter(errors), " | ".join(last[-3:]))
        raise SynthesisError(f"{missing[0] if missing else 'power'}: OpenSTA failed: {reason}")
    return found


def _plain(port):
    name, direction, bits = port
    return name.removeprefix("\\"), direction, bits


def _is_clock(port, direction):
    return direction == "input" and port.endswith("clk")


def _wrapped(module, modules, netlist):
    """Verilog of `module` alone: ideal drivers at its inputs and in place of its children's outputs."""
    children = sorted({child for _, child in module.instances})
    for child in children:
        netlist = netlist.replace(child, f"{child}_stub")
    stubs = [_drivers(f"{child}_stub", modules[child].ports, "output") for child in children]
    return "\n".join([*stubs, netlist, _drivers(f"{module.name}_alone", module.ports, "input", inside=module.name)])


def _drivers(name, ports, driven, inside=None):
    """A module whose `driven` ports come from ideal drivers: its outputs, or the inputs of module `inside` in it."""
    declarations, drivers, connections = [], [], []
    for port, direction, bits in map(_plain, ports):
        label = port if re.fullmatch(r"[A-Za-z_]\w*", port) and port not in _WORDS else f"\\{port} "
        span = f"[{bits - 1}:0] " if bits > 1 else ""
        declarations.append((label, f"  {direction} {span}{label};"))
        net = label
        if direction == driven and not _is_clock(port, direction):
            if inside:
                net = f"driven_{len(declarations)}"
                drivers.append(f"  wire {span}{net};")
            for bit in ([f"[{n}]" for n in range(bits)] if bits > 1 else [""]):
                source = f"{label}{bit}" if inside else ""
                drivers.append(f"  acceltran_ideal drive_{len(drivers)} (.A({source}), .Y({net}{bit}));")
        connections.append(f".{label}({net})")
    instance = [f"  {inside} inside ({', '.join(connections)});"] if inside else []
    return "\n".join([f"module {name} ({', '.join(label for label, _ in declarations)});",
                      *(line for _, line in declarations), *drivers, *instance, "endmodule", ""])
