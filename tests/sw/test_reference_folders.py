"""Folders as transformers and sentence-transformers write them: nothing is converted, and the outputs are theirs."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from acceltran.sw.models.answers import answers_of
from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.errors import ModelError
from acceltran.sw.models.sentences import encode_sentences
from support.reference import (
    FAMILIES,
    compare_floats,
    float_arrays,
    make_reference,
    reference_outputs,
    sentences_for,
    transformers,
)
from support.tokenizer_folders import SENTENCEPIECE, VOCABULARY, make_folder, train_pieces

BASES = {"bert": "bert", "distilbert": "distilbert", "roberta": "roberta", "xlm-roberta": "roberta", "camembert": "roberta",
         "electra": "electra", "albert": "albert", "mpnet": "mpnet"}
"""What stands before the encoder's tensors."""


def slow_tokenizer(folder, family):
    """Write the files of the tokenizer in Python, in place of tokenizer.json."""
    files = folder / "files"
    if family in SENTENCEPIECE:
        files.mkdir()
        train_pieces(pytest.importorskip("sentencepiece"), files / VOCABULARY[family], family)
        paths = {"vocab_file": files / VOCABULARY[family]}
    else:
        make_folder(files, family, "vocabulary")
        paths = ({"vocab_file": files / "vocab.json", "merges_file": files / "merges.txt"} if family == "roberta" else
                 {"vocab_file": files / "vocab.txt"})
    tokenizer_class = getattr(transformers, f"{FAMILIES[family]}Tokenizer")
    tokenizer_class(**{name: str(path) for name, path in paths.items()}).save_pretrained(folder)
    shutil.rmtree(files)
    (folder / "tokenizer.json").unlink()


@pytest.mark.parametrize("family", FAMILIES)
def test_pickles_and_the_slow_tokenizers_files(tmp_path, family):
    folder, model = make_reference(tmp_path, family, "five-labels", safe_serialization=False)
    slow_tokenizer(folder, family)
    names = {path.name for path in folder.iterdir()}
    assert {"pytorch_model.bin", "special_tokens_map.json", "tokenizer_config.json"} < names
    assert not {"tokenizer.json", "model.safetensors"} & names
    compare_floats(load_checkpoint(folder), model, sentences_for(family, "five-labels"))


@pytest.mark.parametrize("safe", [True, False], ids=["safetensors", "pickles"])
@pytest.mark.parametrize("family", ["roberta", "albert"])
def test_shards(tmp_path, family, safe):
    folder, model = make_reference(tmp_path, family, "masks", safe_serialization=safe, max_shard_size="20KB")
    assert len(list(folder.glob("*-of-*"))) > 2
    compare_floats(load_checkpoint(folder), model, sentences_for(family, "masks"))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("family", ["distilbert", "electra"])
def test_precisions(tmp_path, family, dtype):
    folder, model = make_reference(tmp_path, family, "tokens", dtype=dtype)
    assert {tensor.dtype for tensor in load_file(folder / "model.safetensors").values()} == {dtype}
    compare_floats(load_checkpoint(folder), model.float(), sentences_for(family, "tokens"))


@pytest.mark.parametrize("form", ["{base}.", "", "model.", "model.{base}.", "module.{base}.", "_orig_mod.{base}.",
                                  "0.auto_model."], ids=lambda form: form or "none")
@pytest.mark.parametrize("family", FAMILIES)
def test_what_stands_before_the_names(tmp_path, family, form):
    folder, model = make_reference(tmp_path, family, "base")
    tensors, prefix = load_file(folder / "model.safetensors"), form.format(base=BASES[family])
    save_file({f"{prefix}{name}": tensor for name, tensor in tensors.items()}, folder / "model.safetensors")
    compare_floats(load_checkpoint(folder), model, sentences_for(family, "base")[:2])


def sentence_transformers(folder, *kinds, **pooling):
    """Add the files that make a folder one of sentence-transformers."""
    paths = ["", *(f"{number}_{kind}" for number, kind in enumerate(kinds, 1))]
    modules = [{"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
               for number, (path, kind) in enumerate(zip(paths, ("Transformer", *kinds), strict=True))]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 64, "do_lower_case": False}))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 32} | pooling))


