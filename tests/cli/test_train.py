"""Training: what is kept out of the data, that it learns and repeats itself, and the committed model."""

import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from acceltran.cli import main as cli
from acceltran.cli.data_files import read_labelled
from acceltran.cli.evaluate.sites import SiteCurves, site_names
from acceltran.cli.labels import Targets
from acceltran.cli.train import train as train_module
from acceltran.cli.train import train_command as train_command_module
from acceltran.cli.train.reviews import (
    contains_excluded,
    fingerprint,
    normalise,
    read_exclusions,
    write_exclusions,
)
from acceltran.cli.train.train import VARIANTS, Recipe, accuracy, forward, initial_tensors, save_model, split_reviews, train
from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.float_encoder import FloatEncoder
from acceltran.sw.models.quantise import prune_weights, weight_zeros
from acceltran.sw.models.sentences import encode_texts
from acceltran.sw.models.weight_sparsity import zero_share
from support.models import random_texts
from support.word_reviews import word_reviews

MODELS = Path(__file__).parents[2] / "models"
EXCLUSIONS = MODELS / "sst2-dev-exclusions.txt"


@pytest.mark.parametrize(("one", "other"), [
    ("it 's a caf\u00e9 -- really . ", "It's a caf\u00e9   really."), ("`` x-men '' -lrb- 2 -rrb-", "X Men (2)")])
def test_normalised_texts_do_not_depend_on_tokenisation(one, other):
    assert normalise(one) == normalise(other) != ""


def test_exclusions_find_whole_texts_and_parts(tmp_path):
    write_exclusions(tmp_path / "list.txt", ["it 's slow -- very , very slow . ", "bad . "])
    exclusions = read_exclusions(tmp_path / "list.txt")
    assert exclusions == {fingerprint("itsslowveryveryslow"), fingerprint("bad")}
    for text in ("It's slow: very, very slow!", "It's slow    very, very slow. It's hype.",
                 "No. It's slow-very, very slow", "Bad!"):
        assert contains_excluded(text, exclusions)
    for text in ("It's slow.", "A bad film", "very, very slow", "..."):
        assert not contains_excluded(text, exclusions)


def test_split_is_a_partition_and_repeats_itself():
    training, held_out = split_reviews(list(range(103)))
    assert len(held_out) == 20 and sorted(training + held_out) == list(range(103))
    assert split_reviews(list(range(103))) == (training, held_out)


def test_training_forward_equals_the_float_encoder(teacher, config, tmp_path):
    tensors = initial_tensors(config, teacher, 0.1, torch.Generator().manual_seed(3))
    save_model(tmp_path, config, tensors, teacher.folder / "tokenizer.json")
    checkpoint = load_checkpoint(tmp_path)
    assert checkpoint.config == config
    ids, lengths = encode_texts(checkpoint, [*random_texts(3, 9), "w5"])
    logits = forward(config, checkpoint.tensors, ids, lengths, 0.0)
    torch.testing.assert_close(FloatEncoder(checkpoint).run(ids, lengths)["logits"], logits)
    assert (tmp_path / "model.safetensors").stat().st_size < 2.2 * sum(t.numel() for t in tensors.values()) + 4096


def test_first_embeddings_keep_what_the_projection_can(teacher, config):
    words = initial_tensors(config, teacher, 0.02, torch.Generator())["embeddings.word_embeddings.weight"].detach()
    full = teacher.tensors["embeddings.word_embeddings.weight"]
    energy = torch.linalg.svdvals(full - full.mean(0)).square()
    assert words.square().sum().item() == pytest.approx(energy[:32].sum().item(), rel=1e-4)
    assert words.mean(0).abs().max() < 1e-5


def test_training_learns_and_repeats_itself(teacher, config, tmp_path):
    reviews, unseen = split_reviews(word_reviews(300))
    recipe = Recipe(epochs=6, batch=8, rate=3e-3, deviation=0.1)
    steps = []
    tensors = train(config, teacher, reviews, recipe, lambda *step: steps.append(step))
    assert [done for done, _, _ in steps] == list(range(1, 6 * math.ceil(len(reviews) / 8) + 1))
    save_model(tmp_path, config, tensors, teacher.folder / "tokenizer.json")
    share, error = accuracy(load_checkpoint(tmp_path), [r.text for r in unseen], [int(r.rating > 0) for r in unseen])
    assert share > 0.9 and error < 0.05
    short = dataclasses.replace(recipe, epochs=1)
    once, twice = (train(config, teacher, reviews[:40], short) for _ in range(2))
    assert all(torch.equal(once[name], twice[name]) for name in once)


