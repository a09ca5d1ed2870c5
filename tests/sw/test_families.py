"""A family of models is one file: a second one, made here, runs without a change elsewhere; unknown ones are refused."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from acceltran.cli.evaluate.float_runs import FloatRuns, below
from acceltran.cli.evaluate.sites import site_names
from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.sw.compiler import compile_encoder
from acceltran.sw.models import registry
from acceltran.sw.models.bert import Bert
from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.errors import ModelError
from acceltran.sw.models.fidelity import golden_fidelity
from acceltran.sw.models.sentences import encode_sentences, encode_texts
from support.machine import Machine
from support.models import make_checkpoint, random_texts

NANO = AcceleratorConfig.load("nano")


class Short(Bert):
    """Of models whose files call everything otherwise, and that have no token types."""

    prefix = "short"
    fields = {"hidden_size": "dim", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads",
              "intermediate_size": "hidden_dim", "hidden_act": "activation"}
    renames = ((r"q_lin", "self.query"), *Bert.renames)

    def further(self, path, fields, sizes):
        return {"type_vocab_size": 0}


@pytest.fixture
def folder(tmp_path):
    return make_checkpoint(tmp_path / "model", layers=1)


@pytest.mark.parametrize("model_type", ["deberta-v2", "gpt2", ["bert"], None])
def test_unknown_families_are_refused_by_name(folder, model_type):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_type": model_type}))
    with pytest.raises(ModelError, match="config.json: model_type is .*, known are bert, .*: use a model of one") as error:
        load_checkpoint(folder)
    assert repr(model_type) in str(error.value)


def test_a_second_family_needs_no_more_than_its_file(folder, monkeypatch):
    ids, lengths = encode_texts(load_checkpoint(folder), random_texts(3, 9))
    expected = load_checkpoint(folder).float_encoder().run(ids, lengths)["logits"]
    tensors = load_file(folder / "model.safetensors")
    types = tensors.pop("bert.embeddings.token_type_embeddings.weight")
    tensors["bert.embeddings.position_embeddings.weight"] += types[0]
    save_file({name.replace("bert.", "short.").replace("self.query", "q_lin"): tensor for name, tensor in tensors.items()},
              folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({
        "model_type": "short", "dim": 32, "n_layers": 1, "n_heads": 2, "hidden_dim": 64, "vocab_size": 64,
        "max_position_embeddings": 32, "activation": "gelu", "tokenizer_class": "BertTokenizer"}))
    monkeypatch.setitem(registry.FAMILIES, "short", Short("short", "Short"))

    checkpoint = load_checkpoint(folder)
    assert checkpoint.family.title == "Short" and checkpoint.has_classifier
    torch.testing.assert_close(checkpoint.float_encoder().run(ids, lengths)["logits"], expected)
    program = compile_encoder(checkpoint, NANO, ids, lengths, tau=0.05)
    values, fidelity = golden_fidelity(checkpoint, program.graph, encode_sentences(checkpoint, random_texts(3, 9)))
    assert fidelity.cosine > 0.999
    machine = Machine(program)
    machine.run()
    assert all((machine.seen[name] == matrix).all() for name, matrix in values.items())
    runs = FloatRuns(checkpoint, random_texts(4, 6), [0, 1, 0, 1])
    assert runs.run(below(dict.fromkeys(site_names(checkpoint), 0.1))).remaining < runs.reference.remaining == runs.dense
