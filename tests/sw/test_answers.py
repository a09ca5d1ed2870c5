"""Answers from logits written by hand, the sums beside them in plain Python."""

import math
from dataclasses import replace

import pytest
import torch

from acceltran.sw.compiler import compile_encoder
from acceltran.sw.ir.execute import results
from acceltran.sw.models.answers import Answers, answers_of, similarities
from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.fidelity import golden_fidelity
from acceltran.sw.models.sentence import Sentence
from acceltran.sw.models.sentence_modules import Dense, SentenceModules
from acceltran.sw.models.sentences import encode_sentences
from support.configs import CONFIGS
from support.task_models import SENTENCES, make_task_model

NAMES = {0: "no", 1: "yes", 2: "maybe"}
TOKENS = ["[CLS]", "Anna", "Lee", "sings", "[SEP]"]
TEXT = {"text": "Anna Lee sings", "pair": None, "ids": [2, 5, 6, 7, 3], "names": TOKENS,
        "offsets": [[0, 0], [0, 4], [5, 8], [9, 14], [0, 0]], "parts": [None, 0, 0, 0, None],
        "special": [True, False, False, False, True]}
PAIR = {"text": "Who?", "pair": "Anna Lee sings", "ids": [2, 9, 3, 5, 6, 7, 3],
        "names": ["[CLS]", "who", "[SEP]", *TOKENS[1:]],
        "offsets": [[0, 0], [0, 4], [0, 0], [0, 4], [5, 8], [9, 14], [0, 0]], "parts": [None, 0, None, 1, 1, 1, None],
        "special": [True, False, True, False, False, False, True]}


def answers(task, sentence=TEXT, **facts):
    given = {"state": "state", "labels": NAMES, "problem": None, "rows": [], "names": {}, "layers": (2, 2)} | facts
    return Answers(task=task, sentences=[sentence], **given)


def softmax(values):
    total = math.fsum(map(math.exp, values))
    return [math.exp(value) / total for value in values]


def near(value):
    return pytest.approx(value, rel=1e-6, abs=1e-9)


def read(one, **outputs):
    return one.read({name: torch.tensor([value]) for name, value in outputs.items()})[0]


def test_a_label_of_several():
    found = read(answers("text-classification"), logits=[1.0, 3.0, -2.0])
    assert (found["label"], found["index"], found["logits"]) == ("yes", 1, [1.0, 3.0, -2.0])
    assert found["probabilities"] == near(dict(zip(("no", "yes", "maybe"), softmax([1, 3, -2]), strict=True)))
    assert list(found["probabilities"]) == ["yes", "no", "maybe"]
    many = read(answers("text-classification", labels={n: f"i{n}" for n in range(77)}), logits=[n / 10 for n in range(77)])
    assert list(many["probabilities"]) == ["i76", "i75", "i74", "i73", "i72"] and len(many["logits"]) == 77


def test_several_labels_and_values():
    one = answers("text-classification", problem="multi_label_classification")
    found = read(one, logits=[0.5, -1.0, 0.1])
    assert (found["label"], found["labels"], found["chosen"]) == ("no, maybe", ["no", "maybe"], [0, 2])
    assert found["probabilities"]["yes"] == near(1 / (1 + math.e)) and "sigmoid" in one.host
    assert read(one, logits=[-1.0, -1.0, -1.0])["labels"] == []
    value = answers("text-classification", labels={0: "LABEL_0"})
    assert read(value, logits=[2.25])["value"] == 2.25 and value.host == "nothing"
    assert read(answers("text-classification", problem="regression"), logits=[1.0, 2.0, 3.0])["value"] == {
        "no": 1.0, "yes": 2.0, "maybe": 3.0}


def test_labels_of_tokens_make_entities():
    labels = {0: "O", 1: "B-PER", 2: "I-PER"}
    logits = [[9.0, 0, 0], [0, 4.0, 0], [0, 0, 3.0], [5.0, 0, 0], [9.0, 0, 0]]
    found = read(answers("token-classification", labels=labels), logits=logits)
    assert [(one["token"], one["label"]) for one in found["tokens"]] == [("Anna", "B-PER"), ("Lee", "I-PER"), ("sings", "O")]
    entity, = found["entities"]
    assert (entity["text"], entity["label"], entity["start"], entity["end"]) == ("Anna Lee", "PER", 0, 8)
    assert entity["probability"] == near((softmax([0, 4, 0])[1] + softmax([0, 0, 3])[2]) / 2)


