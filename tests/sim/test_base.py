"""Images that lie elsewhere than at address 0: the whole accelerator, with narrow and wide addresses."""

from dataclasses import replace

import pytest

from acceltran.sim.inference import run_program, seen_outputs
from acceltran.sim.system import simulate
from acceltran.sw.compiler import CompileError, compile_buckets, compile_quantised, quantise_encoder
from acceltran.sw.ir.execute import execute
from acceltran.sw.models.tiny_encoder import random_texts, tiny_encoder
from support.configs import CONFIGS

CONFIG = CONFIGS["one_pe"]
MEMORY_BITS = 20


def made(config):
    checkpoint, _ = tiny_encoder(config, heads=1, words=(4,))
    return quantise_encoder(checkpoint, config, target_sparsity=0.25, calibration_texts=random_texts(2, 5, 32))


@pytest.mark.parametrize(("bits", "bases"), [
    (32, (0x8000_0000, 0xFFF0_0000)), pytest.param(64, (0, 0x8000_0000, (5 << 32) + 0x7000_0000), marks=pytest.mark.slow)])
def test_buckets_run_at_any_base(bits, bases, tmp_path):
    """With a preload; a sentence that is shorter than its bucket."""
    config = replace(CONFIG, address_bits=bits)
    encoder = made(config)
    for base in bases:
        programs = compile_buckets(encoder, config, {8: [2, 9, 10, 3], 16: [2, *range(5, 15), 3]}, resident=True, base=base)
        for program in programs:
            run = run_program(program, folder=tmp_path / f"{base:x}-{program.bucket.tokens}", memory_bits=MEMORY_BITS)
            length = program.graph.lengths[0]
            golden = execute(encoder.build_graph([length], program.bucket.tokens, full=True),
                             [[2, 9, 10, 3] if length == 4 else [2, *range(5, 15), 3]])
            for name, (integers, _) in seen_outputs(program, run).items():
                assert (integers == golden[program.outputs[name]["tensor"]][: len(integers)]).all()
            written = [address for address in run.memory if not base <= address < base + len(program.image)]
            assert run.memory and not written


def test_memory_answers_at_its_base_only(tmp_path):
    """A program that begins beyond the end of memory, or beyond all addresses, where the bus is not asked."""
    base = 0x8000_0000
    for address, error in ((1 << MEMORY_BITS, "FETCH_BUS"), (0x7FFF_F000, "FETCH_BUS"), (0x8000_0000, "FETCH_WINDOW")):
        run = simulate(CONFIG, bytes(4096), base=base, program_address=address, program_length=1,
                       folder=tmp_path / f"{address:x}", memory_bits=MEMORY_BITS)
        assert run.error == f"{error} in instruction 0 (control)"
    run = simulate(CONFIG, bytes(4096), base=base, program_address=0, program_length=1, folder=tmp_path / "inside",
                   memory_bits=MEMORY_BITS)
    assert run.error == "ILLEGAL_OPCODE in instruction 0 (control)"


def test_a_base_that_cannot_be_is_refused():
    encoder = made(CONFIG)
    for base, message in (
        (0x8000_0800, "base = 0x80000800: is no multiple of 4,096; choose 0x80000000"), (-4096, "is no multiple"),
        ((1 << 32) - 4096, "ends beyond addresses of 32 bits; choose 0xfff"), (1 << 32, "ends beyond addresses of 32 bits"),
    ):
        with pytest.raises(CompileError, match=message):
            compile_quantised(encoder, CONFIG, [[2, 3]], [2], base=base)
