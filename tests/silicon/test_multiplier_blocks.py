"""Multiplier blocks of an ECP5: fewer wires and registers, the same values in every cycle."""

import copy
import json
import random
import subprocess
import sys
from collections import Counter

import pytest

from acceltran.silicon.design import RUN_PASSES
from acceltran.silicon.multiplier_blocks import settle_multipliers

VERILOG = """
module fpga(input clk, input fire, input enable, input signed [7:0] a, input signed [7:0] b, input signed [11:0] c,
            input [8:0] u, output reg signed [15:0] product, output signed [23:0] square, output reg signed [20:0] scaled,
            output signed [17:0] both, output reg signed [7:0] shared);
    reg signed [7:0] a_kept, b_kept;           // As in a MAC: the product's register becomes the block's.
    reg signed [11:0] c_kept;                  // Under one enable; both operands are the same register.
    reg [8:0] u_kept;                          // Unsigned: no sign to move.
    always @(posedge clk) begin
        a_kept <= a;
        b_kept <= fire ? b : 8'sd0;
        product <= a_kept * b_kept;
        if (enable) begin
            c_kept <= c;
            u_kept <= u;
            scaled <= c_kept * $signed({1'b0, u_kept});
        end
        shared <= a_kept;
    end
    assign square = c_kept * c_kept;
    assign both = $signed(product[8:0]) * $signed(u);
endmodule
"""


def synthesise(folder, verilog):
    (folder / "fpga.v").write_text(verilog)
    passes = [f"read_verilog {folder / 'fpga.v'}", f"synth_ecp5 -nowidelut -top fpga -json {folder / 'fpga.json'}"]
    subprocess.run([sys.executable, "-c", RUN_PASSES, *passes], check=True, capture_output=True)
    return json.loads((folder / "fpga.json").read_text())["modules"]["fpga"]


@pytest.fixture(scope="module")
def netlist(tmp_path_factory):
    return synthesise(tmp_path_factory.mktemp("netlist"), VERILOG)


def word(bits, values, signed):
    value = sum(values[bit] << n for n, bit in enumerate(bits))
    return value - (1 << len(bits)) if signed and values[bits[-1]] else value


class Simulation:
    """Values of a netlist of multiplier blocks, LUTs and flip-flops, cycle by cycle; blocks as Lattice describes MULT18X18D."""

    def __init__(self, module):
        self.module, self.state = module, {}

    def _operand(self, cell, side, values):
        bits = [cell["connections"].get(f"{side}{n}", ["0"])[0] for n in range(18)]
        return word(bits, values, cell["connections"][f"SIGNED{side}"] == ["1"])

    def cycle(self, inputs):
        """Outputs before the edge, with `inputs`; then the edge."""
        cells = {name: cell for name, cell in self.module["cells"].items() if cell["type"] != "$scopeinfo"}
        values, waiting = {"0": 0, "1": 1, "x": 0}, dict(cells)
        for name, value in inputs.items():
            values |= {bit: value >> n & 1 for n, bit in enumerate(self.module["ports"][name]["bits"])}
        while waiting:
            for name, cell in list(waiting.items()):
                done = self._evaluate(name, cell, values)
                if done is not None:
                    values |= done
                    del waiting[name]
        outputs = {name: word(port["bits"], values, False) for name, port in self.module["ports"].items()
                   if port["direction"] == "output"}
        self.state = {name: self._next(name, cell, values) for name, cell in cells.items()}
        return outputs

    def _evaluate(self, name, cell, values):
        """{bit: value} of what a cell drives, or None while its inputs are not known."""
        c, p = cell["connections"], cell["parameters"]
        if cell["type"] == "TRELLIS_FF":
            return {c["Q"][0]: self.state.get(name, 0)}
        kept = self.state.get(name, {})
        sources = {bit for port, bits in c.items() for bit in bits if cell["port_directions"][port] == "input"}
        if cell["type"] == "MULT18X18D":
            registered = [side for side in "AB" if f"REG_INPUT{side}_CLK" in p]
            if "REG_OUTPUT_CLK" not in p:
                if len(registered) < 2 and not sources <= values.keys():
                    return None
                a, b = (kept.get(side, 0) if side in registered else self._operand(cell, side, values) for side in "AB")
                kept = {"P": a * b}
            return {c[f"P{n}"][0]: kept.get("P", 0) >> n & 1 for n in range(36) if f"P{n}" in c}
        assert cell["type"] == "LUT4", cell["type"]
        if not sources <= values.keys():
            return None
        place = sum(values[c[port][0]] << n for n, port in enumerate("ABCD"))
        return {c["Z"][0]: int(p["INIT"], 2) >> place & 1}

    def _next(self, name, cell, values):
        c, p = cell["connections"], cell["parameters"]
        if cell["type"] == "TRELLIS_FF":
            if values[c["LSR"][0]]:
                return 0
            enabled = p["CEMUX"].strip() == "1" or values[c["CE"][0]]
            return values[c["DI"][0]] if enabled else self.state.get(name, 0)
        if cell["type"] != "MULT18X18D":
            return None
        before = self.state.get(name, {})
        a, b = (before.get(side, 0) if f"REG_INPUT{side}_CLK" in p else self._operand(cell, side, values) for side in "AB")
        coming = {"A": self._operand(cell, "A", values), "B": self._operand(cell, "B", values), "P": a * b}
        for side, kind in (("A", "INPUTA"), ("B", "INPUTB"), ("P", "OUTPUT")):
            if f"REG_{kind}_CLK" not in p:
                coming[side] = 0
            elif values[c[p[f"REG_{kind}_RST"]][0]]:
                coming[side] = 0
            elif not values[c[p[f"REG_{kind}_CE"]][0]]:
                coming[side] = before.get(side, 0)
        return coming


