"""Pruning in training: how much is zeroed when, gradients straight through, and that a model learns under it."""

import dataclasses

import pytest
import torch

from acceltran.cli.evaluate.sites import site_names
from acceltran.cli.train.prune_training import Pruning
from acceltran.cli.train.train import Recipe, accuracy, forward, initial_tensors, save_model, split_reviews, train
from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.float_encoder import FloatEncoder
from acceltran.sw.models.quantise import prune_weights
from acceltran.sw.models.sentences import encode_texts
from acceltran.sw.models.weight_sparsity import GroupSparsity
from support.models import random_texts
from support.word_reviews import word_reviews


@pytest.mark.parametrize("act", ["gelu", "relu"])
def test_pruned_forward_equals_the_float_encoder(teacher, config, tmp_path, act):
    config = dataclasses.replace(config, hidden_act=act)
    save_model(tmp_path, config, initial_tensors(config, teacher, 0.1, torch.Generator().manual_seed(3)),
               teacher.folder / "tokenizer.json")
    checkpoint = load_checkpoint(tmp_path)
    ids, lengths = encode_texts(checkpoint, [*random_texts(3, 9), "w5"])
    seen = []

    def prune(name, tensor):
        seen.append(name)
        return tensor * (tensor.abs() >= 0.05) if name in site_names(checkpoint) else tensor

    logits = forward(config, checkpoint.tensors, ids, lengths, 0.0, prune)
    assert sorted(seen) == sorted(set(site_names(checkpoint)) - {"embeddings.output"})
    seen.clear()
    expected = FloatEncoder(checkpoint).run(ids, lengths, prune=lambda name, tensor: (
        tensor if name == "embeddings.output" else prune(name, tensor)))["logits"]
    torch.testing.assert_close(logits, expected)
    assert not torch.allclose(logits, forward(config, checkpoint.tensors, ids, lengths, 0.0))


def test_shares_rise_to_the_final_ones():
    pruning = Pruning(begin=0.2, end=0.6)
    assert [pruning.strength(t) for t in (0, 0.2, 0.4, 0.6, 1)] == pytest.approx([0, 0, 0.875, 1, 1])


def test_weights_are_pruned_with_straight_gradients():
    generator = torch.Generator().manual_seed(0)
    matrix, norm = "encoder.layer.0.output.dense.weight", "encoder.layer.0.output.LayerNorm.weight"
    tensors = {name: torch.randn(40, 50, generator=generator, requires_grad=True)
               for name in (matrix, norm, "pooler.dense.weight")}
    pruning = Pruning(weight_sparsity=0.6, begin=0.0, end=1.0)
    assert pruning.weights(tensors, 0.0)[matrix] is tensors[matrix]
    used = pruning.weights(tensors, 0.5)
    assert float((used[matrix] == 0).float().mean()) == pytest.approx(0.6 * 0.875, abs=1e-3)
    assert used[matrix].abs()[used[matrix] != 0].min() > tensors[matrix].abs()[used[matrix] == 0].max()
    assert used[norm] is tensors[norm] and used["pooler.dense.weight"] is tensors["pooler.dense.weight"]
    used[matrix].sum().backward()
    assert (tensors[matrix].grad == 1).all()
    final = pruning.final_weights({name: tensor.detach() for name, tensor in tensors.items()})
    assert int((final[matrix] == 0).sum()) == 1200 and (final[norm] == tensors[norm]).all()


def test_groups_lose_their_smallest_weights_first():
    """N:M rises like a share does: of the weights that it does not keep the smallest go first, and none that it keeps."""
    matrix = "encoder.layer.0.output.dense.weight"
    tensors = {matrix: torch.randn(40, 64, generator=torch.Generator().manual_seed(0), requires_grad=True)}
    pruning = Pruning(weight_sparsity=GroupSparsity("2:4"), begin=0.0, end=1.0)
    assert pruning.weights(tensors, 0.0)[matrix] is tensors[matrix]
    dropped = prune_weights(tensors[matrix].detach(), pruning.weight_sparsity) == 0
    used = pruning.weights(tensors, 0.5)[matrix]
    zero = used == 0
    assert float(zero.float().mean()) == pytest.approx(0.5 * 0.875, abs=1e-3) and not (zero & ~dropped).any()
    assert tensors[matrix].abs()[zero].max() < tensors[matrix].abs()[dropped & ~zero].min()
    used.sum().backward()
    assert (tensors[matrix].grad == 1).all()
    whole = pruning.weights(tensors, 1.0)[matrix]
    assert torch.equal(whole, pruning.final_weights({matrix: tensors[matrix].detach()})[matrix])


def test_activations_are_pruned_below_their_quantile():
    values = torch.randn(32, 20, 64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    pruning = Pruning(activation_sparsity={"hidden": 0.8}, begin=0.0, end=0.5)
    pruned = pruning.activation("layer1.hidden", values, 0.9, torch.Generator().manual_seed(2))
    assert float((pruned == 0).float().mean()) == pytest.approx(0.8, abs=0.03)
    assert ((pruned == values) | (pruned == 0)).all()
    pruned.sum().backward()
    assert (values.grad == 1).all()
    assert pruning.activation("layer1.context", values, 0.9, torch.Generator()) is values
    masked = torch.cat([values.detach()[:8], torch.zeros(24, 20, 64)])
    kept = pruning.activation("layer0.hidden", masked, 0.9, torch.Generator().manual_seed(2))
    assert float((kept[:8] == 0).float().mean()) == pytest.approx(0.8, abs=0.05)


def test_a_model_learns_while_it_is_pruned(teacher, config, tmp_path):
    reviews, unseen = split_reviews(word_reviews(300))
    recipe, pruning = Recipe(epochs=6, batch=8, rate=3e-3, deviation=0.1), Pruning()
    tensors = train(config, teacher, reviews, recipe, pruning=pruning)
    for name, tensor in tensors.items():
        if name.startswith("encoder") and tensor.ndim == 2:
            assert int((tensor == 0).sum()) == round(pruning.weight_sparsity * tensor.numel()), name
    save_model(tmp_path, config, tensors, teacher.folder / "tokenizer.json")
    share, _ = accuracy(load_checkpoint(tmp_path), [r.text for r in unseen], [int(r.rating > 0) for r in unseen])
    assert share > 0.9
    short = dataclasses.replace(recipe, epochs=1, rate=1e-4)
    once, twice = (train(config, teacher, reviews[:40], short, start=tensors, pruning=pruning) for _ in range(2))
    assert all(torch.equal(once[name], twice[name]) for name in once)
    assert all(torch.allclose(once[name], tensors[name], atol=0.05) for name in once)
