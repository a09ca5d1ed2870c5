"""`acceltran run --program`: what compile saved runs without the model, is compared, and is refused where it does not fit."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from acceltran.cli import main as cli
from acceltran.cli import saved_run
from acceltran.sw.compiler import load_program, load_programs, save_programs
from acceltran.sw.compiler.saved import FORMAT
from support.configs import CONFIGS
from support.models import make_checkpoint, random_texts

pytestmark = pytest.mark.builds

TEXTS = random_texts(2, 9)
CONFIG = CONFIGS["one_pe"]
TIMES = {"build_seconds", "simulation_seconds", "cycles_per_second"}


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """`acceltran` with some arguments in an own folder, on the simulator of other tests; exit code, output, errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("acceltran.sim.system.memory_bits_for", lambda size: 20)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["acceltran", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        shown = capsys.readouterr()
        return stop.value.code or 0, shown.out, shown.err

    return call


@pytest.fixture
def inputs(tmp_path):
    """Options that name a small model and the configuration."""
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in CONFIG.to_dict().items()}
    (tmp_path / "small.toml").write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items()))
    model = make_checkpoint(tmp_path / "model", hidden=16, heads=1, layers=1, ffn=16)
    return ["--config", tmp_path / "small.toml", "--model", model]


def timeless(values):
    """A report without what differs from run to run."""
    if not isinstance(values, dict | list):
        return values
    if isinstance(values, list):
        return [timeless(value) for value in values]
    return {name: timeless(value) for name, value in values.items() if name not in TIMES}


def test_the_report_is_that_of_run(call, inputs, tmp_path):
    """Of a batch, without the model, with a timeline; then with a changed weight, of which the checksum is right."""
    texts = [option for text in TEXTS for option in ("--text", text)]
    assert call("run", *inputs, *texts, "--tau", 0.05, "--json", "run.json")[0] == 0
    assert call("compile", *inputs, *texts, "--tau", 0.05, "-o", "program")[0] == 0
    shutil.rmtree("model")
    code, out, err = call("run", "--program", "program", "--json", "saved.json", "--trace", "trace.json", "--report",
                          "saved.html")
    assert code == 0 and "intermediate tensors equal" in out and TEXTS[1] in out, err
    run, saved = (json.loads(Path(f"{name}.json").read_text()) for name in ("run", "saved"))
    assert saved.pop("compared_by") == "hashes"
    assert timeless(saved) == timeless(run) and saved["sentences"] == 2
    assert json.loads(Path("trace.json").read_text())["traceEvents"]
    page = Path("saved.html").read_text()
    assert "Every tensor has the hash that was saved" in page and TEXTS[1] in page and "Zeros by kind" in page
    assert "layer0.query" in page and "Zeros of each tensor" not in page and "2 sentences of up to" in page
    slow = json.loads(Path("saved.json").read_text())["cycles"]
    assert call("run", "--program", "program", "--latency", 1, "--json", "saved.json")[0] == 0
    assert json.loads(Path("saved.json").read_text())["cycles"] < slow

    program = load_program("program")
    image, at = bytearray(program.image), program.sections["weights"][0] + CONFIG.mask_bits // 8
    image[at + 1] ^= 0xFF
    save_programs([replace(program, image=bytes(image))], "changed")
    code, out, _ = call("run", "--program", "changed", "--json", "changed.json")
    values = json.loads(Path("changed.json").read_text())
    assert code == 1 and "at least" in out and "integers differ" in out
    assert "layer0.query" in " ".join(values["mismatched_tensors"]) and "logits (main memory)" in values["mismatched_tensors"]
    assert values["mismatches"] == sum(values["mismatched_tensors"].values())
    assert all(f"  {name}: " in out for name in values["mismatched_tensors"])


def test_resident_programs_run_their_preload(call, inputs):
    assert call("compile", *inputs, "--text", TEXTS[0], "--resident", "-o", "program")[0] == 0
    assert load_program("program").preload
    code, out, err = call("run", "--program", "program")
    assert code == 0 and "intermediate tensors equal" in out, err


