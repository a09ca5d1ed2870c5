"""Folders of sentence-transformers: what is read of them, how they pool, and what is refused in one line that says why."""

import json
import math

import pytest
import torch
from safetensors.torch import save_file

from acceltran.sw.models.sentence_modules import POOLING_MODES, Dense, Normalize, pool, read_sentence_modules
from support.refusals import refused

OLD, NEW = "sentence_transformers.models.", "sentence_transformers.base.modules.x."
TANH = "torch.nn.modules.activation.Tanh"
FLAGS = {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": False, "pooling_mode_max_tokens": False,
         "pooling_mode_mean_sqrt_len_tokens": False}
HIDDEN = torch.tensor([[[1.0, -2.0], [3.0, 4.0], [5.0, -8.0], [90.0, 90.0]], [[-3.0, -4.0]] + [[70.0, 70.0]] * 3])
LENGTHS = [3, 1]


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path


def make_folder(folder, *kinds, root="", prefix=OLD, pooling=None):
    """A folder whose modules are Transformer, Pooling and `kinds`; returns the folder of the first of `kinds`, if any."""
    names = ("Transformer", "Pooling", *kinds)
    paths = [root, *(f"{number}_{kind}" for number, kind in enumerate(names) if number)]
    write(folder / "modules.json", [{"idx": number, "name": str(number), "path": path, "type": prefix + kind}
                                    for number, (path, kind) in enumerate(zip(paths, names, strict=True))])
    write(folder / root / "sentence_bert_config.json", {"max_seq_length": 16, "do_lower_case": False})
    write(folder / "1_Pooling" / "config.json",
          {"word_embedding_dimension": 2} | (pooling or FLAGS | {"pooling_mode_mean_tokens": True}))
    return folder / paths[2] if kinds else None


def add_dense(folder, weight, offsets=None, name=TANH, safe=True, **fields):
    write(folder / "config.json", {"in_features": weight.shape[1], "out_features": weight.shape[0],
                                   "bias": offsets is not None, "activation_function": name} | fields)
    tensors = {"linear.weight": weight} | ({} if offsets is None else {"linear.bias": offsets})
    if safe:
        save_file(tensors, folder / "model.safetensors")
    else:
        torch.save(tensors, folder / "pytorch_model.bin")


def pooled(folder, *modes, steps=(), hidden=HIDDEN, **fields):
    make_folder(folder, *steps, pooling={"pooling_mode": list(modes)} | fields)
    return pool(hidden, LENGTHS, read_sentence_modules(folder))


def test_folder_without_modules(tmp_path):
    assert read_sentence_modules(tmp_path) is None


@pytest.mark.parametrize("root", ["", "0_Transformer"])
def test_reads_a_folder(tmp_path, root):
    make_folder(tmp_path, "Dropout", "Normalize", root=root)
    modules = read_sentence_modules(tmp_path)
    assert (modules.folder, modules.transformer) == (tmp_path, tmp_path / root)
    assert (modules.max_seq_length, modules.do_lower_case) == (16, False)
    assert (modules.pooling, modules.width, modules.include_prompt) == (("mean",), 2, True)
    assert modules.steps == (Normalize(),)
    assert (modules.prompts, modules.prompt, modules.similarity, modules.truncate_dim) == ({}, "", "cosine", None)
    assert modules.prepare(" A text ") == "A text"


