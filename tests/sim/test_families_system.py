"""A small model of every family through the whole accelerator, all on one design: every integer of every tensor."""

import pytest

from acceltran.sim.design import build_system
from acceltran.sim.inference import infer, report
from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.sentence import Sentence
from support.configs import CONFIGS
from support.reference import KINDS, make_reference

CONFIG = CONFIGS["four_pes"]
SMALL = {"hidden_size": 16, "intermediate_size": 20}
CASES = {
    "bert": ("two-labels", "gelu", [Sentence("A new idea", "is the old one"), Sentence("birds sing.")]),
    "distilbert": ("question", "tanh", [Sentence("Who jumps?", "The brown fox jumps over the lazy dog.")]),
    "roberta": ("masks", "gelu_new", [Sentence("a <mask> idea is never <mask>"), Sentence("<mask> fox")]),
    "xlm-roberta": ("multi-label", "silu", [Sentence("birds <pad> sing")]),
    "camembert": ("regression", "relu", [Sentence("a dog"), Sentence("a fox")]),
    "electra": ("tokens", "quick_gelu", [Sentence("The quick brown fox jumps over."), Sentence("dog"), Sentence("birds sing")]),
    "albert": ("base", "gelu_fast", [Sentence("a new idea")]),
    "mpnet": ("five-labels", "gelu", [Sentence("The brown fox"), Sentence("jumps over the lazy dog")]),
}
"""Kind of model, activation function and sentences of each family."""


@pytest.fixture(scope="module")
def model():
    return build_system(CONFIG, memory_bits=20)


@pytest.mark.parametrize("family", CASES)
def test_every_tensor_is_that_of_the_golden_model(family, model, tmp_path):
    kind, act, sentences = CASES[family]
    folder, _ = make_reference(tmp_path / "model", family, kind, seed=1, fields=SMALL | {
        "hidden_act": act, "num_hidden_layers": 2 if family == "albert" else 1})
    inference = infer(CONFIG, load_checkpoint(folder), sentences, folder=tmp_path / "run", model=model)
    assert not inference.mismatches
    values = report(inference)
    assert values["task"] == KINDS[kind].task
    assert values["multiplications"] == values["multiplications_expected"] > 0
    assert all(one["equals_golden"] for one in values["predictions"])
    tensors = inference.program.graph.tensors
    if kind == "masks":
        assert tensors["head.dense"].rows == 3 * CONFIG.tile, "two tile rows of the first sentence, one of the second"
    if kind == "tokens":
        assert tensors["logits"].rows == 3 * inference.program.graph.sequence
        assert len(set(inference.program.graph.lengths)) == 3
