"""Model folders that cannot run: one line that says why, exit code 2, and nothing written."""

import os
import pickle
import shutil
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from acceltran.cli import main as cli
from acceltran.sw.models.registry import FAMILIES as KNOWN
from support.reference import FAMILIES, make_model, make_reference
from support.tokenizer_folders import edit_json, make_folder


class Code:
    """What a pickle of it would do when it is read."""

    def __reduce__(self):
        return os.mkdir, ("ran",)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder of each family, of one kind each, made when it is asked for."""
    root, folders = tmp_path_factory.mktemp("made"), {}

    def make(family, kind="two-labels", **options):
        key = family, kind, *options
        if key not in folders:
            folders[key] = make_reference(root / "-".join(key), family, kind, **options)[0]
        return folders[key]
    return make


@pytest.fixture
def refuse(tmp_path, monkeypatch, capsys):
    """Compile for a copy of a folder that a function spoils: code 2, one line that holds `words`, and no file made."""
    monkeypatch.chdir(tmp_path)

    def run(folder, spoil, *words, options=()):
        shutil.copytree(folder, "model")
        spoil(tmp_path / "model")
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
        monkeypatch.setattr(sys, "argv", ["acceltran", "compile", "--config", "nano", "--model", "model", "--text", "a fox",
                                          "-o", "program", *options])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        out, err = capsys.readouterr()
        assert (stop.value.code, out, err.count("\n")) == (2, "", 1), (out, err)
        assert err.startswith("error: model"), err
        assert all(word in err for word in words), (words, err)
        assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    return run


def config(**fields):
    """What changes fields of config.json."""
    return lambda folder: edit_json(folder / "config.json", **fields)


@pytest.mark.parametrize("model_type", ["deberta-v2", "gpt2", "t5", "modernbert"])
def test_models_of_other_kinds(made, refuse, model_type):
    refuse(made("bert"), config(model_type=model_type), "config.json", repr(model_type), "known are", *KNOWN)


def other_families():
    """Pairs whose weights differ by their names."""
    for family in FAMILIES:
        for other in ("bert", "roberta", "albert", "distilbert"):
            if KNOWN[other].prefix != KNOWN[family].prefix:
                yield family, other


@pytest.mark.parametrize(("family", "other"), list(other_families()), ids=str)
def test_weights_of_another_family(made, refuse, family, other):
    def swap(folder):
        shutil.copy(made(other) / "model.safetensors", folder)

    refuse(made(family), swap, "model.safetensors", f"weights of {KNOWN[other].title}", KNOWN[family].title, "one model")


@pytest.mark.parametrize(("family", "other"), [("bert", "albert"), ("roberta", "distilbert"), ("distilbert", "bert"),
                                               ("distilbert", "albert"), ("albert", "bert")], ids=str)
def test_weights_of_another_family_without_a_prefix(made, refuse, family, other):
    def swap(folder):
        shutil.copy(made(other, "base") / "model.safetensors", folder)

    refuse(made(family, "base"), swap, "model.safetensors", f"weights of {KNOWN[other].title}", KNOWN[family].title)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("head", ["ForMultipleChoice", "ForNextSentencePrediction"])
def test_heads_that_are_not_known(made, refuse, family, head):
    name = f"{FAMILIES[family]}{head}"
    refuse(made(family), config(architectures=[name]), "config.json", name, "add --task", "hidden-states")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("field", "value"), [("is_decoder", True), ("add_cross_attention", True), ("pruned_heads", {"0": [1]}),
                                              ("auto_map", {"AutoModel": "own.Model"}), ("hidden_act", "mish")])
def test_fields_that_change_the_computation(made, refuse, family, field, value):
    field = "activation" if (family, field) == ("distilbert", "hidden_act") else field
    refuse(made(family), config(**{field: value}), "config.json", field, str(value))


@pytest.mark.parametrize(("family", "fields", "word"), [
    ("bert", {"position_embedding_type": "relative_key"}, "absolute"), ("albert", {"inner_group_num": 2}, "inner_group_num"),
    ("electra", {"embedding_size": 0}, "embedding_size"), ("roberta", {"pad_token_id": -1}, "pad_token_id"),
    ("xlm-roberta", {"max_position_embeddings": 2}, "max_position_embeddings"), ("distilbert", {"n_heads": 5}, "num_attention"),
    ("albert", {"num_hidden_groups": 0}, "num_hidden_groups"),
    ("bert", {"problem_type": "ranking"}, "problem_type")], ids=str)
def test_fields_of_a_family(made, refuse, family, fields, word):
    refuse(made(family), config(**fields), "model", word)


@pytest.mark.parametrize("family", FAMILIES)
def test_tensors_of_the_encoder_that_would_be_left_out(made, refuse, family):
    def add(folder):
        tensors = load_file(folder / "model.safetensors")
        name = next(name for name in tensors if name.endswith(("query.weight", "q_lin.weight", "attn.q.weight")))
        save_file(tensors | {name.replace("weight", "lora_A"): torch.zeros(4, 32)}, folder / "model.safetensors")

    refuse(made(family), add, "model.safetensors", "lora_A", f"use a plain {KNOWN[family].title}")


@pytest.mark.parametrize("family", FAMILIES)
def test_tensors_that_are_not_there(made, refuse, family):
    def remove(folder):
        tensors = load_file(folder / "model.safetensors")
        del tensors[next(name for name in tensors if name.endswith(("ffn.bias", "lin1.bias", "intermediate.dense.bias")))]
        save_file(tensors, folder / "model.safetensors")

    refuse(made(family), remove, "model.safetensors", "intermediate.dense.bias", "is missing")


@pytest.mark.parametrize("form", ["bert.safetensors", "roberta.bin"])
def test_shards(made, refuse, form):
    family, safe = form.split(".")[0], form.endswith("safetensors")
    folder = made(family, "tokens", max_shard_size="20KB", safe_serialization=safe)
    shard = sorted(path.name for path in folder.glob("*-of-*"))[1]

    def cut(folder):
        path = folder / shard
        path.write_bytes(path.read_bytes()[:-200])

    refuse(folder, cut, shard, "truncated", "fetch")


def test_a_shard_that_the_index_names_is_missing(made, refuse):
    folder = made("bert", "tokens", max_shard_size="20KB", safe_serialization=True)
    shard = sorted(path.name for path in folder.glob("*-of-*"))[1]
    refuse(folder, lambda folder: (folder / shard).unlink(), shard, "missing", "model.safetensors.index.json")


@pytest.mark.parametrize(("save", "word"), [
    (torch.save, "mkdir, not only tensors, and was not executed"),
    (lambda value, path: path.write_bytes(pickle.dumps(value)), "no file of torch.save")], ids=["archive", "pickle"])
def test_code_in_a_pickle_is_not_run(made, refuse, tmp_path, save, word):
    def add(folder):
        tensors = load_file(folder / "model.safetensors")
        (folder / "model.safetensors").unlink()
        save(tensors | {"extra": Code()}, folder / "pytorch_model.bin")

    refuse(made("electra"), add, "pytorch_model.bin", word)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_tokenizer_of_a_larger_vocabulary(made, refuse, family):
    refuse(made(family), lambda folder: _shrink(folder, family), "tokenizer.json", "vocab_size")


def _shrink(folder, family):
    """Put weights of a smaller vocabulary there."""
    model = make_model(family, "two-labels", vocab_size=99)
    model.save_pretrained(folder)


@pytest.mark.parametrize(("family", "other"), [("bert", "roberta"), ("roberta", "bert"), ("albert", "electra")], ids=str)
def test_a_tokenizer_of_another_family(made, refuse, family, other):
    def swap(folder):
        make_folder(folder / "other", other)
        shutil.move(folder / "other" / "tokenizer.json", folder / "tokenizer.json")

    refuse(made(family), swap, "tokenizer.json")
