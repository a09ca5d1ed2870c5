"""Thresholds per site on the RTL: one program, one register, three operating points, every integer of every tensor."""

from dataclasses import replace

from acceltran.cli.evaluate.sites import site_names
from acceltran.sim.design import build_system
from acceltran.sim.inference import compare_tensors
from acceltran.sim.system import simulate
from acceltran.sw.compiler import compile_encoder
from acceltran.sw.ir.counts import multiplication_counts
from acceltran.sw.ir.execute import execute
from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.sentences import encode_texts
from support.configs import CONFIGS
from support.models import make_checkpoint, random_texts


def test_three_operating_points_of_one_program(tmp_path):
    config = CONFIGS["four_pes"]
    checkpoint = load_checkpoint(make_checkpoint(tmp_path / "model", hidden=16, heads=2, ffn=20))
    ids, lengths = encode_texts(checkpoint, random_texts(2, 11))
    taus = {}
    for n, site in enumerate(site_names(checkpoint)):
        top = (0.1 if site.endswith("probabilities") else 0.6) * (1 + 0.1 * n)
        taus[site] = tuple(top * max(0, knot - n % 4) / 8 for knot in range(9))
    program = compile_encoder(checkpoint, config, ids, lengths, site_taus=taus, target_sparsity=0.0)
    assert len({tuple(knots) for knots in program.curves}) > 8
    model, done = build_system(config, memory_bits=20), []
    for target in (0, 100, 256):
        graph = replace(program.graph, target=target)
        golden = execute(graph, ids)
        run = simulate(config, program.image, program_address=program.entry, program_length=len(program.instructions),
                       folder=tmp_path / str(target), curves=program.curves, target=target, model=model)
        assert run.error is None
        assert not compare_tensors(config, program, run, golden)
        counts = multiplication_counts(graph, golden)["total"]
        assert run.counters["multiplications"] == counts.both
        done.append((counts.both, run.counters["cycles"]))
    assert done[0][0] > 1.2 * done[1][0] > 1.2 * 1.2 * done[2][0]
    assert done[0][1] > done[2][1]
