"""Random small encoders through the whole accelerator: every integer of every intermediate tensor, several configurations."""

import random

import pytest

from acceltran.sim.design import build_system
from acceltran.sim.inference import infer, report
from acceltran.sw.compiler import arrange
from acceltran.sw.compiler.split import Split
from acceltran.sw.models.checkpoint import load_checkpoint
from support.configs import CONFIGS, SLOW
from support.models import make_checkpoint, random_texts


def encoders(config, count):
    """Shapes drawn at random, seeded: heads, widths, layers, lengths, batches, pruning."""
    rng = random.Random(config.name)
    for number in range(count):
        head = config.tile * rng.randint(1, 2)
        heads = rng.randint(1, 2)
        shape = {
            "hidden": head * heads, "heads": heads, "layers": rng.randint(1, 2), "ffn": rng.choice([8, 20, 32]),
            "act": config.functions[number % len(config.functions)], "seed": number,
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


def test_a_split_encoder(tmp_path, monkeypatch):
    """Sentences one after the other, head by head, in the smallest pieces, on a configuration that has room for all of it."""
    config = CONFIGS[next(name for name in CONFIGS if name not in SLOW)]
    monkeypatch.setattr(arrange._Arranger, "free", lambda self: [])
    monkeypatch.setattr(arrange, "ways", lambda *_: [Split(1, 1, 1, 1, 1)])
    checkpoint = load_checkpoint(make_checkpoint(tmp_path / "model", hidden=2 * config.tile, heads=2, layers=2, ffn=32))
    inference = infer(config, checkpoint, [" ".join(random_texts(1, words, seed=words)) for words in (20, 9)],
                      folder=tmp_path / "run", model=build_system(config, memory_bits=20))
    assert not inference.mismatches
    pieces = {name: len(tensor["pieces"]) for name, tensor in inference.program.tensors.items()}
    assert pieces["layer1.hidden"] >= 4 and pieces["layer0.query"] == 4 and pieces["layer0.scores.0.1"] >= 2