def command(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["acceltran", "train", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code


def test_command_reports_failures_in_one_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "set.tsv").write_text("sentence\tlabel\nIt 's good . \t1\n")
    assert not command(monkeypatch, "--exclude", tmp_path / "set.tsv", "--exclusions", tmp_path / "list")
    assert read_exclusions(tmp_path / "list") == {fingerprint("itsgood")}
    offline = subprocess.CompletedProcess("pip", 1, "", "\nno net\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: offline)
    assert command(monkeypatch, "--cache", tmp_path / "cache", "--exclusions", tmp_path / "list") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: pip could not fetch vaderSentiment==3.3.2 (no net)") and error.count("\n") == 1
    assert command(monkeypatch, "--variant", "tiny") == 2
    assert "choose dense, sparse, relu, nm" in capsys.readouterr().err
    assert command(monkeypatch, "--weight-sparsity", "2:4") == 2
    assert "choose --variant sparse or relu or nm" in capsys.readouterr().err
    assert command(monkeypatch, "--variant", "sparse", "--weight-sparsity", "2:4") == 2
    assert "--output" in capsys.readouterr().err


def test_command_trains_one_variant_from_another(teacher, config, tmp_path, monkeypatch, capsys):
    """Dense first, then ReLU from it, with zero weights; the held-out file holds the sentences measured on."""
    quick = Recipe(epochs=2, batch=8, rate=3e-3, deviation=0.1)
    monkeypatch.setattr(train_module, "CONFIG", config)
    monkeypatch.setattr(train_command_module, "VARIANTS", {
        name: dataclasses.replace(variant, recipe=quick) for name, variant in VARIANTS.items()})
    monkeypatch.setattr(train_command_module, "fetch_reviews", lambda cache: word_reviews(120))
    monkeypatch.setattr(train_command_module, "fetch_minilm", lambda cache: teacher.folder)
    (tmp_path / "list").write_text("")
    given = ["--cache", tmp_path / "cache", "--exclusions", tmp_path / "list"]
    assert not command(monkeypatch, *given)
    assert not command(monkeypatch, *given, "--variant", "sparse", "--weight-sparsity", "1:4", "-o", tmp_path / "one")
    assert weight_zeros(load_checkpoint(tmp_path / "one")) == 0.75
    capsys.readouterr()
    assert not command(monkeypatch, *given, "--variant", "relu", "--held-out", tmp_path / "h.tsv", "--json",
                       tmp_path / "r.json", "-o", tmp_path / "relu", "--seed", 3)
    values = json.loads((tmp_path / "r.json").read_text())
    held_out = read_labelled(tmp_path / "h.tsv", Targets(config))
    relu, dense = (load_checkpoint(tmp_path / name) for name in ("relu", "bert-tiny-reviews"))
    share, error = accuracy(relu, held_out.texts, held_out.labels)
    assert values["sets"] == {"held out": {"sentences": 24, "accuracy": share, "accuracy_stderr": error}}
    assert (relu.config.hidden_act, dense.config.hidden_act) == ("relu", "gelu")
    assert weight_zeros(relu) == pytest.approx(VARIANTS["relu"].pruning.weight_sparsity, abs=0.01)
    assert weight_zeros(dense) == 0
    # Weights that begin at random point the same way only if one model began as the other.
    both = (model.tensors["pooler.dense.weight"].flatten() for model in (relu, dense))
    assert float(torch.cosine_similarity(*both, dim=0)) > 0.5
    assert f"held out: {share:.2%} of 24" in capsys.readouterr().out


@pytest.mark.parametrize("variant", VARIANTS)
def test_committed_models(variant):
    checkpoint = load_checkpoint(MODELS / VARIANTS[variant].folder)
    config = checkpoint.config
    assert (config.num_hidden_layers, config.hidden_size, config.intermediate_size) == (2, 128, 512)
    assert (config.num_attention_heads, config.head_size) == (2, 64)
    assert config.hidden_act == VARIANTS[variant].hidden_act
    pruned = VARIANTS[variant].pruning
    assert weight_zeros(checkpoint) == pytest.approx(zero_share(pruned.weight_sparsity) if pruned else 0, abs=1e-4)
    if pruned:
        assert all(torch.equal(prune_weights(matrix, pruned.weight_sparsity), matrix) for name, matrix in
                   checkpoint.tensors.items() if matrix.ndim == 2 and name.startswith("encoder"))
    sites = SiteCurves.load(MODELS / VARIANTS[variant].folder / "sites.json", checkpoint)
    assert sites.taus.keys() == set(site_names(checkpoint)) and 0.4 < sites.point < 0.8
    assert config.id2label == {0: "negative", 1: "positive"} and config.max_position_embeddings == 512
    assert all(tensor.abs().max() < 8 for tensor in checkpoint.tensors.values())
    texts = ["A wonderful, moving film.", "A dull and lifeless mess.", "Funny, warm and beautifully acted.",
             "The worst movie of the year."]
    assert accuracy(checkpoint, texts, [1, 0, 1, 0])[0] == 1.0
    assert len(read_exclusions(EXCLUSIONS)) == 872
