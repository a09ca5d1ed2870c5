"""Several memory ports on the whole accelerator: encoders with stalls on each, errors of each, resets with traffic on all."""

import random
from dataclasses import replace

import pytest

from acceltran.hw.spec.error_codes import ErrorCode, ErrorSource
from acceltran.hw.spec.isa import Buffer, Opcode
from acceltran.sim.inference import compare_tensors, run_program
from acceltran.sim.testbench import compile_texts
from acceltran.sw.estimate.estimate import estimate
from acceltran.sw.models.checkpoint import load_checkpoint
from support.axi_monitor import check_monitored
from support.changed_programs import MEMORY_END, monitored_system, play, with_other
from support.configs import CONFIGS
from support.models import make_checkpoint, random_texts

END = MEMORY_END
PORTS = {2: replace(CONFIGS["one_pe"], name="two_ports", weight_banks=2, memory_ports=2, outstanding_reads=2),
         8: replace(CONFIGS["four_pes"], name="eight_ports", weight_banks=8, memory_ports=8)}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A program of PORTS[2], and its tensors."""
    return compiled(PORTS[2], tmp_path_factory.mktemp("encoder"), 0)


def compiled(config, folder, seed, **options):
    rng = random.Random(seed)
    heads = rng.randint(1, 2)
    checkpoint = load_checkpoint(make_checkpoint(
        folder / "model", hidden=config.tile * heads * rng.randint(1, 2), heads=heads, layers=rng.randint(1, 2),
        ffn=rng.choice([8, 20, 32]), act=rng.choice(config.functions), seed=seed))
    texts = [" ".join(random_texts(1, rng.randint(2, 20), seed=rng.randrange(1000))) for _ in range(rng.randint(1, 2))]
    return compile_texts(config, checkpoint, texts, weight_sparsity=rng.choice([0.0, 0.5]), **options)


def loads_of(program):
    """(number, fields) of the LOADs to the weight buffer."""
    return [(number, fields) for number, (opcode, fields) in enumerate(program.instructions)
            if opcode is Opcode.LOAD and fields["buffer"] == Buffer.WEIGHT]


def check(config, seeds, folder):
    """Random encoders, each with stalls and a latency of its own on every port, also with weights that stay."""
    ports = config.memory_ports
    model = monitored_system(config)
    for seed in seeds:
        rng = random.Random(seed)
        program, golden = compiled(config, folder / str(seed), seed, resident=seed % 3 == 2)
        run = run_program(program, folder=folder / str(seed) / "run", model=model, stall_seed=seed,
                          stall=[rng.choice((0.01, 0.2, 0.7)) for _ in range(ports)],
                          latency=[rng.choice((1, 40, 150)) for _ in range(ports)])
        assert compare_tensors(config, program, run, golden) == {}, seed
        bursts = check_monitored(folder / str(seed) / "run", ports)
        loads = [fields for _, fields in loads_of(program)]
        read = [run.counters[f"bytes_read_{port}"] for port in range(1, ports)]
        assert read == [sum(fields["bytes"] for fields in loads if fields["columns"] > port) for port in range(1, ports)]
        assert all(burst > 0 or count == 0 for burst, count in zip(bursts[1:], read, strict=True))
        assert run.counters["bytes_read"] == estimate(program, golden).counters["bytes_read"]
        assert run.counters["weight_tiles"] == sum(fields["rows"] * fields["columns"] for fields in loads)


def test_random_encoders(tmp_path):
    check(PORTS[2], range(3), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("ports", PORTS)
def test_many_random_encoders(ports, tmp_path):
    check(PORTS[ports], range(100, 120), tmp_path)


@pytest.mark.parametrize("latency", [1, 40])
def test_each_load_at_fault_on_the_further_port(encoder, latency, tmp_path):
    """Refused by memory from the first beat on and in the last, by the window and by the buffer; and tiles in two rows."""
    program, _ = encoder
    (base,), runs, wanted = program.port_bases(0), [], []
    loads = [(number, fields) for number, fields in loads_of(program) if fields["columns"] > 1]
    for number, fields in loads:
        # There memory holds zeros, which are empty tiles: the first port finds nothing wrong.
        for place in (END - base, END - base - fields["bytes"] + 8):
            runs.append((with_other(program, number, address=place), {}))
            wanted.append((ErrorCode.BUS_READ, number))
        runs.append((with_other(program, number, address=END - base - 4096), {"registers": {"READ_LIMIT": END - 4097}}))
        wanted.append((ErrorCode.READ_WINDOW, number))
    number, fields = loads[-1]
    runs.append((with_other(program, number, slot=program.config.weight_tiles - 1, columns=2), {}))
    wanted.append((ErrorCode.SLOT_RANGE, number))
    runs.append((with_other(program, number, rows=2), {}))
    seen, _ = play(program, runs, tmp_path, f"+latency={latency}", "+latency_1=3")
    assert [(run["error_code"], run["error_engine"], run["error_instruction"]) for run in seen[:-1]] == [
        (code, ErrorSource.MEMORY, number) for code, number in wanted]
    assert (seen[-1]["error_code"], seen[-1]["error_instruction"]) == (ErrorCode.BAD_FIELD, number)
    assert len(loads) > 4 and all(run["reset"] for run in seen)


def test_soft_resets_with_traffic_on_all_ports(encoder, tmp_path):
    program, golden = encoder
    rng = random.Random(3)
    good = program.instructions, {}
    runs = [(program.instructions, {"cut": rng.randrange(200, 4000)}) for _ in range(16)]
    seen, memory = play(program, [*runs, good], tmp_path, "+stall=60", "+stall_1=150", "+latency=9", "+latency_1=70")
    assert all(run["reset"] for run in seen) and seen[-1]["error_code"] == 0 and seen[-1]["ended"]
    for name, output in program.outputs.items():
        integers, _ = program.output(name, memory.memory_bytes(output["address"], output["bytes"]))
        assert (integers == golden[output["tensor"]][: len(integers)]).all()