def test_programs_of_buckets_run_all_or_one(call, inputs):
    """With the built-in sentence; a recording shows one of them."""
    assert call("compile", *inputs, "--buckets", "16,7", "-o", "program")[0] == 0
    assert [program.bucket.tokens for program in load_programs("program")] == [8, 16]
    for options, count in (([], 2), (["--length", 8], 1), (["--length", 9, "--trace", "trace.json"], 1)):
        code, out, err = call("run", "--program", "program", *options, "--json", "run.json", "--report", "run.html")
        values = json.loads(Path("run.json").read_text())
        assert code == 0 and values["mismatches"] == 0 and len(values["predictions"]) == len(values["batches"]) == count, err
        assert ("One of 2 batches is shown" in Path("run.html").read_text()) == (count == 2)
    assert Path("trace.json").exists()
    for options, message in ((["--length", 17], "has 17 tokens, and the longest bucket 16"),
                             (["--waves", "waves.fst"], "--waves: shows one program, and program holds those for up to 8, 16"),
                             (["--base", "4097"], "base = 0x1001: is no multiple of 4,096; choose 0x1000"),
                             (["--base", "here"], "--base here: give an address, such as 0x80000000")):
        code, out, err = call("run", "--program", "program", *options)
        assert code == 2 and not out and message in err and err.count("\n") == 1, err


@pytest.mark.slow
def test_waves(call, inputs):
    assert call("compile", *inputs, "--text", TEXTS[0], "-o", "program")[0] == 0
    if subprocess.run(["g++", "-E", "-x", "c++", "-"], input="#include <lz4.h>", text=True, capture_output=True).returncode:
        code, _, err = call("run", "--program", "program", "--waves", "waves.fst")
        assert code == 1 and "apt-get install liblz4-dev" in err
        return
    assert call("run", "--program", "program", "--waves", "waves.fst")[0] == 0
    assert Path("waves.fst").stat().st_size > 10_000


def test_waves_are_asked_for_and_kept(call, compiled, monkeypatch):
    """What the simulation recorded, without a simulation."""
    def pretend(program, *, folder, waves, activity, **_):
        assert waves and not activity
        (folder / "dump.fst").write_text("waves")
        return {"sentences": 1}, SimpleNamespace(folder=folder)

    monkeypatch.setattr(saved_run, "run_saved", pretend)
    monkeypatch.setattr(saved_run, "combine", lambda reports: reports[0])
    monkeypatch.setattr(saved_run, "finish_run", lambda values, inputs, json_path, **_: 0)
    assert call("run", "--program", compiled, "--waves", "waves.fst")[0] == 0
    assert Path("waves.fst").read_text() == "waves"


@pytest.fixture
def compiled(call, inputs):
    call("compile", *inputs, "--text", TEXTS[0], "-o", "program")
    return Path("program")


def test_options_without_effect_are_refused(call, compiled, inputs):
    for options, named in (
        (["--text", "w1"], "--text: has no effect"), (["--tau", 0.1, "--layers", 1], "--layers, --tau: have no effect"),
        (inputs, "--config, --model: have"), (["--no-overlap"], "--no-overlap: has"), (["--resident"], "--resident: has"),
        (["--strict", "--encoding", "latin-1"], "--encoding, --strict: have"), (["-c", "mini"], "--config: has"),
    ):
        code, out, err = call("run", "--program", compiled, *options)
        assert code == 2 and not out and err.count("\n") == 1, err
        assert err.startswith("error: ") and set(named.split(": ")[0].split(", ")) == set(err.split(": ")[1].split(", ")), err
        assert named.split(": ")[1] in err and "compile again" in err


def test_another_folder_is_refused(call, compiled, monkeypatch):
    def refused(message):
        code, out, err = call("run", "--program", compiled)
        assert code == 2 and not out and err.count("\n") == 1 and message in err, err

    whole = (compiled / "manifest.json").read_text()
    (compiled / "manifest.json").write_text(whole.replace(f'"format": {FORMAT}', '"format": 0'))
    refused(f"a program of format 0, and this version reads {FORMAT}: compile the program again")
    (compiled / "manifest.json").write_text(whole)
    raw = (compiled / "image.bin").read_bytes()
    (compiled / "image.bin").write_bytes(raw[:100] + b"\1" + raw[101:])
    refused("image.bin: does not belong to manifest.json")
    (compiled / "image.bin").write_bytes(raw)
    save_programs([replace(load_program(compiled), expected=None)], compiled)
    refused("saved without the results that it must give")
    for name in ("manifest.json", "program.bin"):
        (compiled / name).unlink()
        refused("No such file or directory")


def test_an_image_for_a_larger_machine_is_refused(call, compiled, monkeypatch):
    monkeypatch.setattr("acceltran.sim.saved_run.largest_memory", lambda config: 4096)
    code, _, err = call("run", "--program", compiled)
    assert code == 2 and "this machine simulates a main memory of 4,096" in err and err.count("\n") == 1
