"""Power-up with random contents, and one cycle of reset at any moment: the next run is right in every integer."""

import json
import random

import pytest
import torch

from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.hw.spec.registers import by_name, pack
from acceltran.sim.cocotb_run import run_cocotb
from acceltran.sim.design import build_system
from acceltran.sim.inference import infer
from acceltran.sim.system import read_memory, write_image
from acceltran.sw.compiler import compile_encoder
from acceltran.sw.ir.execute import golden_run, results
from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.sentences import encode_texts
from support.configs import CONFIGS
from support.models import make_checkpoint, random_texts

MEMORY_BITS = 20


@pytest.fixture(params=[pytest.param("nano", marks=pytest.mark.slow), "one_by_two"])
def config(request):
    return CONFIGS.get(request.param) or AcceleratorConfig.load(request.param)


@pytest.fixture
def checkpoint(config, tmp_path):
    return load_checkpoint(make_checkpoint(tmp_path / "model", hidden=16, heads=2, layers=1, ffn=32,
                                           act=config.functions[-1]))


def test_v6_random_power_up(config, checkpoint, tmp_path):
    model = build_system(config, memory_bits=MEMORY_BITS)
    for seed in range(1, 7):
        inference = infer(config, checkpoint, random_texts(2, 5), folder=tmp_path / str(seed), model=model, power_up=seed)
        assert not inference.mismatches


@pytest.mark.parametrize("resets", [40, pytest.param(400, marks=pytest.mark.slow)])
def test_v3_one_cycle_of_reset_at_any_moment(config, checkpoint, resets, tmp_path):
    ids, lengths = encode_texts(checkpoint, random_texts(1, 5))
    program = compile_encoder(checkpoint, config, ids, lengths)
    write_image(program.image, config.bus_width, tmp_path / "image.hex")
    model = build_system(config, memory_bits=MEMORY_BITS)
    rng = random.Random(3)
    moments = [rng.randrange(1, 2500) for _ in range(resets)]
    run = {"address": program.entry, "length": len(program.instructions), "watchdog": 100_000}
    run_cocotb(model, "support.reset_runs", tmp_path, parameters={"moments": moments, "run": run},
               plusargs=["+image=image.hex", "+verilator+rand+reset+2", "+verilator+seed+1"])

    seen = json.loads((tmp_path / "result.json").read_text())
    assert len(seen) == resets
    wanted = results(program.graph, golden_run(program, ids, lengths))
    log = [line.split(" ", 1) for line in (tmp_path / "memory.log").read_text().splitlines()]
    wrong = []
    for moment, shown in zip(moments, seen, strict=True):
        part = tmp_path / "part.log"
        part.write_text("\n".join(f"{when} {rest}" for when, rest in log if shown["from"] <= int(when) <= shown["to"]))
        written = read_memory(part)
        memory = bytes(written.get(program.base + n, 0xA5) for n in range(len(program.image)))
        done = shown["ended"] and shown["status"] == pack(by_name("STATUS"), idle=1, done=1)
        if not (done and all(torch.equal(program.result(name, memory)[1], value) for name, value in wanted.items())):
            wrong.append((moment, shown))
    assert not wrong, f"{len(wrong)} of {resets}: {wrong[:3]}"
