"""Simulated main memory: as large as the image, the same build for small ones, and what the machine holds at most."""

import json
import os
import subprocess
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.sim import system
from acceltran.sim.design import SIMULATION_SOURCES, system_verilog
from acceltran.sim.inference import infer, report
from acceltran.sim.system import largest_memory, memory_bits_for, simulate, write_image
from acceltran.sim.verilator import toolchain
from acceltran.sw.models.checkpoint import load_checkpoint
from support.configs import CONFIGS
from support.models import make_checkpoint, random_texts

NANO = AcceleratorConfig.load("nano")


class Stop(Exception):  # noqa: N818 (no error: it ends a test's run where the build would begin)
    """In place of a build."""


@pytest.mark.parametrize(("size", "bits"), [
    (1, 27), (1 << 20, 27), (1 << 27, 27), ((1 << 27) + 1, 28), (300_000_000, 29), (1 << 31, 31), (1 << 32, 32)])
def test_m12_memory_is_as_large_as_the_image(size, bits):
    assert memory_bits_for(size) == bits


def test_m12_the_build_is_that_of_the_image(monkeypatch, tmp_path):
    asked = []

    def build(config, *, memory_bits, **options):
        asked.append(memory_bits)
        raise Stop

    monkeypatch.setattr(system, "build_system", build)
    for image, given in ((bytes(64), {}), (bytes((1 << 27) + 64), {}), (bytes(64), {"memory_bits": 20})):
        with pytest.raises(Stop):
            simulate(NANO, image, program_address=0, program_length=1, folder=tmp_path, **given)
    assert asked == [27, 28, 20]


def test_m12_a_model_of_the_caller_is_built_for_the_image(tmp_path):
    """As `power` builds one that counts toggles."""
    def build(*, memory_bits):
        assert memory_bits == 28
        raise Stop

    with pytest.raises(Stop):
        simulate(NANO, bytes((1 << 27) + 1), program_address=0, program_length=1, folder=tmp_path, model=build)


def test_m12_sizes_beyond_plain_numbers_of_verilog():
    """32-bit signed: 1 << 31 would be negative, 1 << 32 nothing."""
    for bits, text in ((27, "1 << 27"), (30, "1 << 30"), (31, "64'd1 << 31"), (32, "64'd1 << 32")):
        assert f".BYTES({text})" in system_verilog(CONFIGS["one_pe"], memory_bits=bits)


@pytest.mark.parametrize(("held", "bus", "largest"), [
    (23 << 30, 128, 1 << 32), (5 << 30, 512, 1 << 32), (3 << 30, 128, 1 << 31), (1000 << 20, 64, 1 << 29),
    (23 << 30, 64, 1 << 31)])
def test_m12_what_the_machine_holds(monkeypatch, held, bus, largest):
    pages = {"SC_PHYS_PAGES": held // 4096, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(os, "sysconf", pages.__getitem__)
    assert largest_memory(replace(NANO, bus_width=bus)) == largest


@pytest.mark.parametrize("bus", [64, 128, 512])
def test_m12_verilator_takes_the_largest_memory(monkeypatch, bus, tmp_path):
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 1 << 30, "SC_PAGE_SIZE": 4096}.__getitem__)
    config = replace(NANO, bus_width=bus)
    bits = memory_bits_for(largest_memory(config))
    sources = [path for path in SIMULATION_SOURCES if path.name in ("acceltran_memory.v", "acceltran_read_channel.v")]

    def lint(bits):
        command = ["verilator", "--lint-only", "-Wno-fatal", "--top-module", "acceltran_memory", f"-GDATA={bus}",
                   f"-GBYTES=64'd{1 << bits}", *map(str, sources)]
        return subprocess.run(command, env=toolchain(), capture_output=True, text=True, check=False)

    result = lint(bits)
    assert result.returncode == 0 and "Error" not in result.stderr, result.stderr
    if bits < 32:
        assert lint(bits + 1).returncode, "then it is not the largest"


@pytest.mark.parametrize("size", [1, 8, 61, 64, 200])
def test_an_image_is_written_word_by_word(tmp_path, monkeypatch, size):
    monkeypatch.setattr(system, "WORDS_AT_ONCE", 3)
    image = bytes(range(1, size + 1))
    write_image(image, 64, tmp_path / "image.hex")
    words = (tmp_path / "image.hex").read_text().split()
    assert len(words) == -(-size // 8) and {len(word) for word in words} == {16}
    assert b"".join(bytes.fromhex(word)[::-1] for word in words) == image + bytes(-size % 8)


@pytest.mark.slow
def test_m12_an_image_beyond_128_mib_runs(tmp_path):
    """A tiny encoder with the word table of a large one: its last rows lie beyond 2 ** 27."""
    folder, rows = make_checkpoint(tmp_path / "model", hidden=16, heads=1, layers=1, ffn=16), 3_500_000
    tensors = load_file(folder / "model.safetensors")
    name = "bert.embeddings.word_embeddings.weight"
    table = torch.zeros(rows, 16, dtype=torch.float16)
    table[-64:] = tensors[name]
    save_file({key: value.half() for key, value in tensors.items()} | {name: table}, folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": rows}))
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    shift = {word: rows - 64 + number for word, number in vocabulary.items()}
    tokenizer["model"]["vocab"] = shift
    for token in tokenizer["added_tokens"]:
        token["id"] = shift[token["content"]]
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    inference = infer(CONFIGS["one_pe"], load_checkpoint(folder), random_texts(1, 5), folder=tmp_path / "run")
    assert len(inference.program.image) > 1 << 27
    assert inference.program.sections["tables"][0] + rows * 40 > 1 << 27
    values = report(inference)
    assert not inference.mismatches and values["predictions"][0]["logits"] == inference.golden_outputs["logits"][0].tolist()
    assert max(abs(x) for x in values["predictions"][0]["logits"]) > 0.01
