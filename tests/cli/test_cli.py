"""The command: what it writes, and bad input in one line with exit code 2 and nothing half-written."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from acceltran.cli import main as cli
from acceltran.hw.spec.isa import Opcode, encode
from support.models import make_checkpoint
from support.task_models import make_task_model

COMMANDS = ("generate", "run", "disassemble", "compile", "bench", "explore")
SMALL = """
tile = 8
grid_rows = 1
grid_columns = 1
activation_banks = 2
weight_banks = 1
activation_tiles = 512
weight_tiles = 64
vector_lines = 64
bus_width = 64
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A model and a configuration that go together."""
    folder = tmp_path_factory.mktemp("cli")
    make_checkpoint(folder / "model", hidden=16, heads=2, layers=1, ffn=16)
    (folder / "small.toml").write_text(SMALL)
    return folder


@pytest.fixture
def work(made, tmp_path, monkeypatch):
    """A current folder with copies of both."""
    shutil.copytree(made, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture
def call(monkeypatch, capsys):
    """Run the command; its exit code, output and errors."""
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["acceltran", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        shown = capsys.readouterr()
        return stop.value.code, shown.out, shown.err
    return run


@pytest.fixture
def refuse(call, work):
    """Run the command on bad input: code 2, one line that holds `words`, and no file made or changed."""
    def run(arguments, *words):
        before = {path: path.stat().st_mtime_ns for path in work.rglob("*")}
        code, out, err = call(*arguments)
        assert code == 2, (code, out, err)
        lines = [line for line in err.splitlines() if line]
        assert lines[-1].lower().startswith("error: "), err
        assert len(lines) == 1 or lines[0].startswith("Usage: "), err
        assert "Traceback" not in err and not out.strip(), (out, err)
        assert all(word in lines[-1] for word in words), (words, err)
        assert {path: path.stat().st_mtime_ns for path in work.rglob("*")} == before
    return run


def without_verilog(monkeypatch):
    """Let `generate` write a stand-in: what is tested is how, not what."""
    monkeypatch.setattr("acceltran.hw.generate.Accelerator", lambda config: None)
    monkeypatch.setattr("acceltran.hw.generate.to_verilog", lambda *_: "module accelerator(); endmodule\n")


def compile_to(output="program", model="model", config="small.toml", text=("w1 w2 w3",)):
    return ["compile", "--config", config, "--model", model, *(a for t in text for a in ("--text", t)), "-o", output]


def run_with(*options, text="w1 w2 w3"):
    return ["run", "--config", "small.toml", "--model", "model", "--text", text, *options]


def product(m, k, n, config="small.toml"):
    return ["bench", "matmul", "--config", config, "--m", m, "--k", k, "--n", n]


@pytest.mark.parametrize("command", [*COMMANDS, *(f"bench {name}" for name in ("matmul", "model", "orders", "table"))])
def test_help_has_an_example(call, command):
    code, out, err = call(*command.split(), "--help")
    assert (code, err) == (0, "")
    assert f"Example: acceltran {command}" in out or command == "bench" or (
        command == "disassemble" and "acceltran disassemble build" in out)


def test_help_names_commands_and_exit_codes(call):
    code, out, _ = call("--help")
    assert code == 0
    assert all(f"  {command} " in out for command in COMMANDS)
    assert "Exit codes: 0" in out and "acceltran run --text" in out


def test_generate(call, work):
    code, _, err = call("generate", "--config", "small.toml", "-o", "design", "--json", "copy.json")
    assert (code, err) == (0, "")
    manifest = json.loads(Path("design/manifest.json").read_text())
    assert {path.name for path in Path("design").iterdir()} == {"manifest.json", *manifest["files"]}
    assert {"accelerator.v", "acceltran.v", "files.f", "registers.json", "registers.md", "acceltran_registers.h",
            "instructions.md", "acceltran_config.h", "acceltran.xml", "acceltran.sdc", "acceltran.yaml", "registers.rdl",
            "registers.svd", "smoke_testbench.v", "waivers.vlt"} <= set(manifest["files"])
    assert [*Path("design").glob("*.core")] == [Path("design", f"acceltran_{manifest['configuration']['name']}.core")]
    for name, entry in manifest["files"].items():
        assert hashlib.sha256((work / "design" / name).read_bytes()).hexdigest() == entry["sha256"], name
    assert all((work / "design" / line).is_file() for line in Path("design/files.f").read_text().splitlines())
    assert json.loads(Path("copy.json").read_text()) == manifest
    assert manifest["configuration"]["tile"] == 8


def test_generate_replaces_a_design_as_a_whole(call, work, monkeypatch):
    without_verilog(monkeypatch)
    Path("design").mkdir()
    for name in ("stale", "manifest.json"):
        Path("design", name).write_text("")
    assert call("generate", "--config", "small.toml", "-o", "design")[0] == 0
    assert not Path("design/stale").exists()
    assert json.loads(Path("design/manifest.json").read_text())["files"]["accelerator.v"]["lines"] == 1
    assert [path.name for path in work.iterdir() if path.name.startswith(".")] == []


def test_compile_and_disassemble(call, work):
    code, out, err = call(*compile_to(text=("w1 w2 w3", "w4")))
    assert (code, err) == (0, "")
    assert {path.name for path in Path("program").iterdir()} == {"program.bin", "image.bin", "results.bin",
                                                                 "manifest.json", "model.h"}
    count = len(Path("program/program.bin").read_bytes()) // 64
    assert f"{count} instructions" in out
    for argument in ("program", "program/program.bin"):
        code, out, err = call("disassemble", argument)
        assert (code, err) == (0, "")
        lines = out.splitlines()
        assert len(lines) == count and lines[-1].split()[2] == "HALT"
        assert {"GATHER", "MATMUL", "SOFTMAX", "LAYERNORM", "STORE"} <= {line.split()[2] for line in lines}


def test_compile_buckets(call, work):
    arguments = ["compile", "--config", "small.toml", "--model", "model", "--buckets", "16,8,15", "--base", "0x80001000"]
    code, out, err = call(*arguments, "--text", "w1 w2 w3 w4 w5 w6 w7 w8", "-o", "program", "--json", "compiled.json")
    assert code == 0 and "program: 2 programs, image of " in out and "up to 8 tokens: " in out, err
    manifest = json.loads((work / "program" / "manifest.json").read_text())
    assert manifest == json.loads((work / "compiled.json").read_text()) and manifest["base"] == 0x80001000
    assert [len(one["expected"]["answers"]["sentences"][0]["ids"]) for one in manifest["buckets"]] == [8, 10]
    code, out, err = call("disassemble", "program")
    assert code == 2 and "give one of program-16.bin, program-8.bin" in err
    assert call("disassemble", "program/program-8.bin")[0] == 0
    assert call(*arguments, "-o", "again")[0] == 0


def test_buckets_that_cannot_be_are_refused(refuse, work):
    make_task_model(work / "masks", "fill-mask")
    make_task_model(work / "questions", "question-answering")
    arguments = ["compile", "--config", "small.toml", "--model", "model", "-o", "program", "--buckets"]
    refuse([*arguments, "8,x"], "--buckets 8,x", "numbers of tokens")
    refuse([*arguments, "0"], "--buckets 0")
    refuse([*arguments, "40"], "40 tokens", "max_position_embeddings is 32")
    refuse([*arguments, "8", "--text", "w1", "--text", "w2"], "2 --text", "give one")
    refuse([*arguments, "8", "--text", "w1", "--text-pair", "w2"], "--text-pair and --buckets", "leave --text-pair out")
    refuse([*arguments, "8", "--length", "8"], "--length and --buckets")
    refuse([*arguments, "8", "--base", "0x80000800"], "base = 0x80000800", "choose 0x80000000")
    refuse([*arguments, "8", "--base", "top"], "--base top", "0x80000000")
    for model, what in (("masks", "places of the masks"), ("questions", "of the question")):
        refuse([*arguments, "8", "--model", model], "--buckets", what, "compile each without --buckets")


def test_generate_observes_when_asked(call, work, monkeypatch):
    without_verilog(monkeypatch)
    for options in ([], ["--observe"]):
        assert call("generate", "--config", "small.toml", "-o", "design", *options)[0] == 0
        for name in ("acceltran.v", "acceltran.xml", "acceltran.sdc"):
            assert (" timeline" in Path("design", name).read_text().replace(">", " ")) == bool(options), name


def test_texts_from_a_file(call, work):
    Path("texts.txt").write_text("w1 w2\n\n  w3  \n")
    arguments = ["--config", "small.toml", "--model", "model"]
    assert call("compile", *arguments, "--file", "texts.txt", "-o", "a")[0] == 0
    assert call("compile", *arguments, "--text", "w1 w2", "--text", "w3", "-o", "b")[0] == 0
    assert Path("a/image.bin").read_bytes() == Path("b/image.bin").read_bytes()


def test_bad_models(refuse, work):
    refuse(compile_to(model="nowhere"), "nowhere", "no such folder")
    (work / "odd").write_text("")
    refuse(compile_to(model="odd"), "odd")
    for name, words in (("config.json", "missing"), ("model.safetensors", "no weights"), ("tokenizer.json", "no vocab.txt")):
        shutil.copytree("model", f"without_{name}")
        Path(f"without_{name}", name).unlink()
        refuse(compile_to(model=f"without_{name}"), name, words)
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        shutil.copytree("model", f"cut_{name}")
        raw = Path("model", name).read_bytes()
        Path(f"cut_{name}", name).write_bytes(raw[: len(raw) // 2])
        refuse(compile_to(model=f"cut_{name}"), name)
        Path(f"cut_{name}", name).write_bytes(b"\xff\xfe\x00" * 10)
        refuse(compile_to(model=f"cut_{name}"), name)
        refuse([*run_with()[:3], "--model", f"cut_{name}", "--text", "w1"], name)
    refuse(["bench", "table", "--model", "nowhere", "-o", "b.md", "--results", "r.json"], "nowhere")


def test_models_that_do_not_fit(refuse, work):
    make_checkpoint("narrow", hidden=24, heads=2, layers=1, ffn=16)
    refuse(compile_to(model="narrow"), "12", "tile")
    config = json.loads(Path("model/config.json").read_text())
    Path("model/config.json").write_text(json.dumps(config | {"hidden_act": "mish"}))
    refuse(compile_to(), "mish", "gelu")
    Path("model/config.json").write_text(json.dumps(config))
    Path("relu.toml").write_text(SMALL + 'functions = ["relu"]\n')
    refuse(compile_to(config="relu.toml"), "gelu", "functions")
    make_checkpoint("wide", hidden=64, heads=2, layers=1, ffn=256)
    for field, value in (("activation_tiles", 16), ("weight_tiles", 16), ("vector_lines", 16)):
        Path("tight.toml").write_text("".join(
            f"{field} = {value}\n" if line.startswith(field) else f"{line}\n" for line in SMALL.splitlines()))
        refuse(compile_to(config="tight.toml", model="wide"), field)
    refuse([*compile_to(), "--layers", "2"], "2", "layer")


def test_bad_texts(refuse, work):
    refuse(compile_to(text=()), "--text", "--file")
    refuse(compile_to(text=("w1", " ")), "text 2", "empty")
    refuse(compile_to(text=("w1 " * 31,)), "33 tokens", "32")
    refuse([*compile_to(), "--length", "4"], "5 tokens", "4")
    refuse([*compile_to(), "--length", "33"], "33")
    refuse([*compile_to(), "--length", "1"], "length")
    refuse(run_with(text=""), "empty")
    Path("texts.txt").write_text("w1\n")
    refuse([*compile_to(), "--file", "texts.txt"], "--text", "--file")
    refuse([*compile_to(text=()), "--file", "nowhere.txt"], "nowhere.txt")
    refuse([*compile_to(text=()), "--file", "model"], "model")
    Path("binary.txt").write_bytes(b"\xff\xfe\x80")
    refuse([*compile_to(text=()), "--file", "binary.txt"], "binary.txt")
    Path("blank.txt").write_text("\n \n")
    refuse([*compile_to(text=()), "--file", "blank.txt"], "no sentence")


def test_bad_configurations(refuse, work):
    def config(text):
        Path("bad.toml").write_text(text)
        return "bad.toml"

    for command in (["generate", "-o", "design", "--config"], [*compile_to(), "--config"], [*run_with(), "--config"]):
        refuse([*command, "nanoo"], "nanoo", "nano", "mini")
        refuse([*command, config("grid_rovs = 2")], "grid_rovs", "grid_rows")
        refuse([*command, config("tile = ")], "bad.toml", "TOML")
        refuse([*command, config("tile = 12")], "tile = 12", "8, 16")
        refuse([*command, config('tile = "8"')], "tile")
        refuse([*command, config("weight_banks = 1\ngrid_columns = 2")], "weight_banks")
        refuse([*command, config('b_memory = "ram"\nlines_per_beat = 4')], "b_memory", "lines_per_beat = 4 to 1")
        refuse([*command, "."], "'.'")
    Path("binary.toml").write_bytes(b"\xff\xfe\x80")
    refuse(["generate", "-o", "design", "--config", "binary.toml"], "binary.toml")
    refuse([*compile_to(), "--config", ""], "config")


def test_bad_options(refuse, work):
    refuse([*compile_to(), "--order", "bijj"], "bijj", "bijk")
    refuse(run_with("--order", "xyz"), "xyz")
    refuse(run_with("--skip", "some"), "skip", "some", "both")
    refuse(run_with("--tau", "-1"), "tau")
    refuse(run_with("--tau", "nan"), "tau")
    refuse(run_with("--tau", "0.1", "--target-sparsity", "0.5"), "tau", "target")
    refuse(run_with("--target-sparsity", "1.5"), "target-sparsity")
    refuse(run_with("--target-sparsity", "nan"), "sparsity")
    for value, remedy in (("nan", "0.5"), ("1.5", "0.99"), ("half", "2:4"), ("5:4", "up to M"), ("0:4", "at least 1"),
                          ("2:3", "divides 16"), ("2:4:8", "N:M"), ("4:16", "divides 8, such as 4:8")):
        refuse(run_with("--weight-sparsity", value), f"weight_sparsity = {value}", remedy)
        refuse([*compile_to(), "--weight-sparsity", value], f"weight_sparsity = {value}", remedy)
    refuse(run_with("--layers", "0"), "layers")
    refuse(run_with("--nonsense"), "--nonsense")
    refuse(["nonsense"], "nonsense")
    refuse(["bench", "nonsense"], "nonsense")
    refuse(["bench", "model", "--text", "w1", "--batch", "2", "--config", "small.toml", "--model", "model"], "--batch")
    refuse(["bench", "table", "--only", "nonsense", "--model", "model", "--results", "r.json"], "nonsense", "orders")


def test_bad_products(refuse, work):
    refuse(product(0, 8, 8), "--m")
    refuse(product(8, 8, 8, "nowhere"), "nowhere")
    refuse(product(800, 800, 8), "activation_tiles = 512", "lower")
    refuse(product(8, 64, 80), "n = 80", "weight_tiles = 64", "lower")
    refuse(product(8, 8192, 8), "k = 8192", "max_inner = 4096", "lower")
    refuse([*product(8, 8, 8), "--order", "bijj"], "bijj", "bijk")
    refuse([*product(8, 8, 8), "--skip", "some"], "skip", "some")
    refuse([*product(8, 8, 8), "--act-sparsity", "1.5"], "act-sparsity")
    refuse([*product(8, 8, 8), "--weight-sparsity", "nan"], "sparsity")
    refuse([*product(8, 8, 8), "--weight-sparsity", "4:16"], "weight_sparsity = 4:16", "divides 8")
    refuse([*product(8, 8, 8), "--b-from", "vector"], "vector", "activation")
    refuse(["compile", "--text", "w1"], "--output")


def test_bad_outputs(refuse, work, monkeypatch):
    without_verilog(monkeypatch)
    Path("full").mkdir()
    Path("full/letter.txt").write_text("dear")
    refuse(["generate", "--config", "small.toml", "-o", "full"], "full", "other files")
    refuse(["generate", "--config", "small.toml", "-o", "small.toml"], "small.toml")
    refuse(["generate", "--config", "small.toml", "-o", "design", "--json", "nowhere/a.json"], "nowhere", "folder")
    refuse(["generate", "--config", "small.toml", "-o", "small.toml/design"], "small.toml")
    refuse(compile_to(output="small.toml"), "small.toml")
    for option in ("--json", "--trace", "--waves", "--report"):
        refuse(run_with(option, "nowhere/file"), "nowhere", "folder")
        refuse(run_with(option, "model"), "model", "folder")
    refuse([*product(8, 8, 8), "--json", "nowhere/a.json"], "nowhere", "folder")
    refuse(["bench", "table", "--model", "model", "-o", "model"], "model", "folder")


def test_bad_programs(refuse, work):
    refuse(["disassemble", "nowhere"], "nowhere")
    refuse(["disassemble", "model"], "program.bin")
    refuse(["disassemble", "small.toml"], "small.toml")
    Path("odd.bin").write_bytes(encode(Opcode.HALT) + b"\1")
    refuse(["disassemble", "odd.bin"], "odd.bin", "64 bytes")
    Path("engine.bin").write_bytes(encode(Opcode.SYNC, engine=3) + encode(Opcode.HALT))
    refuse(["disassemble", "engine.bin"], "engine.bin")
    Path("empty.bin").write_bytes(b"")
    refuse(["disassemble", "empty.bin"], "empty.bin")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_folder_without_permission(refuse, work):
    Path("locked").mkdir(mode=0o500)
    refuse(["generate", "--config", "small.toml", "-o", "locked/design"], "locked")
    refuse(compile_to(output="locked/program"), "locked")


def test_as_a_process(work):
    """The module's entry point, and what a closed pipe and an error look like from outside."""
    command = [sys.executable, "-m", "acceltran.cli.main"]
    bad = subprocess.run([*command, "generate", "--config", "nanoo"], capture_output=True, text=True, check=False)
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr.startswith("error: config = 'nanoo'") and bad.stderr.count("\n") == 1
