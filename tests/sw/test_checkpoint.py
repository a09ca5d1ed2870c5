"""Model folders: what is read, and what is refused in one line that says why."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.encoder_config import EncoderConfig
from acceltran.sw.models.sentences import encode_texts
from support.models import make_checkpoint, random_texts
from support.refusals import refused

QUERY = "bert.encoder.layer.0.attention.self.query.weight"


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("good"))


@pytest.fixture
def folder(good, tmp_path):
    return shutil.copytree(good, tmp_path / "model")


def edit_config(folder, **fields):
    path = folder / "config.json"
    config = json.loads(path.read_text()) | fields
    path.write_text(json.dumps({name: value for name, value in config.items() if value != "absent"}))


def edit_tensors(folder, **changes):
    tensors = load_file(folder / "model.safetensors") | {name.replace("__", "."): v for name, v in changes.items()}
    save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, folder / "model.safetensors")


def shapes_of(checkpoint):
    return checkpoint.family.tensor_shapes(checkpoint.config, checkpoint.head)


def test_reads_config_tensors_and_tokenizer(good):
    checkpoint = load_checkpoint(good)
    assert checkpoint.config == EncoderConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, vocab_size=64,
        position_rows=32, type_vocab_size=2, hidden_act="gelu", layer_norm_eps=1e-12, num_labels=2,
        id2label={0: "class0", 1: "class1"})
    assert checkpoint.config.head_size == 16
    assert checkpoint.has_classifier
    assert {name: tuple(t.shape) for name, t in checkpoint.tensors.items()} == shapes_of(checkpoint)
    stored = load_file(good / "model.safetensors")
    assert torch.equal(checkpoint.tensors["encoder.layer.0.attention.self.query.weight"], stored[QUERY])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("prefix", ["", "bert."])
def test_precisions_and_prefixes(tmp_path, dtype, prefix):
    checkpoint = load_checkpoint(make_checkpoint(tmp_path, dtype=dtype, prefix=prefix))
    exact = load_checkpoint(make_checkpoint(tmp_path / "exact"))
    for name, tensor in checkpoint.tensors.items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, exact.tensors[name].to(dtype).float())


@pytest.mark.parametrize(("pooler", "labels", "head"), [(False, 2, False), (True, 0, False), (True, 3, True)])
def test_heads(tmp_path, pooler, labels, head):
    checkpoint = load_checkpoint(make_checkpoint(tmp_path, pooler=pooler, labels=labels))
    assert ("pooler.dense.weight" in checkpoint.tensors, checkpoint.has_classifier) == (pooler, head)
    assert not head or checkpoint.tensors["classifier.weight"].shape == (labels, 32)


def test_other_tensors_and_old_names(folder):
    gamma = load_file(folder / "model.safetensors")["bert.embeddings.LayerNorm.weight"]
    edit_tensors(folder, bert__embeddings__position_ids=torch.arange(32), cls__predictions__bias=torch.zeros(64),
                 bert__embeddings__LayerNorm__weight=None, bert__embeddings__LayerNorm__gamma=gamma)
    checkpoint = load_checkpoint(folder)
    assert set(checkpoint.tensors) == set(shapes_of(checkpoint))
    assert torch.equal(checkpoint.tensors["embeddings.LayerNorm.weight"], gamma)


def test_missing_folder_and_files(folder):
    refused(lambda: load_checkpoint(folder / "nothing"), "nothing", "no such folder")
    for name, words in (("model.safetensors", "no weights"), ("tokenizer.json", "no vocab.txt"), ("config.json", "missing")):
        (folder / name).unlink()
        refused(lambda: load_checkpoint(folder), name, words)


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_truncated_weights(folder, keep):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    refused(lambda: load_checkpoint(folder), "model.safetensors", "truncated or corrupt", "fetch")


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff", '{"hidden_size": 1,}'])
def test_invalid_config_file(folder, text):
    (folder / "config.json").write_bytes(text.encode("latin-1"))
    refused(lambda: load_checkpoint(folder), "config.json", "fetch")


@pytest.mark.parametrize(("field", "value"), [
    ("hidden_size", "absent"), ("hidden_size", 0), ("num_hidden_layers", -1), ("vocab_size", "64"),
    ("intermediate_size", 1.5), ("num_attention_heads", True), ("num_attention_heads", 5), ("type_vocab_size", 0),
    ("hidden_act", "gelu_10"), ("hidden_act", "mish"), ("hidden_act", ["gelu"]), ("layer_norm_eps", 0),
    ("layer_norm_eps", "tiny"), ("model_type", "deberta-v2"), ("position_embedding_type", "relative_key"),
    ("id2label", {}), ("id2label", {"1": "a", "2": "b"}), ("id2label", ["a", "b"]), ("num_labels", 3)])
def test_refused_config_fields(folder, field, value):
    edit_config(folder, **{field: value})
    refused(lambda: load_checkpoint(folder), field, *([] if value == "absent" else [value]))


def test_default_config_fields(folder):
    edit_config(folder, **dict.fromkeys(("type_vocab_size", "hidden_act", "layer_norm_eps", "id2label"), "absent"))
    config = load_checkpoint(folder).config
    assert (config.type_vocab_size, config.hidden_act, config.layer_norm_eps) == (2, "gelu", 1e-12)
    assert config.id2label == {0: "LABEL_0", 1: "LABEL_1"}


@pytest.mark.parametrize(("tensor", "words"), [
    (None, ["missing", "[32, 32]"]),
    (torch.zeros(32, 31), ["[32, 31]", "[32, 32]"]),
    (torch.zeros(32, 32, dtype=torch.int8), ["int8", "float16"]),
    (torch.full((32, 32), torch.nan), ["1024", "NaN"])])
def test_refused_tensors(folder, tensor, words):
    edit_tensors(folder, **{QUERY: tensor})
    refused(lambda: load_checkpoint(folder), "model.safetensors", QUERY.removeprefix("bert."), *words)


def test_layers_that_are_not_there(folder):
    edit_config(folder, num_hidden_layers=3)
    refused(lambda: load_checkpoint(folder), "encoder.layer.2.attention.self.query.weight", "missing")


@pytest.mark.parametrize(("field", "value", "words"), [
    ("is_decoder", True, ["causal"]), ("add_cross_attention", True, ["cross-attention"]), ("is_encoder_decoder", True, []),
    ("cross_attention_hidden_size", 64, ["cross-attention"]), ("pruned_heads", {"0": [1]}, ["heads"]),
    ("auto_map", {"AutoModel": "own.Model"}, ["code"]), ("quantization_config", {"bits": 4}, ["packed"]),
    ("position_embedding_type", "relative_key_query", ["absolute"])])
def test_m1_what_changes_the_computation_is_refused(folder, field, value, words):
    edit_config(folder, **{field: value})
    refused(lambda: load_checkpoint(folder), "config.json", field, value, "use a", *words)


def test_m1_fields_that_change_nothing_are_read(folder):
    edit_config(folder, is_decoder=False, add_cross_attention=False, pruned_heads={}, use_cache=True, chunk_size_feed_forward=8,
                auto_map=None, hidden_dropout_prob=0.3, tie_word_embeddings=False, torch_dtype="float16")
    load_checkpoint(folder)


@pytest.mark.parametrize(("name", "words"), [
    ("bert.encoder.layer.0.crossattention.self.query.weight", ["cross-attention"]),
    ("bert.encoder.layer.1.attention.self.distance_embedding.weight", ["distance_embedding"]),
    ("encoder.layer.0.attention.self.query.lora_A", ["lora_A"]), ("bert.encoder.layer.2.output.dense.bias", ["layer.2"]),
    ("bert.embeddings.project.weight", ["project"]), ("pooler.extra.weight", ["extra"])])
def test_m1_tensors_that_would_be_left_out_are_refused(folder, name, words):
    edit_tensors(folder, **{name: torch.zeros(3)})
    refused(lambda: load_checkpoint(folder), "model.safetensors", name.removeprefix("bert."), "use a plain BERT", *words)


@pytest.mark.parametrize(("name", "other"), [
    (QUERY, QUERY.removeprefix("bert.")), ("classifier.weight", "bert.classifier.weight"),
    ("bert.embeddings.LayerNorm.weight", "bert.embeddings.LayerNorm.gamma"),
    ("bert.encoder.layer.1.output.LayerNorm.bias", "encoder.layer.1.output.LayerNorm.beta")])
def test_m7_a_name_that_occurs_twice_is_refused(folder, name, other):
    edit_tensors(folder, **{other: load_file(folder / "model.safetensors")[name]})
    refused(lambda: load_checkpoint(folder), "model.safetensors", name, other, "remove")


def test_m7_a_field_that_occurs_twice_is_refused(folder):
    path = folder / "config.json"
    path.write_text(path.read_text().replace("{", '{"hidden_act": "relu", ', 1))
    refused(lambda: load_checkpoint(folder), "config.json", "hidden_act occurs twice", "remove")


def test_the_identity_is_that_of_the_computation(folder, good, tmp_path):
    identity = load_checkpoint(good).identity
    assert identity == load_checkpoint(folder).identity, "folders do not count"
    edit_config(folder, id2label={"0": "no", "1": "yes"}, architectures=["BertForSequenceClassification"])
    assert load_checkpoint(folder).identity == identity, "nor do the names of labels"
    edit_config(folder, hidden_act="relu")
    assert load_checkpoint(folder).identity != identity
    edit_config(folder, hidden_act="gelu")
    changed = load_file(folder / "model.safetensors")[QUERY].clone()
    changed[3, 4] += 1e-6
    edit_tensors(folder, **{QUERY: changed})
    assert load_checkpoint(folder).identity != identity
    assert load_checkpoint(make_checkpoint(tmp_path / "plain", prefix="")).identity == identity


def test_classifier_without_pooler(folder):
    edit_tensors(folder, bert__pooler__dense__weight=None, bert__pooler__dense__bias=None)
    assert load_checkpoint(folder).task.name == "token-classification"
    edit_config(folder, architectures=["BertForSequenceClassification"])
    refused(lambda: load_checkpoint(folder), "pooler.dense.weight", "missing")


def test_refused_tokenizers(folder, tmp_path):
    path = folder / "tokenizer.json"
    shutil.copy(make_checkpoint(tmp_path / "larger", vocab=65) / "tokenizer.json", path)
    refused(lambda: load_checkpoint(folder), "tokenizer.json", 64, "vocab_size")
    path.write_text(path.read_text().replace("[SEP]", "[END]"))
    refused(lambda: load_checkpoint(folder), "tokenizer.json", "[SEP]")
    path.write_text("{}")
    refused(lambda: load_checkpoint(folder), "tokenizer.json", "no valid tokenizer")


def test_encoding_pads_to_the_longest_or_the_length(good):
    checkpoint = load_checkpoint(good)
    ids, lengths = encode_texts(checkpoint, ["w0 W1", " w2\tw3 unknown w4 "])
    assert ids.tolist() == [[2, 5, 6, 3, 0, 0], [2, 7, 8, 1, 9, 3]]
    assert ids.dtype == torch.int64 and lengths == [4, 6]
    wide, same = encode_texts(checkpoint, ["w0 W1", "w2 w3 unknown w4"], length=32)
    assert same == lengths and wide.shape == (2, 32)
    assert torch.equal(wide[:, :6], ids) and not wide[:, 6:].any()


def test_tokenizer_files_own_truncation_and_padding_are_off(folder):
    path = folder / "tokenizer.json"
    fields = json.loads(path.read_text())
    fields["truncation"] = {"max_length": 4, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}
    fields["padding"] = {"strategy": {"Fixed": 30}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0,
                         "pad_type_id": 0, "pad_token": "[PAD]"}
    path.write_text(json.dumps(fields))
    assert encode_texts(load_checkpoint(folder), random_texts(1, 9))[1] == [11]


def test_refused_texts(good):
    checkpoint = load_checkpoint(good)
    assert encode_texts(checkpoint, random_texts(1, 30))[1] == [32]
    refused(lambda: encode_texts(checkpoint, random_texts(1, 31)), 33, 32, "max_position_embeddings")
    refused(lambda: encode_texts(checkpoint, random_texts(1, 7), length=8), 9, 8, "chosen length")
    refused(lambda: encode_texts(checkpoint, ["w1", " \t\n"]), "text 2 of 2", "empty")
    refused(lambda: encode_texts(checkpoint, []), "no text")
    for length in (2, 33):
        refused(lambda length=length: encode_texts(checkpoint, ["w1"], length=length), length, 32)