@pytest.mark.parametrize("family", FAMILIES)
def test_embeddings_of_sentence_transformers(tmp_path, family):
    folder, model = make_reference(tmp_path, family, "base")
    sentence_transformers(folder, "Pooling", "Normalize", pooling_mode_mean_tokens=True)
    sentences = [one.text for one in sentences_for(family, "base")]
    checkpoint = load_checkpoint(folder)
    assert checkpoint.task.name == "sentence-embedding"
    batch = encode_sentences(checkpoint, sentences)
    _, wanted = reference_outputs(folder, model, batch.sentences)
    got = float_arrays(checkpoint, batch, answers_of(checkpoint, batch))
    for one, other in zip(got, wanted, strict=True):
        mean = other["hidden_state"].mean(0)
        torch.testing.assert_close(one["embedding"].double(), mean / mean.norm(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("pooling", ["mean", "cls", "pooler"])
def test_embeddings_of_a_plain_folder(tmp_path, pooling):
    folder, model = make_reference(tmp_path, "bert", "base")
    checkpoint = load_checkpoint(folder, pooling=pooling)
    batch = encode_sentences(checkpoint, sentences_for("bert", "base"))
    _, wanted = reference_outputs(folder, model, batch.sentences)
    for one, other in zip(float_arrays(checkpoint, batch, answers_of(checkpoint, batch)), wanted, strict=True):
        vector = {"mean": other["hidden_state"].mean(0), "cls": other["hidden_state"][0], "pooler": other["pooler"]}[pooling]
        torch.testing.assert_close(one["embedding"].double(), vector, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("family", "unused"), [
    ("bert", ["bert.pooler.dense.bias", "bert.pooler.dense.weight", "cls.seq_relationship.bias", "1 more"]),
    ("roberta", []), ("albert", ["albert.pooler.bias", "albert.pooler.weight", "sop_classifier.classifier.bias", "1 more"])])
def test_of_pretraining_only_the_head_of_masks_is_used_and_the_rest_named(tmp_path, family, unused):
    kind = "ForPreTraining" if unused else "masks"
    folder, model = make_reference(tmp_path, family, kind)
    checkpoint = load_checkpoint(folder)
    assert checkpoint.task.name == "fill-mask"
    assert len(checkpoint.notes) == bool(unused)
    assert all(name in note for note in checkpoint.notes for name in unused)
    masked = getattr(transformers, f"{FAMILIES[family]}ForMaskedLM").from_pretrained(folder)
    compare_floats(checkpoint, masked, sentences_for(family, "masks"))


def test_other_tasks_of_one_folder(tmp_path):
    """A folder answers every task that it has tensors for, whatever its config.json names."""
    folder, model = make_reference(tmp_path, "bert", "two-labels")
    checkpoint = load_checkpoint(folder, "hidden-states")
    assert checkpoint.unused == ("classifier.bias", "classifier.weight")
    compare_floats(checkpoint, model.bert, sentences_for("bert", "base"))
    with pytest.raises(ModelError, match=r"tensor qa_outputs.weight \[2, 32\] is missing: question-answering needs it"):
        load_checkpoint(folder, "question-answering")
    path = folder / "config.json"
    fields = json.loads(path.read_text())
    for names in (None, []):
        path.write_text(json.dumps(fields | {"architectures": names}))
        assert load_checkpoint(folder).task.name == "text-classification"


@pytest.mark.parametrize(("family", "kind"), [("electra", "ForPreTraining"), ("bert", "LMHeadModel"),
                                              ("bert", "ForNextSentencePrediction"), ("roberta", "ForMultipleChoice")])
def test_a_head_that_is_not_known_is_no_reason_to_refuse_the_encoder(tmp_path, family, kind):
    folder, model = make_reference(tmp_path, family, kind)
    with pytest.raises(ModelError, match=rf"architectures is {FAMILIES[family]}{kind}, whose head is not known: add --task"):
        load_checkpoint(folder)
    checkpoint = load_checkpoint(folder, "hidden-states")
    bare = getattr(transformers, f"{FAMILIES[family]}Model").from_pretrained(
        folder, **{} if family == "electra" else {"add_pooling_layer": "pooler.dense.weight" in checkpoint.tensors})
    compare_floats(checkpoint, bare, sentences_for(family, "base")[:2])
