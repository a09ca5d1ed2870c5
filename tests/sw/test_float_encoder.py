"""The floating-point encoder against PyTorch's own transformer layers, and its padding."""

import pytest
import torch
from torch import nn

from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.float_encoder import FloatEncoder
from acceltran.sw.models.sentences import encode_texts
from support.models import make_checkpoint, random_texts

ACTIVATIONS = {"gelu": nn.functional.gelu, "relu": nn.functional.relu, "tanh": torch.tanh}


def torch_layer(tensors, layer, config):
    """An nn.TransformerEncoderLayer with the weights of one layer."""
    module = nn.TransformerEncoderLayer(config.hidden_size, config.num_attention_heads, config.intermediate_size,
                                        dropout=0.0, activation=ACTIVATIONS[config.hidden_act],
                                        layer_norm_eps=config.layer_norm_eps, batch_first=True, dtype=torch.float64)
    prefix = f"encoder.layer.{layer}."
    state = {}
    for kind in ("weight", "bias"):
        get = {name.removeprefix(prefix): t for name, t in tensors.items()}.__getitem__
        state[f"self_attn.in_proj_{kind}"] = torch.cat([get(f"attention.self.{name}.{kind}")
                                                        for name in ("query", "key", "value")])
        state[f"self_attn.out_proj.{kind}"] = get(f"attention.output.dense.{kind}")
        state[f"norm1.{kind}"] = get(f"attention.output.LayerNorm.{kind}")
        state[f"linear1.{kind}"] = get(f"intermediate.dense.{kind}")
        state[f"linear2.{kind}"] = get(f"output.dense.{kind}")
        state[f"norm2.{kind}"] = get(f"output.LayerNorm.{kind}")
    module.load_state_dict(state)
    return module.train()  # the fused inference path is a second implementation; the plain one is the reference


@pytest.mark.parametrize(("act", "heads", "layers"), [("gelu", 2, 2), ("relu", 4, 1), ("tanh", 1, 3)])
def test_equals_torch_transformer_layers(tmp_path, act, heads, layers):
    checkpoint = load_checkpoint(make_checkpoint(tmp_path, act=act, heads=heads, layers=layers, seed=heads))
    ids, lengths = encode_texts(checkpoint, [*random_texts(3, 12), "w7", "w3 w4 w5"], length=16)
    values = FloatEncoder(checkpoint, torch.float64).run(ids, lengths)

    tensors = {name: tensor.double() for name, tensor in checkpoint.tensors.items()}
    embedded = (nn.functional.embedding(ids, tensors["embeddings.word_embeddings.weight"])
                + tensors["embeddings.position_embeddings.weight"][:16]
                + tensors["embeddings.token_type_embeddings.weight"][0])
    centred = embedded - embedded.mean(-1, keepdim=True)
    state = (centred / (centred.square().mean(-1, keepdim=True) + 1e-12).sqrt()
             * tensors["embeddings.LayerNorm.weight"] + tensors["embeddings.LayerNorm.bias"])
    torch.testing.assert_close(values["embeddings.output"], state)
    padding = torch.arange(16) >= torch.tensor(lengths)[:, None]
    for layer in range(layers):
        with torch.no_grad():
            state = torch_layer(tensors, layer, checkpoint.config)(state, src_key_padding_mask=padding)
        torch.testing.assert_close(values[f"layer{layer}.output_norm"], state)
    pooled = torch.tanh(state[:, 0] @ tensors["pooler.dense.weight"].T + tensors["pooler.dense.bias"])
    torch.testing.assert_close(values["pooler"], pooled)
    torch.testing.assert_close(values["logits"], pooled @ tensors["classifier.weight"].T + tensors["classifier.bias"])


def test_every_intermediate_follows_from_its_inputs(tmp_path):
    checkpoint = load_checkpoint(make_checkpoint(tmp_path))
    ids, lengths = encode_texts(checkpoint, random_texts(2, 5), length=9)
    values = FloatEncoder(checkpoint).run(ids, lengths)
    layer = {name.split(".")[1]: tensor for name, tensor in values.items() if name.startswith("layer1.")}
    assert set(layer) == {"query", "key", "value", "scores", "probabilities", "context", "attention", "attention_norm",
                          "hidden_pre", "hidden", "output", "output_norm"}
    assert {name: tuple(layer[name].shape) for name in ("query", "scores", "context", "hidden", "output")} == {
        "query": (2, 9, 32), "scores": (2, 2, 9, 9), "context": (2, 9, 32), "hidden": (2, 9, 64), "output": (2, 9, 32)}
    head = slice(16, 32)
    torch.testing.assert_close(layer["scores"][1, 1], layer["query"][1, :, head] @ layer["key"][1, :, head].T)
    torch.testing.assert_close(layer["probabilities"][..., :7], (layer["scores"][..., :7] / 4).softmax(-1))
    torch.testing.assert_close(layer["context"][1, :, head], layer["probabilities"][1, 1] @ layer["value"][1, :, head])
    torch.testing.assert_close(layer["hidden"], nn.functional.gelu(layer["hidden_pre"]))
    for output, residual, norm in (("attention", values["layer0.output_norm"], "attention_norm"),
                                   ("output", layer["attention_norm"], "output_norm")):
        name = f"encoder.layer.1.{'attention.' * (output == 'attention')}output.LayerNorm"
        gamma, beta = checkpoint.tensors[f"{name}.weight"], checkpoint.tensors[f"{name}.bias"]
        expected = nn.functional.layer_norm(layer[output] + residual, (32,), gamma, beta, 1e-12)
        torch.testing.assert_close(layer[norm], expected)
    torch.testing.assert_close(values["embeddings.word"], checkpoint.tensors["embeddings.word_embeddings.weight"][ids])


def test_padding_changes_nothing(tmp_path):
    checkpoint = load_checkpoint(make_checkpoint(tmp_path))
    encoder = FloatEncoder(checkpoint)
    texts = [*random_texts(1, 6), "w1 w2"]
    ids, lengths = encode_texts(checkpoint, texts, length=32)
    values = encoder.run(ids, lengths)
    for row, text in enumerate(texts):
        alone = encoder.run(*encode_texts(checkpoint, [text]))
        torch.testing.assert_close(values["logits"][row], alone["logits"][0])
        assert not values["layer0.probabilities"][row, ..., lengths[row]:].any()
        torch.testing.assert_close(values["layer1.output_norm"][row, : lengths[row]], alone["layer1.output_norm"][0])


def test_fewer_layers_and_heads(tmp_path):
    checkpoint = load_checkpoint(make_checkpoint(tmp_path, pooler=False))
    ids, lengths = encode_texts(checkpoint, random_texts(2, 4))
    values = FloatEncoder(checkpoint).run(ids, lengths)
    first = FloatEncoder(checkpoint).run(ids, lengths, layers=1)
    assert "pooler" not in values and "logits" not in values and "layer1.output_norm" in values
    assert set(first) == {name for name in values if not name.startswith("layer1.")}
    assert torch.equal(first["layer0.output_norm"], values["layer0.output_norm"])
