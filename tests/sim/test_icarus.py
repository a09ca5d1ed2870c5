"""A whole system under cocotb on Icarus: the harness of the other tests, in four states."""

import torch

from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.sim.design import SIMULATION_SOURCES, system_verilog
from acceltran.sim.icarus import build_icarus
from acceltran.sim.system import simulate
from acceltran.sim.testbench import compile_texts
from acceltran.sw.ir.execute import results
from acceltran.sw.models.tiny_encoder import TINY_SHAPES, tiny_encoder
from support.tools import tool


def test_v2_cocotb_on_icarus(tmp_path):
    tool("iverilog")
    config = AcceleratorConfig.load("nano")
    program, golden = compile_texts(config, *tiny_encoder(config, **TINY_SHAPES[-1]))
    sources = [path for path in SIMULATION_SOURCES if path.stem != "acceltran_sram_log"]  # Icarus knows no `bind`.
    model = build_icarus(system_verilog(config, memory_bits=20), "system", sources=sources)
    run = simulate(config, program.image, program_address=program.entry, program_length=len(program.instructions),
                   folder=tmp_path, log_activations=False, timeout=20_000, model=model)
    assert run.error is None and run.counters["cycles"] > 500
    memory = run.memory_bytes(program.base, len(program.image))
    for name, wanted in results(program.graph, golden).items():
        assert torch.equal(program.result(name, memory)[1], wanted)
