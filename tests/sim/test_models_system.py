"""The real models: BERT-Tiny at 128 tokens on the presets that simulate in minutes, and MiniLM's first layers."""

from pathlib import Path

import pytest
import torch

from acceltran.cli.train.reviews import fetch_minilm
from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.sim.inference import infer, report
from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.float_encoder import FloatEncoder
from acceltran.sw.models.sentences import encode_texts

pytestmark = pytest.mark.slow

BERT_TINY = Path(__file__).parents[2] / "models" / "bert-tiny-reviews"
SENTENCES = [
    "a gripping , beautifully acted film that never loses its nerve",
    "two hours of my life that i will never get back",
    "the jokes fall flat , the plot makes no sense and the ending is an insult",
    "quietly moving , and funnier than anyone had a right to expect",
    "an average thriller with one very good scene",
]


@pytest.mark.parametrize("pruning", [{}, {"tau": 0.05}, {"target_sparsity": 0.5, "weight_sparsity": 0.5}],
                         ids=["dense", "tau", "target"])
def test_bert_tiny_on_mini(pruning, tmp_path):
    config = AcceleratorConfig.load("mini")
    values = report(infer(config, load_checkpoint(BERT_TINY), SENTENCES[:1], folder=tmp_path, length=128, **pruning))
    assert values["mismatches"] == 0
    assert values["multiplications"] == values["multiplications_expected"]
    assert values["simulation_seconds"] <= 60
    assert values["prediction"] == "positive"


@pytest.mark.parametrize("preset", ["nano", "fpga", "int8"])
def test_bert_tiny_on_other_presets(preset, tmp_path):
    config = AcceleratorConfig.load(preset)
    values = report(infer(config, load_checkpoint(BERT_TINY), SENTENCES[:1], folder=tmp_path, length=128))
    assert values["mismatches"] == 0
    assert values["multiplications"] == values["multiplications_expected"]
    assert values["prediction"] == "positive"


def test_predictions_on_mini(tmp_path):
    config, checkpoint = AcceleratorConfig.load("mini"), load_checkpoint(BERT_TINY)
    ids, lengths = encode_texts(checkpoint, SENTENCES)
    wanted = FloatEncoder(checkpoint).run(ids, lengths)["logits"].argmax(1).tolist()
    inference = infer(config, checkpoint, SENTENCES, folder=tmp_path)
    assert not inference.mismatches
    assert [p["index"] for p in report(inference)["predictions"]] == wanted


def test_minilm_layers_on_mini(tmp_path):
    config = AcceleratorConfig.load("mini")
    checkpoint = load_checkpoint(fetch_minilm())
    texts = [" ".join(SENTENCES[:4])]
    inference = infer(config, checkpoint, texts, folder=tmp_path, length=64, layers=2)
    assert not inference.mismatches
    ids, lengths = encode_texts(checkpoint, texts, 64)
    reference = FloatEncoder(checkpoint).run(ids, lengths, layers=2)["layer1.output_norm"]
    (output,) = inference.outputs.values()
    pooled = [x[0, : lengths[0]].double().mean(0) for x in (output, reference)]
    assert torch.nn.functional.cosine_similarity(*pooled, dim=0) >= 0.999