def test_the_best_span_starts_before_it_ends():
    one = answers("question-answering", PAIR)
    starts, ends = [0.0, 9, 9, 1, 5, 2, 9], [0.0, 9, 9, 6, 1, 4, 9]
    found = read(one, logits=[list(two) for two in zip(starts, ends, strict=True)])
    inside = [0, 3, 4, 5]
    start, end = (dict(zip(inside, softmax([side[n] for n in inside]), strict=True)) for side in (starts, ends))
    best = max((start[a] * end[b], a, b) for a in inside[1:] for b in inside[1:] if a <= b)
    assert best[1:] == (4, 5) and found["score"] == near(best[0])
    assert (found["answer"], found["start"], found["end"]) == ("Lee sings", 5, 14)
    assert found["no_answer_score"] == near(start[0] * end[0])


def test_masks_are_filled_in():
    sentence = TEXT | {"text": "[MASK] Lee [MASK]", "offsets": [[0, 0], [0, 6], [7, 10], [11, 17], [0, 0]]}
    one = answers("fill-mask", sentence, rows=[(0, 1, 1), (0, 3, 3)], names={0: "Anna", 1: "##s", 2: "\u0120sings"})
    rows = [[0.0] * 3, [5.0, 1, 1], [9.0] * 3, [0, 2.0, 4.0]]
    found = read(one, logits=rows)
    assert (found["filled"], found["positions"], found["indices"]) == ("Anna Lee sings", [1, 3], [0, 2])
    assert [best[0]["probability"] for best in found["masks"]] == near([softmax(rows[1])[0], softmax(rows[3])[2]])


def test_vectors_and_their_similarity():
    modules = SentenceModules.plain("", 2, "mean")
    one = answers("sentence-embedding", modules=modules)
    found = read(one, state=[[1.0, 2.0], [3.0, 4.0], [0.0, 0.0], [0.0, 0.0], [1.0, 4.0], [99.0, 99.0]])
    assert found["embedding"] == near([1.0, 2.0]) and "mean pooling" in one.host and one.output == "embedding"
    matrix = similarities(torch.tensor([[3.0, 4.0], [4.0, 3.0]]))
    assert matrix.flatten().tolist() == near([1.0, 24 / 25, 24 / 25, 1.0])
    states = read(answers("hidden-states"), state=[[1.0, 2.0]] * 8)
    assert states["shape"] == [5, 2] and states["first_token"] == [1.0, 2.0]


@pytest.mark.parametrize("task", SENTENCES)
def test_a_saved_program_gives_the_answers(tmp_path, task):
    """Without the model, as the golden model gave them."""
    checkpoint, config = load_checkpoint(make_task_model(tmp_path / "model", task), task), CONFIGS["four_pes"]
    batch = encode_sentences(checkpoint, [Sentence(*one) for one in SENTENCES[task]])
    program = compile_encoder(checkpoint, config, batch.ids, batch.lengths, tokens=batch.tokens)
    golden, _ = golden_fidelity(checkpoint, program.graph, batch)
    made, outputs = answers_of(checkpoint, batch, tile=config.tile), results(program.graph, golden)
    saved = Answers.from_dict(made.keep_names(outputs).to_dict())
    assert saved.read(outputs) == made.read(outputs) and saved.host == made.host
    assert checkpoint.task.name == task and len(saved.read(outputs)) == 2


def test_layers_behind_the_pooling_are_not_saved():
    dense = Dense(torch.eye(2), None, "Identity")
    one = answers("sentence-embedding", modules=replace(SentenceModules.plain("", 2), steps=(dense,)))
    saved = Answers.from_dict(one.to_dict())
    assert one.loses_layers and saved.task == "hidden-states" and not saved.loses_layers
    assert read(saved, state=[[1.0, 2.0]] * 8)["shape"] == [5, 2]
