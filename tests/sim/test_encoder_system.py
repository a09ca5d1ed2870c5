"""Random small encoders through the whole accelerator: every integer of every intermediate tensor, several configurations."""

import random

import pytest

from acceltran.hw.config import AcceleratorConfig
from acceltran.sim.design import build_system
from acceltran.sim.inference import infer, report
from acceltran.sw.checkpoint import load_checkpoint
from models import make_checkpoint, random_texts

SMALL = {"tile": 8, "activation_tiles": 512, "weight_tiles": 64, "vector_lines": 64}

CONFIGS = {
    "one_pe": AcceleratorConfig(
        **SMALL, name="one_pe", grid_rows=1, grid_columns=1, lines_per_beat=1, b_memory="ram", window=2, operand_slots=2,
        activation_banks=2, weight_banks=1, bus_width=64, outstanding_reads=1, burst_beats=4, instruction_queue=2,
        wires="long",
    ),
    "four_pes": AcceleratorConfig(
        **SMALL, name="four_pes", grid_rows=2, grid_columns=2, lines_per_beat=4, window=4, operand_slots=3, psum_tiles=2,
        activation_banks=4, bus_width=128, integer_bits=4, fraction_bits=4, softmax_units=2, layernorm_units=2,
        layernorm_slices=2,
    ),
    "one_by_two": AcceleratorConfig(
        **SMALL, name="one_by_two", grid_rows=1, grid_columns=2, lines_per_beat=2, skip="activation", activation_banks=2,
        bus_width=256, integer_bits=4, fraction_bits=12, softmax_units=1, layernorm_units=2, functions=("relu", "tanh"),
    ),
    "wide": AcceleratorConfig(
        **SMALL | {"tile": 16}, name="wide", grid_rows=1, grid_columns=1, lines_per_beat=4, skip="none", activation_banks=1,
        weight_banks=1, bus_width=256, integer_bits=6, fraction_bits=10,
    ),
    "window_of_eight": AcceleratorConfig(
        **SMALL, name="window_of_eight", grid_rows=2, grid_columns=1, lines_per_beat=2, window=8, operand_slots=3, psum_tiles=4,
        activation_banks=2, weight_banks=1, bus_width=64, softmax_units=2,
        layernorm_slices=4,
    ),
}
SLOW = ("wide", "window_of_eight")


def encoders(config, count):
    """Shapes drawn at random, seeded: heads, widths, layers, lengths, batches, pruning."""
    rng = random.Random(config.name)
    for number in range(count):
        head = config.tile * rng.randint(1, 2)
        heads = rng.randint(1, 2)
        shape = {
            "hidden": head * heads, "heads": heads, "layers": rng.randint(1, 2), "ffn": rng.choice([8, 20, 32]),
            "act": rng.choice([f for f in ("relu", "gelu", "tanh") if f in config.functions]), "seed": number,
            "pooler": rng.random() < 0.7, "labels": rng.randint(2, 3),
        }
        if not shape["pooler"]:
            shape["labels"] = 0
        batch = 2 if number == 0 else rng.randint(1, 2)
        yield shape, {
            "texts": [" ".join(random_texts(1, rng.randint(2, 20), seed=rng.randrange(1000))) for _ in range(batch)],
            "length": rng.choice([None, 24, 27]),
            "tau": rng.choice([None, 0.05, 0.3]), "weight_sparsity": rng.choice([0.0, 0.5]),
        }


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in CONFIGS])
def test_random_encoders(name, tmp_path):
    config = CONFIGS[name]
    model = build_system(config, memory_bits=20)
    for number, (shape, options) in enumerate(encoders(config, 4)):
        folder = tmp_path / str(number)
        checkpoint = load_checkpoint(make_checkpoint(folder / "model", **shape))
        inference = infer(config, checkpoint, options.pop("texts"), folder=folder / "run", model=model, **options)
        assert not inference.mismatches, (shape, options, inference.mismatches)
        values = report(inference)
        if config.skip == "both":
            assert values["multiplications"] == values["multiplications_expected"], (shape, options)
        assert 0 < values["multiplications"] <= values["dense_multiplications"]
        assert values["tensors_compared"] > 15
