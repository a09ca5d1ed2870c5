"""The testbench in plain Verilog: right results pass, and whatever is wrong fails with its reason in the last line."""

import functools
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from acceltran.cli import main as cli
from acceltran.hw.generate import SOURCES, WAIVERS, package
from acceltran.hw.packaging.ports import ports
from acceltran.hw.packaging.wrapper import WRAPPER, to_wrapper
from acceltran.hw.spec.config import PRESETS, AcceleratorConfig
from acceltran.sim.design import accelerator_verilog
from acceltran.sim.testbench import EXPECTED, MEMORY, TESTBENCH, compile_texts, compile_tiny, make_testbench, verilog_ports
from acceltran.sim.verilator import toolchain
from acceltran.sw.compiler import CompileError
from acceltran.sw.ir.execute import results
from acceltran.sw.models.checkpoint import load_checkpoint
from support.fusesoc import fusesoc
from support.models import make_checkpoint
from support.testbenches import NANO, ODD, icarus, smallest, write
from support.tools import debian_verilator, tool


def moved(folder, target, name, change):
    """A copy of the hex files, one of them changed; the plusarg that names it."""
    target.mkdir()
    for file in (MEMORY, EXPECTED):
        shutil.copy(folder / file, target)
    lines = (target / name).read_text().splitlines()
    change(lines)
    (target / name).write_text("\n".join(lines) + "\n")
    return f"+folder={target}"


@pytest.fixture(scope="module")
def nano(tmp_path_factory):
    """The smallest encoder on `nano`, under Verilog's own rules."""
    program, golden = smallest(NANO, target_sparsity=0.25)
    folder = write(tmp_path_factory.mktemp("testbench") / "nano", program, golden)
    return program, folder, functools.cache(icarus(folder))


@pytest.mark.parametrize("standard", ["2005", pytest.param("2012", marks=pytest.mark.slow)])
def test_v2_right_outputs_pass(nano, standard):
    _, folder, run = nano
    code, lines = (run if standard == "2005" else icarus(folder, standard))()
    assert code == 0
    assert lines[0].startswith("program: 32 instructions, ")
    assert lines[1:-1] == ["logits: all 68 bytes equal"]
    assert lines[-1].startswith("PASS: all 1 outputs equal, ") and lines[-1].endswith(" cycles")


