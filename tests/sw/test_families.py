"""A family of models is one file: a second one, made here, runs without a change elsewhere; unknown ones are refused."""

import json
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from safetensors.torch import load_file, save_file

from acceltran.cli.evaluate.float_runs import FloatRuns, below
from acceltran.cli.evaluate.sites import site_names
from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.sw.compiler import compile_encoder
from acceltran.sw.models import registry
from acceltran.sw.models.bert import Bert, BertConfig
from acceltran.sw.models.checkpoint import encode_texts, load_checkpoint
from acceltran.sw.models.errors import ModelError
from acceltran.sw.models.fidelity import golden_fidelity
from support.machine import Machine
from support.models import make_checkpoint, random_texts

NANO = AcceleratorConfig.load("nano")


@dataclass(frozen=True, kw_only=True)
class ShortConfig(BertConfig):
    """Of models whose files call everything otherwise, and that have no token types."""

    model_type: ClassVar[str] = "short"


class Short(Bert):
    model_type, title = "short", "Short"

    def read_config(self, path, fields):
        return ShortConfig(
            hidden_size=fields["dim"], num_hidden_layers=fields["n_layers"], num_attention_heads=fields["n_heads"],
            intermediate_size=fields["hidden_dim"], vocab_size=fields["vocab_size"], type_vocab_size=1,
            max_position_embeddings=fields["max_position_embeddings"], hidden_act=fields["activation"], layer_norm_eps=1e-12,
            num_labels=2, id2label={0: "no", 1: "yes"})

    def canonical(self, name):
        return super().canonical(name.replace("short.", "bert.").replace("q_lin", "self.query"))


@pytest.fixture
def folder(tmp_path):
    return make_checkpoint(tmp_path / "model", layers=1)


@pytest.mark.parametrize("model_type", ["distilbert", "gpt2", ["bert"], None])
def test_unknown_families_are_refused_by_name(folder, model_type):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_type": model_type}))
    with pytest.raises(ModelError, match="config.json: model_type is .*, known are bert: use a model of one of these") as error:
        load_checkpoint(folder)
    assert repr(model_type) in str(error.value)


def test_a_second_family_needs_no_more_than_its_file(folder, monkeypatch):
    ids, lengths = encode_texts(load_checkpoint(folder), random_texts(3, 9))
    expected = load_checkpoint(folder).float_encoder().run(ids, lengths)["logits"]
    tensors = load_file(folder / "model.safetensors")
    types = tensors["bert.embeddings.token_type_embeddings.weight"]
    tensors["bert.embeddings.token_type_embeddings.weight"] = types[:1].contiguous()
    save_file({name.replace("bert.", "short.").replace("self.query", "q_lin"): tensor for name, tensor in tensors.items()},
              folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({
        "model_type": "short", "dim": 32, "n_layers": 1, "n_heads": 2, "hidden_dim": 64, "vocab_size": 64,
        "max_position_embeddings": 32, "activation": "gelu"}))
    monkeypatch.setitem(registry.FAMILIES, "short", Short())

    checkpoint = load_checkpoint(folder)
    assert checkpoint.family.title == "Short" and checkpoint.has_classifier
    torch.testing.assert_close(checkpoint.float_encoder().run(ids, lengths)["logits"], expected)
    program = compile_encoder(checkpoint, NANO, ids, lengths, tau=0.05)
    values, fidelity = golden_fidelity(checkpoint, program.graph, ids)
    assert fidelity.cosine > 0.999
    machine = Machine(program)
    machine.run()
    assert all((machine.seen[name] == matrix).all() for name, matrix in values.items())
    runs = FloatRuns(checkpoint, random_texts(4, 6), [0, 1, 0, 1])
    assert runs.run(below(dict.fromkeys(site_names(checkpoint), 0.1))).remaining < runs.reference.remaining == runs.dense
