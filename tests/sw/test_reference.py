"""Every family and task beside transformers: the same tokens, the same floats, and integers that give the same answers."""

from dataclasses import replace

import pytest
import torch

from acceltran.hw.spec.activations import ACTIVATIONS
from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.sw.compiler import compile_encoder
from acceltran.sw.ir.errors import CompileError
from acceltran.sw.ir.execute import execute, results
from acceltran.sw.models.answers import answers_of
from acceltran.sw.models.calibrate import SENTENCES
from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.errors import ModelError
from acceltran.sw.models.quantise import quantise_encoder
from acceltran.sw.models.sentence import Sentence
from acceltran.sw.models.sentences import encode_sentences
from support.machine import Machine
from support.reference import (
    FAMILIES,
    KINDS,
    MASKS,
    compare_floats,
    float_arrays,
    make_reference,
    reference_pipeline,
    sentences_for,
)
from support.tokenizer_folders import make_tokenizer

NANO = replace(AcceleratorConfig.load("nano"), functions=tuple(entry.name for entry in ACTIVATIONS))
"""All functions, words of 20 bits."""

ACTS = ("gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu_python", "quick_gelu", "relu", "silu", "tanh")
CASES = [(family, kind, ACTS[number % len(ACTS)])
         for number, (family, kind) in enumerate((family, kind) for family in FAMILIES for kind in KINDS)]
"""Nine functions and eight kinds: each family has another one for each kind."""

ROBERTAS = ("roberta", "xlm-roberta", "camembert", "mpnet")
TEXTS = [Sentence(text) for text in (
    "The quick brown fox jumps over the lazy dog.", "Café naïve Ångström", "今天天气很好",
    "😀 👩‍👩‍👧 x", "a\tb\r\n c\u00a0d", "  two  spaces ",
    "don't won't", "[CLS] a [MASK] b[SEP] <s> x <mask> y</s> [UNK] <unk>", "İstanbul Straße ﬁ ½")]


def cosine(one, other):
    flat, wanted = (torch.cat([values.flatten().double() for values in arrays.values()]) for arrays in (one, other))
    return float(torch.nn.functional.cosine_similarity(flat, wanted, dim=0))