def test_reads_a_folder_of_a_newer_release(tmp_path):
    dense = make_folder(tmp_path, "Dense", "Normalize", prefix=NEW)
    write(tmp_path / "1_Pooling" / "config.json",
          {"embedding_dimension": 2, "pooling_mode": ["max", "cls"], "include_prompt": False})
    (tmp_path / "sentence_bert_config.json").write_text(json.dumps({
        "transformer_task": "feature-extraction", "module_output_name": "token_embeddings",
        "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}}))
    names = {"module_input_name": "sentence_embedding", "module_output_name": "sentence_embedding"}
    add_dense(dense, torch.ones(3, 4), **names)
    write(tmp_path / "3_Normalize" / "config.json", names)
    write(tmp_path / "config_sentence_transformers.json", {"model_type": "SentenceTransformer", "truncate_dim": 2,
                                                           "similarity_fn_name": "dot_product"})
    modules = read_sentence_modules(tmp_path)
    assert (modules.pooling, modules.width, modules.include_prompt) == (("max", "cls"), 2, False)
    assert (modules.similarity, modules.truncate_dim) == ("dot", 2)
    assert pool(HIDDEN, LENGTHS, modules).shape == (2, 2)


@pytest.mark.parametrize(("positions", "limit", "longest"), [(512, 256, 256), (128, 256, 128), (128, None, 128),
                                                             (128, 10**30, 128), (None, 64, 64), (None, 10**30, None)])
def test_longest_length_where_none_is_stated(tmp_path, positions, limit, longest):
    make_folder(tmp_path)
    write(tmp_path / "sentence_bert_config.json", {"max_seq_length": None})
    write(tmp_path / "config.json", {} if positions is None else {"max_position_embeddings": positions})
    write(tmp_path / "tokenizer_config.json", {} if limit is None else {"model_max_length": limit})
    assert read_sentence_modules(tmp_path).max_seq_length == longest
    (tmp_path / "sentence_bert_config.json").unlink()
    assert read_sentence_modules(tmp_path).max_seq_length == longest
    write(tmp_path / "sentence_roberta_config.json", {"max_seq_length": 30, "do_lower_case": True})
    modules = read_sentence_modules(tmp_path)
    assert (modules.max_seq_length, modules.do_lower_case) == (30, True)


def test_prompt_and_lower_case_change_the_text(tmp_path):
    make_folder(tmp_path)
    write(tmp_path / "sentence_bert_config.json", {"max_seq_length": 8, "do_lower_case": True})
    settings = {"prompts": {"query": "Query: ", "document": None}, "default_prompt_name": None}
    write(tmp_path / "config_sentence_transformers.json", settings)
    assert read_sentence_modules(tmp_path).prepare("A B ") == "a b"
    write(tmp_path / "config_sentence_transformers.json", settings | {"default_prompt_name": "query"})
    modules = read_sentence_modules(tmp_path)
    assert modules.prompt == "Query: " and modules.prompts["document"] == ""
    assert modules.prepare("A B ") == "query: a b"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("mode", "expected"), [
    ("cls", [[1.0, -2.0], [-3.0, -4.0]]),
    ("max", [[5.0, 4.0], [-3.0, -4.0]]),
    ("mean", [[3.0, -2.0], [-3.0, -4.0]]),
    ("mean_sqrt_len_tokens", [[9 / math.sqrt(3), -6 / math.sqrt(3)], [-3.0, -4.0]]),
    ("weightedmean", [[(1 + 6 + 15) / 6, (-2 + 8 - 24) / 6], [-3.0, -4.0]]),
    ("lasttoken", [[5.0, -8.0], [-3.0, -4.0]])])
def test_pooling(tmp_path, mode, expected, dtype):
    vectors = pooled(tmp_path, mode, hidden=HIDDEN.to(dtype))
    assert vectors.dtype == dtype
    torch.testing.assert_close(vectors, torch.tensor(expected, dtype=dtype))


def test_several_modes_are_concatenated(tmp_path):
    assert torch.equal(pooled(tmp_path, "max", "cls"), torch.tensor([[5.0, 4.0, 1.0, -2.0], [-3.0, -4.0, -3.0, -4.0]]))
    make_folder(tmp_path, pooling=dict.fromkeys(
        (*FLAGS, "pooling_mode_weightedmean_tokens", "pooling_mode_lasttoken"), True))
    assert read_sentence_modules(tmp_path).pooling == POOLING_MODES


def test_padding_has_no_influence(tmp_path):
    padded = HIDDEN.clone()
    padded[0, 3:], padded[1, 1:] = torch.nan, torch.inf
    assert torch.equal(pooled(tmp_path, *POOLING_MODES, hidden=padded), pooled(tmp_path, *POOLING_MODES))


def test_prompt_is_left_out_of_the_pooling(tmp_path):
    make_folder(tmp_path, pooling={"pooling_mode": list(POOLING_MODES), "include_prompt": False})
    modules = read_sentence_modules(tmp_path)
    expected = torch.tensor([[3.0, 4.0, 5.0, 4.0, 4.0, -2.0, 8 / math.sqrt(2), -4 / math.sqrt(2), 21 / 5, -16 / 5, 5.0, -8.0],
                             [-3.0, -4.0] * 6])
    torch.testing.assert_close(pool(HIDDEN, LENGTHS, modules, prompt_tokens=1), expected)
    make_folder(tmp_path, pooling={"pooling_mode": "mean"})
    modules = read_sentence_modules(tmp_path)
    assert torch.equal(pool(HIDDEN, LENGTHS, modules, prompt_tokens=1), pool(HIDDEN, LENGTHS, modules))


@pytest.mark.parametrize("safe", [True, False])
def test_dense_and_normalize(tmp_path, safe):
    dense = make_folder(tmp_path, "Dense", "Dense", "Normalize")
    weight, bias = torch.tensor([[0.5, 0.0], [0.0, 0.25], [0.0, 0.0]]), torch.tensor([0.0, 0.0, 1.0])
    add_dense(dense, weight, bias, safe=safe)
    add_dense(tmp_path / "3_Dense", torch.tensor([[2.0, 0.0, 0.0], [0.0, 0.0, 1.0]]).half(), safe=safe,
              name="torch.nn.modules.linear.Identity")
    modules = read_sentence_modules(tmp_path)
    assert [type(step) for step in modules.steps] == [Dense, Dense, Normalize]
    rows = [[2 * math.tanh(0.5 * mean), math.tanh(1.0)] for mean in (3.0, -3.0)]
    expected = torch.tensor([[value / math.hypot(*row) for value in row] for row in rows])
    torch.testing.assert_close(pool(HIDDEN, LENGTHS, modules), expected)
    torch.testing.assert_close(pool(HIDDEN.double(), LENGTHS, modules).float(), expected)


@pytest.mark.parametrize(("name", "expected"), [
    ("activation.ReLU", [3.0, 0.0]), ("linear.Identity", [3.0, -2.0]), ("activation.Tanh", [math.tanh(3), math.tanh(-2)]),
    ("activation.Sigmoid", [1 / (1 + math.exp(-3)), 1 / (1 + math.exp(2))]),
    ("activation.GELU", [value * (1 + math.erf(value / math.sqrt(2))) / 2 for value in (3.0, -2.0)])])
def test_activations(tmp_path, name, expected):
    add_dense(make_folder(tmp_path, "Dense"), torch.eye(2), name=f"torch.nn.modules.{name}")
    torch.testing.assert_close(pool(HIDDEN, LENGTHS, read_sentence_modules(tmp_path))[0], torch.tensor(expected))


def test_normalize_of_a_zero_vector(tmp_path):
    assert torch.equal(pooled(tmp_path, "mean", steps=("Normalize",), hidden=torch.zeros(2, 4, 2)), torch.zeros(2, 2))


def test_pooling_of_another_width(tmp_path):
    refused(lambda: pooled(tmp_path, "mean", hidden=torch.zeros(2, 4, 3)), "modules.json: ", "vectors of 2 elements", "gives 3")


@pytest.mark.parametrize("kind", [OLD + "CNN", OLD + "LSTM", OLD + "BoW", OLD + "WordEmbeddings", "custom_st.Transformer"])
def test_unknown_modules(tmp_path, kind):
    make_folder(tmp_path)
    path = write(tmp_path / "modules.json", [{"idx": 0, "name": "0", "path": "", "type": kind}])
    refused(lambda: read_sentence_modules(tmp_path), f"{path}: module {kind} is not known",
            "Transformer, Pooling, Dense, Dropout, Normalize")


@pytest.mark.parametrize("kinds", [("Transformer",), ("Pooling", "Transformer"), ("Transformer", "Dense", "Pooling"),
                                   ("Transformer", "Pooling", "Pooling"), ("Transformer", "Normalize")])
def test_modules_in_another_order(tmp_path, kinds):
    write(tmp_path / "modules.json", [{"path": "", "type": OLD + kind} for kind in kinds])
    refused(lambda: read_sentence_modules(tmp_path), f"the modules are {', '.join(kinds)}", "one Transformer, one Pooling")


@pytest.mark.parametrize(("modules", "found"), [
    ({}, "holds a dict, not a list"), ([], "no list of modules"), ([1], "no list of modules"), ([{"path": ""}], "no list"),
    ([{"type": OLD + "Pooling", "path": 1}], "no list"),
    ([{"type": OLD + "Pooling", "path": "../1"}], "outside of the folder")])
def test_list_of_modules_of_a_bad_shape(tmp_path, modules, found):
    path = write(tmp_path / "modules.json", modules)
    refused(lambda: read_sentence_modules(tmp_path), f"{path}: ", found)


@pytest.mark.parametrize(("file", "fields", "words"), [
    ("sentence_bert_config.json", {"max_seq_length": 0}, ["max_seq_length is 0"]),
    ("sentence_bert_config.json", {"do_lower_case": "yes"}, ["do_lower_case is 'yes'"]),
    ("sentence_bert_config.json", {"transformer_task": "fill-mask"}, ["transformer_task is 'fill-mask'"]),
    ("sentence_bert_config.json", {"query_expansion": {"length": 32}}, ["query_expansion"]),
    ("sentence_bert_config.json", {"modality_config": {"text": {"method_output_name": "logits"}}}, ["'logits'"]),
    ("sentence_bert_config.json", {"modality_config": 1}, ["modality_config is 1"]),
    ("sentence_bert_config.json", {"tokenizer_args": {"model_max_length": 4}}, ["tokenizer_args", "remove the field"]),
    ("sentence_bert_config.json", {"config_args": {"num_hidden_layers": 4}}, ["config_args", "remove the field"]),
    ("1_Pooling/config.json", {}, ["word_embedding_dimension is missing"]),
    ("1_Pooling/config.json", {"word_embedding_dimension": 2, "pooling_mode": "median"}, ["median", "weightedmean"]),
    ("1_Pooling/config.json", {"word_embedding_dimension": 2, "pooling_mode": 3}, ["pooling_mode is 3"]),
    ("1_Pooling/config.json", {"word_embedding_dimension": 2, "pooling_mode": []}, ["pooling_mode is []"]),
    ("1_Pooling/config.json", {"word_embedding_dimension": 2} | FLAGS, ["sets no mode of pooling"]),
    ("1_Pooling/config.json", {"word_embedding_dimension": 2, "pooling_mode_cls_token": True}, ["mean_tokens is missing"]),
    ("1_Pooling/config.json", {"word_embedding_dimension": 2, "pooling_mode_mean_tokens": 1}, ["neither true nor false"]),
    ("config_sentence_transformers.json", {"prompts": ["a"]}, ["prompts is ['a']"]),
    ("config_sentence_transformers.json", {"prompts": {"a": 1}}, ["not an object of texts"]),
    ("config_sentence_transformers.json", {"default_prompt_name": "q"}, ["default_prompt_name is 'q'", "none"]),
    ("config_sentence_transformers.json", {"default_prompt_name": []}, ["default_prompt_name is []"]),
    ("config_sentence_transformers.json", {"similarity_fn_name": "maxsim"}, ["'maxsim'", "cosine, dot"]),
    ("config_sentence_transformers.json", {"similarity_fn_name": {}, "truncate_dim": 0}, ["truncate_dim is 0"]),
    ("config_sentence_transformers.json", {"model_type": "SparseEncoder"}, ["'SparseEncoder'"]),
    ("2_Normalize/config.json", {"module_input_name": "token_embeddings"}, ["module_input_name is 'token_embeddings'"])])
def test_fields_that_are_refused(tmp_path, file, fields, words):
    make_folder(tmp_path, "Normalize")
    write(tmp_path / file, fields)
    refused(lambda: read_sentence_modules(tmp_path), f"{tmp_path / file}: ", *words)


def test_pooling_without_config(tmp_path):
    make_folder(tmp_path)
    (tmp_path / "1_Pooling" / "config.json").unlink()
    refused(lambda: read_sentence_modules(tmp_path), "config.json: file is missing: modules.json names its module")


@pytest.mark.parametrize(("change", "words"), [
    ({"in_features": 3}, ["in_features is 3 but what comes before gives 2"]),
    ({"out_features": 4}, ["tensor linear.weight is [3, 2] but config.json asks for [4, 2]"]),
    ({"bias": False}, ["tensor linear.bias has no place"]),
    ({"activation_function": "custom.Tanh"}, ["activation_function custom.Tanh is not known", "Tanh, Identity"]),
    ({"activation_function": "torch.nn.modules.activation.Mish"}, ["Mish is not known"]),
    ({"use_residual": True}, ["use_residual"]),
    ({"module_output_name": "scores"}, ["module_output_name is 'scores'"])])
def test_dense_that_is_refused(tmp_path, change, words):
    dense = make_folder(tmp_path, "Dense")
    add_dense(dense, torch.ones(3, 2), torch.ones(3), **change)
    refused(lambda: read_sentence_modules(tmp_path), dense, *words)


def test_tensors_of_dense_that_are_refused(tmp_path):
    dense = make_folder(tmp_path, "Dense")
    add_dense(dense, torch.ones(3, 2), bias=True)
    refused(lambda: read_sentence_modules(tmp_path), "tensor linear.bias is missing")
    add_dense(dense, torch.ones(3, 2, dtype=torch.int32))
    refused(lambda: read_sentence_modules(tmp_path), "model.safetensors: tensor linear.weight is int32: store it as float32")
    add_dense(dense, torch.full((3, 2), torch.nan))
    refused(lambda: read_sentence_modules(tmp_path), "holds infinite or NaN values")
    (dense / "model.safetensors").unlink()
    refused(lambda: read_sentence_modules(tmp_path), f"{dense}: holds no weights")