def registers(module):
    """For each block the ports with registers."""
    kinds = {"A": "REG_INPUTA_CLK", "B": "REG_INPUTB_CLK", "P": "REG_OUTPUT_CLK"}
    return ["".join(side for side, kind in kinds.items() if kind in cell["parameters"])
            for cell in module["cells"].values() if cell["type"] == "MULT18X18D"]


def wires(module):
    return sum(not isinstance(bit, str) for cell in module["cells"].values() if cell["type"] == "MULT18X18D"
               for port, (bit,) in cell["connections"].items() if port[0] in "AB")


def test_same_values_with_fewer_wires_and_registers(netlist):
    settled = copy.deepcopy(netlist)
    settle_multipliers(settled)
    sides = [Simulation(netlist), Simulation(settled)]
    rng = random.Random(1)
    extremes = {"a": (0x80, 0x7F, 0, 0xFF), "b": (0x80, 0x7F, 0, 0xFF), "c": (0x800, 0x7FF), "u": (0x1FF, 0x100)}
    for n in range(400):
        inputs = {name: rng.choice(ends) if n % 3 == 0 else rng.getrandbits(12) for name, ends in extremes.items()}
        inputs |= {"fire": rng.random() < 0.7, "enable": rng.random() < 0.7, "clk": 0}
        before, after = (side.cycle(inputs) for side in sides)
        assert before == after, n

    def count(module):
        return Counter(cell["type"] for cell in module["cells"].values())

    assert sorted(registers(settled)) == ["", "", "P", "P"]  # a_kept is read by `shared`, too, and b_kept has a reset.
    assert count(settled)["TRELLIS_FF"] == count(netlist)["TRELLIS_FF"] - 16 - 21
    assert wires(settled) < 0.75 * wires(netlist)


def test_registers_of_operands(tmp_path):
    alone = synthesise(tmp_path, VERILOG.replace("fire ? b : 8'sd0", "b").replace("<= a_kept;", "<= ~a;"))
    settled = copy.deepcopy(alone)
    settle_multipliers(settled)
    sides = [Simulation(alone), Simulation(settled)]
    rng = random.Random(2)
    for n in range(300):
        inputs = {name: rng.getrandbits(12) for name in "abcu"}
        inputs |= {"fire": rng.random() < 0.6, "enable": rng.random() < 0.6, "clk": 0}
        before, after = (side.cycle(inputs) for side in sides)
        assert before == after, n
    assert sorted(registers(settled)) == ["", "", "ABP", "P"]


CHAIN = """
module fpga(input clk, input signed [7:0] a, input signed [7:0] b, input signed [7:0] c, output reg signed [23:0] product);
    reg signed [7:0] a_kept, b_kept, c_kept, c_late;
    reg signed [15:0] half;
    always @(posedge clk) begin
        a_kept <= a; b_kept <= b; c_kept <= c; c_late <= c_kept;
        half <= a_kept * b_kept;
        product <= half * c_late;
    end
endmodule
"""


