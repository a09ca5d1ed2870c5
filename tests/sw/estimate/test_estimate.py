"""Estimates of whole programs: what is exact in them, and what has to follow from what."""

from functools import cache

import numpy as np
import pytest

from acceltran.cli.estimate.point import compiled, estimated
from acceltran.cli.estimate.setting import Setting
from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.hw.spec.errors import InputError
from acceltran.hw.spec.isa import Engine, Opcode
from acceltran.sw.estimate.control import Control
from acceltran.sw.estimate.estimate import estimate
from acceltran.sw.estimate.phases import CAUSES, phases
from acceltran.sw.ir.counts import multiplication_counts
from acceltran.sw.ir.execute import execute
from acceltran.sw.models.errors import ModelError

DENSE = Setting(tokens=8)
SPARSE = Setting(tokens=24, batch=2, weight_sparsity=0.5, tau=0.05)


@cache
def program_of(setting):
    program, batch, _ = compiled(setting)
    return program, execute(program.graph, batch.ids)


def of(setting, **options):
    program, tensors = program_of(setting)
    return program, estimate(program, tensors, **options)


@pytest.mark.parametrize("setting", [DENSE, SPARSE])
def test_what_is_counted_is_exact(setting):
    """Multiplications, tiles and bytes do not depend on time: they are those that the program asks for."""
    program, result = of(setting)
    _, tensors = program_of(setting)
    assert result.counters["multiplications"] == multiplication_counts(program.graph, tensors)["total"].both
    loads = [fields for opcode, fields in program.instructions if opcode is Opcode.LOAD]
    bus, gathered = program.config.bus_width // 8, 0
    for fields in (fields for opcode, fields in program.instructions if opcode is Opcode.GATHER):
        tokens = fields["rows"] * program.config.tile
        beats = -(-fields["columns"] * program.config.line_bits // (8 * bus))
        gathered += (tokens * beats + -(-4 * tokens // bus)) * bus
    assert result.counters["bytes_read"] == sum(
        fields["bytes"] for fields in loads) + gathered + 64 * len(program.instructions)
    tiles = sum(fields["rows"] * fields["columns"] for fields in loads if fields["buffer"] == 0)
    assert result.counters["weight_tiles"] == tiles
    assert result.counters["instructions"] == len(program.instructions) - 1


@pytest.mark.parametrize("setting", [DENSE, SPARSE])
def test_phases_divide_all_cycles(setting):
    program, result = of(setting)
    found = phases(program, result)
    assert sum(one["cycles"] + sum(one.get(cause, 0) for cause in CAUSES) for one in found) == result.cycles
    for one in found[:-1]:
        parts = [one[name] for name in ("multiplying", "operands", "output", "imbalance")]
        assert min(parts) >= 0 and sum(parts) == pytest.approx(one["cycles"])
    counters = result.counters
    assert sum(counters[f"lost_{name}"] for name in ("operands", "output", "imbalance", "idle")) + counters[
        "multiplications"] == pytest.approx(result.cycles * program.config.multipliers, rel=1e-3)


def test_instructions_follow_the_semaphores():
    """Nothing that takes a token starts before what gives it is complete, and engines take their instructions in order."""
    program, result = of(SPARSE)
    given = {(giver, taker): [] for giver in Engine for taker in Engine}
    last = dict.fromkeys(Engine, -1)
    for event, (_, fields) in zip(result.events, program.instructions, strict=False):
        engine = Engine[event.engine.upper()]
        for giver in Engine:
            for _ in range(fields.get(f"wait_{giver.name.lower()}", 0)):
                assert event.start > given[giver, engine].pop(0)
        assert event.start > last[engine] or engine is Engine.MEMORY
        last[engine] = event.start
        for taker in Engine:
            if fields.get("signal", 0) >> taker & 1:
                given[engine, taker].append(event.end)
    assert all(event.end >= event.start for event in result.events)


def test_memory_decides_where_it_is_slow():
    cycles = [of(DENSE, latency=latency)[1].cycles for latency in (1, 40, 400, 1000)]
    assert cycles == sorted(cycles) and cycles[-1] > 2 * cycles[1]
    bus = program_of(DENSE)[0].config.bus_width // 8
    whole, half, quarter = (of(DENSE, bytes_per_cycle=rate)[1].cycles for rate in (bus, bus / 2, bus / 4))
    assert whole == of(DENSE)[1].cycles == of(DENSE, bytes_per_cycle=2 * bus)[1].cycles
    assert half == pytest.approx(2 * whole, rel=0.05) and quarter == pytest.approx(4 * whole, rel=0.05)


def test_drawn_zeros_stand_for_unknown_ones():
    """The shares of zeros decide, and the same seed draws the same."""
    program, tensors = program_of(SPARSE)
    shares = {name: float((values != 0).double().mean()) for name, values in tensors.items()}
    real = estimate(program, tensors)
    drawn = [estimate(program, densities=shares, seed=seed) for seed in (1, 1, 2)]
    assert drawn[0].cycles == drawn[1].cycles
    assert drawn[2].counters["multiplications"] != drawn[0].counters["multiplications"]
    assert drawn[0].cycles == pytest.approx(real.cycles, rel=0.05)
    dense = estimate(program, densities=dict.fromkeys(shares, 1.0))
    assert dense.counters["multiplications"] > real.counters["multiplications"]


def test_resident_weights_come_from_the_preload():
    _, result = of(Setting(tokens=8, resident=True))
    assert result.counters["weight_tiles"] == 0
    assert result.counters["multiplications"] == of(DENSE)[1].counters["multiplications"]
    assert result.cycles < of(DENSE)[1].cycles / 2


def test_a_random_model_of_a_known_shape():
    program, result, _ = estimated(Setting(config="nano", model="random:bert-tiny", tokens=8, values=False))
    assert program.graph.layers == 2 and result.cycles > 0
    with pytest.raises(ModelError, match="bert-giant.: no such shape: did you mean .random:bert-mini"):
        Setting(model="random:bert-giant", tokens=8).checkpoint()


@pytest.mark.parametrize("values, said", [
    ({"tokens": 8, "windw": 5}, "did you mean 'window'|unknown setting 'windw'"),
    ({}, "tokens: neither texts nor"), ({"tokens": 1}, "tokens = 1"), ({"tokens": 8, "batch": 0}, "batch = 0"),
    ({"texts": ["a"], "batch": 2}, "batch = 2"), ({"tokens": 8, "latency": 0}, "latency = 0"),
    ({"tokens": 8, "bytes_per_cycle": 0}, "bytes_per_cycle = 0"),
])
def test_settings_that_cannot_be(values, said):
    with pytest.raises(InputError, match=said):
        Setting.from_dict(values)


def test_settings_as_plain_values():
    setting = Setting.from_dict({"tokens": 8, "fields": {"window": 8}, "weight_sparsity": "2:4"})
    assert Setting.from_dict(setting.to_dict()) == setting
    assert setting.hardware() == AcceleratorConfig.from_dict(
        AcceleratorConfig.load("mini").to_dict() | {"window": 8, "name": "mini_changed"})


def test_queues_hold_the_fetch_back():
    """With room for two instructions, the fifth is offered when the second has been taken, however soon it was fetched."""
    control = Control(2, lambda cycle: cycle + 10)
    accepted = 0
    offers = []
    for _ in range(8):
        offered, _ = control.offer(Engine.MATRIX, {})
        offers.append(offered)
        accepted = max(offered, accepted + 500)
        control.complete(Engine.MATRIX, accepted, accepted + 100, 0)
    assert np.all(np.diff(offers)[3:] >= 400)