def compare(folder, model, sentences, config=NANO, separate=None):
    """Tokens, floats and answers of a folder are those of transformers.

    Random models give unfamiliar texts logits that the built-in ones leave no room for, so the texts calibrate too.
    """
    checkpoint = load_checkpoint(folder)
    batch, wanted = compare_floats(checkpoint, model, sentences)
    answers = answers_of(checkpoint, batch, tile=config.tile)
    texts = [*SENTENCES, *(text for one in sentences for text in (one.text, one.pair) if text)]
    encoder = quantise_encoder(checkpoint, config, calibration_texts=texts)
    graph = encoder.build_graph(batch.lengths, batch.ids.shape[1], separate, tokens=batch.tokens)
    got = answers.arrays(results(graph, execute(graph, batch.ids)))
    assert min(cosine(one, other) for one, other in zip(got, wanted, strict=True)) >= 0.9999
    assert answers.decisions(got) == answers.decisions(wanted)
    if answers.kind == "value":
        torch.testing.assert_close(*(torch.stack([one["logits"] for one in arrays]).double() for arrays in (got, wanted)),
                                   rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize(("family", "kind", "act"), CASES, ids=lambda value: value)
def test_integers_answer_as_transformers(tmp_path, family, kind, act):
    number = CASES.index((family, kind, act))
    folder, model = make_reference(tmp_path, family, kind, seed=number, fields={"hidden_act": act})
    assert load_checkpoint(folder).task.name == KINDS[kind].task
    assert not load_checkpoint(folder).notes
    compare(folder, model, sentences_for(family, kind), separate=bool(number % 2))


@pytest.mark.parametrize("kind", ["two-labels", "question", "masks"])
def test_larger_tiles(tmp_path, kind):
    folder, model = make_reference(tmp_path, "electra", kind, seed=8, fields={"embedding_size": 16})
    compare(folder, model, sentences_for("electra", kind), replace(NANO, tile=16, lines_per_beat=4, bus_width=512))


@pytest.mark.parametrize(("size", "tile", "remedy"), [(24, 16, "set tile = 8"), (20, 8, "use another model")])
def test_embeddings_are_whole_tiles(tmp_path, size, tile, remedy):
    folder, _ = make_reference(tmp_path, "albert", "base", fields={"embedding_size": size})
    with pytest.raises(CompileError, match=f"embeddings of {size} columns are not whole tiles of {tile}: .*{remedy}"):
        quantise_encoder(load_checkpoint(folder), replace(NANO, tile=tile))


def test_every_function_is_some_familys():
    assert {act for _, _, act in CASES} == set(ACTS)


@pytest.mark.parametrize("family", FAMILIES)
def test_tokens_of_awkward_texts(tmp_path, family):
    folder, model = make_reference(tmp_path, family, "base", fields={"max_position_embeddings": 128})
    pairs = [Sentence(one.text, other.text) for one, other in zip(TEXTS[::2], TEXTS[1::2], strict=False)]
    compare_floats(load_checkpoint(folder), model, [*TEXTS, *pairs])


@pytest.mark.parametrize("family", ROBERTAS)
def test_padding_written_in_a_text_keeps_the_padding_position(tmp_path, family):
    folder, model = make_reference(tmp_path, family, "tokens")
    sentences = [Sentence("fox <pad> dog<pad><pad> birds"), Sentence("<pad>"), Sentence("fox", "<pad> dog")]
    checkpoint = load_checkpoint(folder)
    places = encode_sentences(checkpoint, sentences).tokens[0].places
    assert places.count(1) == 3 and max(places) == 1 + len(places) - 3
    compare(folder, model, sentences)


@pytest.mark.parametrize("family", ["bert", "electra", "albert"])
def test_padding_written_in_a_text_takes_its_place(tmp_path, family):
    padding = "<pad>" if family == "albert" else "[PAD]"
    folder, model = make_reference(tmp_path, family, "tokens")
    compare(folder, model, [Sentence(f"fox {padding} dog"), Sentence("fox jumps over the dog")])


@pytest.mark.parametrize("family", ["roberta", "electra"])
def test_token_types_of_a_pair(tmp_path, family):
    """RoBERTa's tokenizer gives all tokens the first type, whatever the table has."""
    folder, model = make_reference(tmp_path, family, "two-labels", fields={"type_vocab_size": 2}, seed=4)
    sentences = [Sentence("a new idea", "is an old one"), Sentence("a new idea")]
    kinds = {kind for one in encode_sentences(load_checkpoint(folder), sentences).encoded for kind in one.types}
    assert kinds == ({0, 1} if family == "electra" else {0})
    compare(folder, model, sentences)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_words_of_a_head_that_predicts_tokens(tmp_path, family, tied):
    folder, model = make_reference(tmp_path, family, "masks", fields={"tie_word_embeddings": tied}, seed=3)
    checkpoint = load_checkpoint(folder)
    words, decoder = (checkpoint.tensors[f"{name}.weight"] for name in ("embeddings.word_embeddings", "lm_head.decoder"))
    assert words.equal(decoder) == tied
    compare_floats(checkpoint, model, sentences_for(family, "masks")[:2])


@pytest.mark.parametrize("family", FAMILIES)
def test_the_last_position_is_used_and_one_more_token_refused(tmp_path, family):
    longest = Sentence("a fox jumps over a dog")
    count = len(make_tokenizer(family).encode(longest.text))
    rows = count + (2 if family in ROBERTAS else 0)
    folder, model = make_reference(tmp_path, family, "two-labels", fields={"max_position_embeddings": rows}, seed=5)
    checkpoint = load_checkpoint(folder)
    assert checkpoint.config.max_position_embeddings == count
    compare(folder, model, [longest, Sentence("a fox")])
    with pytest.raises(ModelError, match=rf"max_position_embeddings allows {count}: shorten it by 1$"):
        encode_sentences(checkpoint, [Sentence(longest.text + "?")])
    with pytest.raises(CompileError, match=f"{count + 1} tokens, max_position_embeddings is {count}"):
        quantise_encoder(checkpoint, NANO).build_graph([count + 1], count + 1)


@pytest.mark.parametrize("groups", [1, 2, 3])
def test_albert_shares_layers(tmp_path, groups):
    folder, model = make_reference(tmp_path, "albert", "five-labels", seed=7, fields={
        "num_hidden_layers": 3, "num_hidden_groups": groups, "embedding_size": 32 if groups == 1 else 16})
    checkpoint = load_checkpoint(folder)
    assert len({name.split(".")[2] for name in checkpoint.tensors if name.startswith("encoder.")}) == groups
    compare(folder, model, sentences_for("albert", "five-labels")[:2])


def test_shared_layers_lie_in_memory_once(tmp_path):
    sizes = []
    for layers, groups in ((2, 1), (5, 1), (5, 2)):
        folder, _ = make_reference(tmp_path / f"{layers}-{groups}", "albert", "base",
                                   fields={"num_hidden_layers": layers, "num_hidden_groups": groups})
        checkpoint = load_checkpoint(folder)
        batch = encode_sentences(checkpoint, ["a fox"])
        program = compile_encoder(checkpoint, NANO, batch.ids, batch.lengths, tokens=batch.tokens)
        sizes.append(program.sections["weights"][1])
        values = execute(program.graph, batch.ids)
        machine = Machine(program)
        machine.run()
        assert all(machine.seen[name].equal(values[name]) for name in program.tensors)
    assert sizes[0] == sizes[1] < sizes[2] < 2 * sizes[1]


def test_electra_without_a_projection(tmp_path):
    folder, model = make_reference(tmp_path, "electra", "tokens", fields={"embedding_size": 32})
    assert "embeddings_project.weight" not in load_checkpoint(folder).tensors
    compare(folder, model, sentences_for("electra", "tokens")[:2])


def test_distilbert_has_one_epsilon(tmp_path):
    folder, model = make_reference(tmp_path, "distilbert", "base", fields={"layer_norm_eps": 0.01})
    compare_floats(load_checkpoint(folder), model, sentences_for("distilbert", "base"))


def read(folder, sentences):
    """The answers on the float model."""
    checkpoint = load_checkpoint(folder)
    batch = encode_sentences(checkpoint, sentences)
    answers = answers_of(checkpoint, batch)
    return [answers.answer(number, one) for number, one in enumerate(float_arrays(checkpoint, batch, answers))]


@pytest.mark.parametrize("kind", ["five-labels", "multi-label", "regression"])
def test_labels_are_those_of_the_pipeline(tmp_path, kind):
    folder, model = make_reference(tmp_path, "bert", kind, seed=11)
    sentences = sentences_for("bert", kind)
    pipe = reference_pipeline("text-classification", folder, model)
    for sentence, got in zip(sentences, read(folder, sentences), strict=True):
        wanted = pipe({"text": sentence.text, "text_pair": sentence.pair}, top_k=None)
        if kind == "regression":
            assert got["value"] == pytest.approx(wanted[0]["score"], abs=1e-6)
            continue
        assert got["probabilities"] == pytest.approx({one["label"]: one["score"] for one in wanted}, abs=1e-6)
        if kind == "five-labels":
            assert got["label"] == wanted[0]["label"]
        else:
            assert set(got["labels"]) == {one["label"] for one in wanted if one["score"] > 0.5}


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_entities_are_those_of_the_pipeline(tmp_path, family):
    folder, model = make_reference(tmp_path, family, "tokens", seed=2)
    sentences = [one for one in sentences_for(family, "tokens") if one.pair is None]
    pipe = reference_pipeline("token-classification", folder, model)
    for sentence, got in zip(sentences, read(folder, sentences), strict=True):
        wanted = pipe(sentence.text, aggregation_strategy="simple")
        assert [(one["label"], one["start"], one["end"]) for one in got["entities"]] == [
            (one["entity_group"], one["start"], one["end"]) for one in wanted]
        assert [one["probability"] for one in got["entities"]] == pytest.approx([one["score"] for one in wanted], abs=1e-6)


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
@pytest.mark.parametrize("family", ["distilbert", "roberta", "albert"])
def test_spans_are_those_of_the_pipeline(tmp_path, family):
    folder, model = make_reference(tmp_path, family, "question", seed=9)
    sentences = sentences_for(family, "question")
    pipe = reference_pipeline("question-answering", folder, model)
    for sentence, got in zip(sentences, read(folder, sentences), strict=True):
        wanted = pipe(question=sentence.text, context=sentence.pair, align_to_words=False)
        assert {name: got[name] for name in ("answer", "start", "end")} == {
            name: wanted[name] for name in ("answer", "start", "end")}
        assert got["score"] == pytest.approx(wanted["score"], abs=1e-6)


@pytest.mark.parametrize("family", ["electra", "camembert"])
def test_tokens_for_masks_are_those_of_the_pipeline(tmp_path, family):
    folder, model = make_reference(tmp_path, family, "masks", seed=6)
    mask = MASKS.get(family, "[MASK]")
    sentences = [Sentence(f"The {mask} fox"), Sentence(f"{mask} is {mask}")]
    pipe = reference_pipeline("fill-mask", folder, model)
    for sentence, got in zip(sentences, read(folder, sentences), strict=True):
        wanted = pipe(sentence.text)
        wanted = wanted if isinstance(wanted[0], list) else [wanted]
        assert [[one["index"] for one in best] for best in got["masks"]] == [[one["token"] for one in best] for best in wanted]
        for best, other in zip(got["masks"], wanted, strict=True):
            assert [one["probability"] for one in best] == pytest.approx([one["score"] for one in other], abs=1e-6)