@pytest.mark.parametrize("backwards", [False, True])
def test_registers_between_two_blocks_go_to_one(tmp_path, backwards):
    chain = synthesise(tmp_path, CHAIN)
    if backwards:
        chain["cells"] = dict(reversed(chain["cells"].items()))
    settled = copy.deepcopy(chain)
    settle_multipliers(settled)
    sides = [Simulation(chain), Simulation(settled)]
    rng = random.Random(4)
    for n in range(200):
        inputs = {name: rng.getrandbits(8) for name in "abc"} | {"clk": 0}
        before, after = (side.cycle(inputs) for side in sides)
        assert before == after, n
    assert sorted(registers(settled)) in (["ABP", "P"], ["AB", "ABP"])


def register(source, target, clock, **controls):
    """A flip-flop as Yosys writes it; `controls` are CE and LSR."""
    parameters = {"CEMUX": "CE" if "CE" in controls else "1 ", "CLKMUX": "CLK", "GSR": "DISABLED", "LSRMUX": "LSR",
                  "REGSET": "RESET", **({"SRMODE": "LSR_OVER_CE"} if "LSR" in controls else {})}
    connections = {"CLK": [clock], "DI": [source], "Q": [target], "LSR": ["0"], **{k: [bit] for k, bit in controls.items()}}
    return {"type": "TRELLIS_FF", "parameters": parameters, "connections": connections,
            "port_directions": {port: "output" if port == "Q" else "input" for port in connections}}


def product_of_bytes(*, signed=True, registers=None, also_read=False, width=36):
    """A block for two bytes whose top bit is on all inputs above, and `width` bits of its product are read."""
    clock, enable, reset = 2, 3, 4
    a, b, p, q = (list(range(first, first + count)) for first, count in ((10, 8), (20, 8), (40, 36), (80, 36)))
    connections = {f"{side}{n}": [bits[min(n, 7)]] for side, bits in (("A", a), ("B", b)) for n in range(18)}
    connections |= {f"P{n}": [bit] for n, bit in enumerate(p)} | {f"SIGNED{s}": ["1" if signed else "0"] for s in "AB"}
    cells = {"block": {"type": "MULT18X18D", "parameters": {}, "connections": connections,
                       "port_directions": {port: "output" if port[0] == "P" else "input" for port in connections}}}
    ports = {name: {"direction": "input", "bits": bits} for name, bits in
             (("clk", [clock]), ("enable", [enable]), ("reset", [reset]), ("a", a), ("b", b))}
    if registers is not None:
        wires = {"CE": enable, "LSR": reset}
        cells |= {f"r{n}": register(*bits, clock, **{k: wires[k] for k in registers})
                  for n, bits in enumerate(zip(p[:width], q[:width], strict=True))}
        ports["q"] = {"direction": "output", "bits": q[:width]}
    if registers is None or also_read:
        ports["p"] = {"direction": "output", "bits": p[:width]}
    return {"cells": cells, "ports": ports}


@pytest.mark.parametrize(("options", "absorbed"), [
    ({}, False),
    ({"signed": False}, False),
    ({"signed": False, "width": 20}, False),
    ({"width": 20, "registers": ()}, True),
    ({"registers": ()}, True),
    ({"registers": ("CE",)}, True),
    ({"registers": ("LSR",)}, False),
    ({"registers": (), "also_read": True}, False),
])
def test_what_does_not_fit_stays(options, absorbed):
    module = product_of_bytes(**options)
    settled = copy.deepcopy(module)
    settle_multipliers(settled)
    sides = [Simulation(module), Simulation(settled)]
    rng = random.Random(3)
    for n in range(200):
        inputs = {"clk": 0, "enable": rng.random() < 0.6, "reset": rng.random() < 0.3,
                  "a": rng.getrandbits(8), "b": rng.getrandbits(8)}
        before, after = (side.cycle(inputs) for side in sides)
        assert before == after, n
    assert (len(settled["cells"]) == 1 and "REG_OUTPUT_CLK" in settled["cells"]["block"]["parameters"]) == absorbed