def test_fusesoc_runs_it(nano, tmp_path):
    """From a copy, so that the files are found where FuseSoC puts them; what fails there fails the command."""
    program, folder, _ = nano
    tool("make")
    copy = shutil.copytree(folder, tmp_path / "nano", ignore=shutil.ignore_patterns("testbench-*"))
    for name, text in package(program.config, dict.fromkeys((TESTBENCH, MEMORY, EXPECTED), "")).items():
        (copy / name).write_text(text)
    code, said = fusesoc(copy, "testbench", tmp_path)
    assert code == 0 and "PASS: all 1 outputs equal, " in said, said
    lines = (copy / MEMORY).read_text().splitlines()
    lines[program.entry // 8] = "f" * 16
    (copy / MEMORY).write_text("\n".join(lines) + "\n")
    code, said = fusesoc(copy, "testbench", tmp_path)
    assert code != 0 and "FAIL: program stopped" in said, said


def test_the_same_through_the_wrapper(nano, tmp_path):
    """Writes to main memory included, which the smoke test has none of."""
    program, folder, run = nano
    copy = shutil.copytree(folder, tmp_path / "nano", ignore=shutil.ignore_patterns("testbench-*"))
    (copy / WRAPPER).write_text(to_wrapper(program.config, observe=True))
    text = (copy / TESTBENCH).read_text()
    for old, new in (("accelerator dut(", "acceltran dut("), (".clk(clk), .rst(rst),\n", ".aclk(clk), .aresetn(!rst),\n"),
                     *((f".{port.inner}({port.inner})", f".{port.name}({port.inner})") for port in ports(program.config))):
        assert text.count(old) == 1
        text = text.replace(old, new)
    (copy / TESTBENCH).write_text(text)
    (copy / "testbench.f").write_text("".join(f"{copy / name}\n" for name in (*SOURCES, TESTBENCH)))
    assert icarus(copy)() == run()


def test_a_wrong_byte_fails(nano, tmp_path):
    """What is expected differs in the last byte, so that every byte before is seen to be compared."""
    _, folder, run = nano

    def change(lines):
        lines[-1] = f"{int(lines[-1], 16) ^ 1:02x}"

    code, lines = run(moved(folder, tmp_path / "expected", EXPECTED, change))
    assert code == 0
    assert lines[-2].startswith("logits: 1 of 68 bytes differ, the first at 67 is 0x")
    assert lines[-1].startswith("FAIL: 1 of 1 outputs differ, ")


def test_a_damaged_image_fails(nano, tmp_path):
    """Weights with some bits turned give other outputs; a damaged instruction stops the program."""
    program, folder, run = nano
    address, size = program.sections["weights"]

    def weights(lines):
        for n in range(address // 8, (address + size) // 8):
            lines[n] = f"{int(lines[n], 16) ^ (lines[n] != '0' * 16) << 60:016x}"

    def instruction(lines):
        lines[program.entry // 8] = "f" * 16

    _, lines = run(moved(folder, tmp_path / "weights", MEMORY, weights))
    assert lines[-1].startswith("FAIL: ")
    _, lines = run(moved(folder, tmp_path / "instruction", MEMORY, instruction))
    assert lines[-1].startswith("FAIL: program stopped: status 0x") and "instruction 0, engine 3" in lines[-1]


def test_an_undefined_byte_fails(nano, tmp_path):
    """A file of expected bytes that is too short leaves the others undefined: they equal nothing."""
    _, folder, run = nano
    _, lines = run(moved(folder, tmp_path / "short", EXPECTED, lambda lines: lines.pop()))
    assert lines[-2].startswith("logits: 1 of 68 bytes differ, the first at 67")
    assert lines[-1].startswith("FAIL: ")


def test_a_run_that_takes_too_long_fails(nano):
    _, folder, _ = nano
    code, lines = icarus(folder, TIMEOUT=30)()
    assert (code, lines) == (0, ["FAIL: no interrupt within 30 cycles"])


@pytest.mark.parametrize("bits", [32, pytest.param(64, marks=pytest.mark.slow)])
def test_an_image_elsewhere(bits, tmp_path):
    """The same image at another address, beyond those of 32 bits where there are."""
    program, golden = smallest(replace(NANO, address_bits=bits))
    code, lines = icarus(write(tmp_path / "high", replace(program, base=(bits == 64) * (3 << 32) + 0x9000_0000), golden))()
    assert code == 0 and lines[-1].startswith("PASS: all 1 outputs equal, ")


@pytest.mark.parametrize("config", [NANO, pytest.param(ODD, marks=pytest.mark.slow)], ids=lambda c: c.name)
def test_a_preload(config, tmp_path):
    program, golden = smallest(config, resident=True)
    code, lines = icarus(write(tmp_path / "design", program, golden), LATENCY=3)()
    assert code == 0
    assert lines[0].startswith(f"preload: {program.preload['instructions']} instructions, ")
    assert lines[1].startswith(f"program: {len(program.instructions)} instructions, ")
    assert lines[-1].startswith("PASS: all 1 outputs equal, ")


@pytest.mark.parametrize(("limit", "verdict"), [
    ({"TIMEOUT": 30}, "FAIL: no interrupt within 30 cycles"),
    pytest.param({}, "PASS: all 1 outputs equal, ", marks=pytest.mark.slow),
], ids=["start", "end"])
def test_generated_by_the_command(limit, verdict, tmp_path, monkeypatch, capsys):
    """The command's own encoder, from the files as they lie in the folder."""
    tool("iverilog")
    verilog_is(monkeypatch, accelerator_verilog(NANO))
    code, _, err = call(monkeypatch, capsys, "generate", "--config", "nano", "-o", tmp_path / "nano", "--testbench")
    assert (code, err) == (0, "")
    manifest = json.loads((tmp_path / "nano/manifest.json").read_text())
    assert {path.name for path in (tmp_path / "nano").iterdir()} == {"manifest.json", *manifest["files"]}
    assert {TESTBENCH, MEMORY, EXPECTED, "testbench.f"} <= set(manifest["files"])
    _, lines = icarus(tmp_path / "nano", **limit)()
    assert lines[-1].startswith(verdict)


def verilator(command, folder, *arguments, env, plusargs=()):
    """Build a testbench with Verilator, as its users would, and run it; the lines it prints."""
    subprocess.run([
        command, "--binary", "--timing", "-Mdir", folder / "build", "-o", "tb", "--top-module", "testbench", *arguments,
        folder / WAIVERS.name, "-f", folder / "testbench.f",
    ], check=True, cwd="/", env=env, stdout=subprocess.DEVNULL)
    done = subprocess.run([folder / "build/tb", *plusargs], check=True, capture_output=True, text=True, cwd="/")
    return done.stdout.splitlines()


@pytest.mark.slow
def test_in_verilator(nano):
    _, folder, _ = nano
    lines = verilator("verilator", folder, "-CFLAGS", "-std=c++20", env=toolchain(), plusargs=["+verilator+quiet"])
    assert lines[-1].startswith("PASS: all 1 outputs equal, ")


@pytest.mark.slow
def test_in_verilator_of_debian(nano, tmp_path):
    _, folder, _ = nano
    env = {name: value for name, value in os.environ.items() if name != "VERILATOR_ROOT"}
    lines = verilator(debian_verilator(), shutil.copytree(folder, tmp_path / "nano"), env=env)
    assert lines[-1].startswith("PASS: all 1 outputs equal, ")


# What the testbench says of an accelerator that is none: outputs are constants.

def stand_in(**values):
    """An accelerator whose outputs are constants: zero, or as given."""
    ports = verilog_ports(NANO)
    lines = [f"module accelerator(clk, rst, {', '.join(name for name, _, _ in ports)});", "  input clk, rst;"]
    for name, bits, driven in ports:
        lines.append(f"  {'input' if driven else 'output'} [{bits - 1}:0] {name};")
        if not driven:
            lines.append(f"  assign {name} = {values.pop(name, 0)};")
    assert not values
    return "\n".join([*lines, "endmodule", ""])


DEAF = {}
BURST = "FAIL: a burst that is not INCR, of whole words, or not as long as it was announced, in cycle 2 after reset"
ANSWERING = {"s_axil__awready": 1, "s_axil__wready": 1, "s_axil__arready": 1, "s_axil__bvalid": 1, "s_axil__rvalid": 1}
UNDEFINED = {name: "1'bx" for name in (*ANSWERING, "irq")}


@pytest.mark.parametrize("outputs, parameters, verdict", [
    (DEAF, {}, "FAIL: no answer to the read of a register within 50 cycles"),
    (ANSWERING, {}, "FAIL: ID is 0x00000000, expected 0xacce17a2: another accelerator"),
    (ANSWERING | {"s_axil__rresp": 2}, {}, "FAIL: the read of a register is answered with an error, in cycle 1 after reset"),
    ({"irq": "1'bx"}, {}, "FAIL: output irq is undefined in cycle 1 after reset"),
    ({"timeline": "103'bx"}, {}, "FAIL: output timeline is undefined in cycle 1 after reset"),
    ({"m_axi__awaddr": "{1'bz, 31'd0}"}, {"RESET_CYCLES": 7}, "FAIL: output m_axi__awaddr is undefined in cycle 1 after reset"),
    (UNDEFINED, {"CHECK_X": 0}, "FAIL: no answer to the read of a register within 50 cycles"),
    *(({f"m_axi__{channel}valid": 1, f"m_axi__{channel}size": size, f"m_axi__{channel}burst": burst}, {}, BURST)
      for channel in ("ar", "aw") for size, burst in ((2, 1), (3, 0), (3, 2))),
])
def test_what_is_wrong_is_said(tmp_path, outputs, parameters, verdict):
    folder = write(tmp_path / "design", *smallest(NANO), stand_in(**outputs))
    run = icarus(folder, TIMEOUT=50, **parameters)
    code, lines = run()
    assert (code, lines) == (0, [verdict])
    code, lines = run("+stop", stop=True)
    assert code == 1 and lines[0] == verdict


def test_missing_files_are_said(tmp_path):
    run = icarus(write(tmp_path / "design", *smallest(NANO), stand_in()))
    _, lines = run(f"+folder={tmp_path / 'nowhere'}")
    assert lines == [f"FAIL: {tmp_path / 'nowhere'}: the hex files cannot be read; give +folder=DIR"]
    (tmp_path / "design" / EXPECTED).unlink()
    _, lines = run()
    assert lines == [f"FAIL: {tmp_path / 'design'}: the hex files cannot be read; give +folder=DIR"]


# Its main memory alone.

MEMORY_DRIVER = """
module driver;
    reg clk = 0, rst = 1, arvalid = 0, awvalid = 0, wvalid = 0, wlast = 0;
    reg [31:0] araddr = 0, awaddr = 0, cycle = 0;
    reg [7:0] arlen = 0, awlen = 0, wstrb = 0;
    reg [0:0] arid = 0, awid = 0;
    reg [63:0] wdata = 0;
    wire arready, awready, wready, rlast, rvalid, bvalid, unsupported;
    wire [63:0] rdata;
    wire [1:0] rresp, bresp;
    wire [0:0] rid, bid;
    testbench_memory #(.DATA(64), .WORDS(4), .BASE(32'h8000_0040), .LATENCY(6)) memory(
        .clk(clk), .rst(rst), .unsupported(unsupported), .araddr(araddr), .arlen(arlen), .arid(arid), .arsize(3'd3),
        .arburst(2'd1), .arvalid(arvalid), .arready(arready), .rdata(rdata), .rresp(rresp), .rid(rid), .rlast(rlast),
        .rvalid(rvalid), .rready(1'b1), .awaddr(awaddr), .awlen(awlen), .awid(awid), .awsize(3'd3), .awburst(2'd1),
        .awvalid(awvalid), .awready(awready), .wdata(wdata), .wstrb(wstrb), .wlast(wlast), .wvalid(wvalid), .wready(wready),
        .bresp(bresp), .bid(bid), .bvalid(bvalid), .bready(1'b1));
    always #5 clk = !clk;
    always @(posedge clk) begin
        cycle <= cycle + 1;
        if (arvalid && arready) cycle <= 1;
        if (rvalid) $display("read %0d %b %b %h %b", cycle, rid, rresp, rdata, rlast);
        if (bvalid) $display("written %b %b", bid, bresp);
    end
    task write(input [31:0] address, input [0:0] id, input [7:0] strobes);
        begin
            awaddr = address; awlen = 1; awid = id; awvalid = 1; wvalid = 1; wstrb = strobes; wdata = 64'h1122334455667788;
            wlast = 0;
            @(posedge clk) while (!awready) @(posedge clk);
            @(negedge clk) awvalid = 0;
            @(posedge clk) while (!wready) @(posedge clk);
            @(negedge clk) wdata = 64'h99aabbccddeeff00; wlast = 1;
            @(posedge clk) while (!wready) @(posedge clk);
            @(negedge clk) wvalid = 0;
            repeat (3) @(negedge clk);
        end
    endtask
    task read(input [31:0] address, input [7:0] length, input [0:0] id);
        begin
            araddr = address; arlen = length; arid = id; arvalid = 1;
            @(posedge clk) while (!arready) @(posedge clk);
            @(negedge clk) arvalid = 0;
        end
    endtask
    initial begin
        repeat (2) @(negedge clk);
        rst = 0;
        write(32'h8000_0040, 0, 8'hff);
        write(32'h8000_0050, 1, 8'h0f);
        write(32'h8000_0058, 0, 8'hff);
        write(32'h8000_0038, 1, 8'hff);
        read(32'h8000_0040, 1, 1);
        read(32'h8000_0050, 2, 0);
        repeat (16) @(negedge clk);
        read(32'h0000_0040, 0, 1);
        repeat (16) @(negedge clk);
        read(32'h8000_0060, 0, 0);
        repeat (16) @(negedge clk);
        $display("unsupported %b", unsupported);
        $finish(0);
    end
endmodule
"""


def test_main_memory(tmp_path):
    """Strobes, ids, latency, order, and an error answer for each word outside, before and behind, which is not written.

    A read shows: cycles since the address last taken, id, response, data, whether it is the last.
    """
    folder = write(tmp_path / "design", *smallest(NANO), stand_in() + MEMORY_DRIVER)
    assert icarus(folder, top="driver")()[1] == [
        "written 0 00", "written 1 00", "written 0 11", "written 1 11",
        "read 5 1 00 99aabbccddeeff00 0",
        "read 6 1 00 99aabbccddeeff00 1",
        "read 7 0 00 xxxxxxxx55667788 0",
        "read 8 0 00 1122334455667788 0",
        "read 9 0 11 0000000000000000 1",
        "read 6 1 11 0000000000000000 1",
        "read 6 0 11 0000000000000000 1",
        "unsupported 0",
    ]


# Every configuration has an encoder that fits.

@pytest.mark.parametrize("name", PRESETS)
def test_presets_have_an_encoder_of_two_sentences(name):
    config = AcceleratorConfig.load(name)
    program, golden = compile_tiny(config)
    logits = results(program.graph, golden)["logits"]
    assert len(logits) == max(2, config.clusters) and (logits[2:] == logits[1]).all()
    logits = logits[:2]
    assert logits.shape == (2, 3) and len(set(logits.flatten().tolist())) == 6
    assert program.target and program.curves


@pytest.mark.parametrize("fields, output", [
    ({"activation_tiles": 16, "weight_tiles": 16, "vector_lines": 16}, "logits"),
    ({"integer_bits": 1, "fraction_bits": 7}, "logits"),
    ({"tile": 16, "integer_bits": 4, "fraction_bits": 20, "max_inner": 256, "bus_width": 512, "prune_curves": 16}, "logits"),
    ({"functions": ("relu",)}, "layer0.output_norm"),
    ({"functions": ("tanh",)}, "logits"),
])
def test_legal_configurations_have_an_encoder(fields, output):
    program, golden = compile_tiny(AcceleratorConfig.from_dict(NANO.to_dict() | fields))
    assert list(program.outputs) == [output]
    assert float(results(program.graph, golden)[output].std()) > 0.1


def test_a_configuration_without_functions_has_none():
    with pytest.raises(CompileError, match="the configuration has none: add gelu to functions"):
        compile_tiny(AcceleratorConfig.from_dict(NANO.to_dict() | {"functions": ()}))


def test_the_same_every_time(tmp_path):
    first, second = (make_testbench(*compile_tiny(NANO), tmp_path) for _ in range(2))
    assert first == second


def test_names_with_quotes(tmp_path):
    folder = tmp_path / 'a "quoted" back\\slash'
    assert f'FOLDER = "{tmp_path}/a \\"quoted\\" back\\\\slash"' in make_testbench(*smallest(NANO), folder)[TESTBENCH]


# The command.

def verilog_is(monkeypatch, text):
    """Let `generate` write this in place of what it would emit."""
    monkeypatch.setattr("acceltran.hw.generate.Accelerator", lambda config: None)
    monkeypatch.setattr("acceltran.hw.generate.to_verilog", lambda *_: text)


def call(monkeypatch, capsys, *arguments):
    """Run the command; its exit code, output and errors."""
    monkeypatch.setattr(sys, "argv", ["acceltran", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    shown = capsys.readouterr()
    return stop.value.code, shown.out, shown.err


@pytest.fixture
def refuse(tmp_path, monkeypatch, capsys):
    """Run `generate` on bad input: code 2, one line that holds `words`, and nothing written."""
    monkeypatch.chdir(tmp_path)
    make_checkpoint("model", hidden=16, heads=2, layers=1, ffn=16)
    Path("relu.toml").write_text('tile = 8\nlines_per_beat = 1\nfunctions = ["relu"]\n')
    verilog_is(monkeypatch, None)

    def run(arguments, *words):
        before = sorted(tmp_path.rglob("*"))
        code, out, err = call(monkeypatch, capsys, "generate", "-o", "design", *arguments)
        assert (code, out) == (2, ""), (out, err)
        assert err.startswith("error: ") and err.count("\n") == 1 and all(word in err for word in words), err
        assert sorted(tmp_path.rglob("*")) == before

    return run


def test_options_are_refused(refuse):
    nano = ["--config", "nano"]
    for option in (["--model", "model"], ["--text", "w1"], ["--length", "8"], ["--resident"]):
        refuse([*nano, *option], option[0], "--testbench")
    refuse([*nano, "--testbench", "--text", "w1"], "--text", "--model")
    refuse([*nano, "--testbench", "--length", "8"], "--length", "--model")
    refuse([*nano, "--testbench", "--model", "model"], "--model", "--text")
    refuse([*nano, "--testbench", "--model", "model", "--text", " "], "text 1 of 1", "empty")
    refuse([*nano, "--testbench", "--model", "nowhere", "--text", "w1"], "nowhere")
    refuse([*nano, "--testbench", "--model", "model", "--text", "w1 w2 w3", "--length", "4"], "5 tokens", "4")
    refuse(["--config", "relu.toml", "--testbench", "--model", "model", "--text", "w1"], "gelu", "functions")


def test_a_model_and_its_sentences(tmp_path, monkeypatch, capsys):
    """A given model goes into the files: the image and the expected bytes are those of its program."""
    monkeypatch.chdir(tmp_path)
    make_checkpoint("model", hidden=16, heads=2, layers=1, ffn=16)
    verilog_is(monkeypatch, stand_in())
    code, _, err = call(monkeypatch, capsys, "generate", "--config", "nano", "-o", "design", "--testbench", "--model", "model",
                        "--text", "w1 w2", "--text", "w3", "--length", "8", "--resident")
    assert (code, err) == (0, "")
    program, golden = compile_texts(NANO, load_checkpoint("model"), ["w1 w2", "w3"], 8, resident=True)
    assert {name: Path("design", name).read_text() for name in (TESTBENCH, MEMORY, EXPECTED)} == {
        name: text for name, text in make_testbench(program, golden, "design").items() if name != "testbench.f"}
    assert bytes.fromhex("".join(reversed(Path("design", MEMORY).read_text().split())))[::-1] == program.image
