"""Evaluation: every count against one made element by element, accuracy against single sentences, the command's figures."""

import json
import sys
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from acceltran.cli import main as cli
from acceltran.cli.evaluate import Method, Tally, evaluate
from acceltran.cli.evaluate.evaluate import keep_largest
from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.sw.compiler import quantise_encoder
from acceltran.sw.ir.counts import multiplication_counts
from acceltran.sw.ir.execute import execute
from acceltran.sw.models.build_encoder import build_graph
from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.errors import ModelError
from acceltran.sw.models.sentences import encode_texts
from support.models import make_checkpoint, predict, random_texts

NANO = AcceleratorConfig.load("nano")
TEXTS = [text for words in (2, 5, 9, 13) for text in random_texts(5, words, seed=words)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("model"), hidden=16, heads=2, ffn=12, labels=3)


@pytest.fixture(scope="module")
def checkpoint(folder):
    return load_checkpoint(folder)


@given(hnp.arrays(np.int64, st.tuples(st.integers(1, 4), st.integers(1, 9)), elements=st.integers(-3, 5)), st.integers(1, 10))
def test_keep_largest(rows, count):
    for row, kept in zip(rows.tolist(), keep_largest(torch.from_numpy(rows), count).tolist(), strict=True):
        chosen = sorted(range(len(row)), key=lambda n: (-row[n], n))[:count]
        assert kept == [value if n in chosen else 0 for n, value in enumerate(row)]


def naive(encoder, ids, lengths):
    """Zeros and elements of each operand, remaining and dense multiplications of each product, sentence by sentence."""
    operands, products = {}, {}
    model = encoder.model
    graph = build_graph(encoder, lengths, ids.shape[1], separate=False)
    values = execute(graph, ids)
    size, heads = model.head_size, model.num_attention_heads

    def operand(key, matrix):
        entry = operands.setdefault(key, [0, 0])
        entry[0] += int((matrix == 0).sum())
        entry[1] += matrix.size

    def multiply(key, a, b):
        entry = products.setdefault(key, [0, 0])
        for i, j in product(range(a.shape[0]), range(b.shape[1])):
            entry[0] += int(((a[i] != 0) & (b[:, j] != 0)).sum())
        entry[1] += a.shape[0] * a.shape[1] * b.shape[1]

    def weight(name, rows, columns):
        return encoder.constants[f"{name}.weight"][0].numpy()[:rows, :columns]

    for number, length in enumerate(lengths):
        rows = slice(number * graph.sequence, number * graph.sequence + length)
        hidden = model.hidden_size
        x = values["embeddings.output"].numpy()[rows]
        for layer in range(model.num_hidden_layers):
            at = {name: values[f"layer{layer}.{name}"].numpy()[rows] for name in (
                "query", "key", "value", "context", "attention_norm", "hidden", "output_norm")}
            at["hidden"] = at["hidden"][:, : model.intermediate_size]
            here = str(layer)
            operand((here, "input"), x)
            for name in ("query", "key", "value"):
                operand((here, name), at[name])
                multiply((here, name), x, weight(f"layer{layer}.{name}", hidden, hidden))
            for head in range(heads):
                part = slice(head * size, head * size + size)
                p = values[f"layer{layer}.probabilities.{number}.{head}"].numpy()[:length, :length]
                operand((here, "probabilities"), p)
                multiply((here, "scores"), at["query"][:, part], at["key"][:, part].T)
                multiply((here, "context"), p, at["value"][:, part])
            operand((here, "context"), at["context"])
            multiply((here, "attention"), at["context"], weight(f"layer{layer}.attention", hidden, hidden))
            operand((here, "ffn_input"), at["attention_norm"])
            multiply((here, "hidden"), at["attention_norm"], weight(f"layer{layer}.hidden", hidden, model.intermediate_size))
            operand((here, "hidden"), at["hidden"])
            multiply((here, "output"), at["hidden"], weight(f"layer{layer}.output", model.intermediate_size, hidden))
            x = at["output_norm"]
        operand(("pooler", "input"), x[:1])
        multiply(("pooler", "pooler"), x[:1], weight("pooler", hidden, hidden))
        pooled = values["pooler"].numpy()[number * graph.tile: number * graph.tile + 1]
        operand(("pooler", "pooler"), pooled)
        multiply(("pooler", "logits"), pooled, weight("logits", hidden, model.num_labels))
    return operands, products


@pytest.mark.parametrize("batch", [1, 3])
def test_counts_without_padding(checkpoint, batch):
    texts = [TEXTS[n] for n in (1, 7, 18)][-batch:]
    ids, lengths = encode_texts(checkpoint, texts, 20)
    encoder = quantise_encoder(checkpoint, NANO, tau=0.15, weight_sparsity=0.4, calibration_texts=TEXTS[:3])
    graph, tally = build_graph(encoder, lengths, ids.shape[1], separate=False), Tally()
    tally.add(graph, execute(graph, ids))
    operands, products = naive(encoder, ids, lengths)
    assert {key: [c["zeros"], c["elements"]] for key, c in tally.operands.items()} == operands
    assert {key: [c["remaining"], c["dense"]] for key, c in tally.products.items()} == products


def test_counts_with_padding_are_those_of_the_hardware(checkpoint):
    ids, lengths = encode_texts(checkpoint, TEXTS[:3], 20)
    encoder = quantise_encoder(checkpoint, NANO, tau=0.15, calibration_texts=TEXTS[:3])
    graph, tally = build_graph(encoder, lengths, ids.shape[1], separate=False), Tally()
    values = execute(graph, ids)
    tally.add(graph, values)
    total = multiplication_counts(graph, values)["total"]
    shares = tally.report()["remaining_multiplications_padded"]
    assert shares["all"] == total.both / total.none
    assert 0 < shares["all"] < tally.report()["remaining_multiplications"]["all"] < 1


def test_evaluation_is_that_of_single_sentences(checkpoint):
    method = Method(name="dynatran", tau=0.1, weight_sparsity=0.5)
    encoder = quantise_encoder(checkpoint, NANO, tau=0.1, weight_sparsity=0.5)
    predictions = []
    for text in TEXTS:
        ids, lengths = encode_texts(checkpoint, [text])
        predictions.append(int(predict(encoder, ids, lengths)["logits"].argmax()))
    labels = [p if n % 5 else (p + 1) % 3 for n, p in enumerate(predictions)]
    done = []
    values = evaluate(checkpoint, NANO, TEXTS, labels, method, length=24, report=done.append)
    assert values["accuracy"] == 0.8
    assert values["accuracy_stderr"] == pytest.approx((0.8 * 0.2 / 20) ** 0.5)
    assert sum(done) == 2 * len(TEXTS)
    assert values["sparsity"]["all"] > 0.1 > values["baseline"]["sparsity"]["all"]
    assert values["baseline"]["sparsity_padded"]["class"]["probabilities"] > 0.3
    assert values["remaining_multiplications"]["all"] < values["baseline"]["remaining_multiplications"]["all"] < 0.62


def test_top_k_keeps_that_many(checkpoint):
    values = evaluate(checkpoint, NANO, TEXTS[5:10], [0] * 5, Method(name="top-k", keep=2), length=16, baseline=False)
    assert "baseline" not in values
    # Five words, [CLS] and [SEP]: two of seven stay.
    assert values["sparsity"]["class"]["probabilities"] == pytest.approx(5 / 7)
    everything = evaluate(checkpoint, NANO, TEXTS[5:10], [0] * 5, Method(name="top-k", keep=16), length=16)
    assert everything["accuracy"] == everything["baseline"]["accuracy"]
    assert everything["sparsity"] == everything["baseline"]["sparsity"]


@pytest.mark.parametrize(("options", "message"), [
    ({"name": "magic"}, "choose none, dynatran, per-site, top-k"), ({"name": "per-site", "target": 0.5}, "takes --sites or"),
    ({"name": "dynatran"}, "takes --tau or --target-sparsity, given: nothing"),
    ({"name": "dynatran", "tau": 0.1, "target": 0.5}, "given: --tau and --target-sparsity"),
    ({"name": "top-k", "tau": 0.1}, "takes --keep, given: --tau"), ({"name": "none", "keep": 3}, "takes no threshold"),
    ({"name": "top-k", "keep": 0}, "keep at least one"),
])
def test_methods_are_checked(options, message):
    with pytest.raises(ModelError, match=message):
        Method(**options)


def test_a_model_without_classifier_is_refused(tmp_path):
    checkpoint = load_checkpoint(make_checkpoint(tmp_path, hidden=16, labels=0))
    with pytest.raises(ModelError, match="no classifier"):
        evaluate(checkpoint, NANO, TEXTS[:1], [0], Method())


def command(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["acceltran", "evaluate", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code


def test_command(folder, checkpoint, tmp_path, monkeypatch, capsys):
    data = tmp_path / "data.tsv"
    data.write_text("sentence\tlabel\n" + "".join(f"{text}\t{n % 2}\n" for n, text in enumerate(TEXTS)))
    given = ["--data", data, "--model", folder, "--config", "nano", "--length", 16]
    code = command(monkeypatch, *given, "--method", "dynatran", "--tau", 0.1, "--format", "4.8", "--limit", 12, "--json",
                   tmp_path / "out.json")
    assert not code
    values = json.loads((tmp_path / "out.json").read_text())
    direct = evaluate(checkpoint, replace(NANO, integer_bits=4, fraction_bits=8), TEXTS[:12], [n % 2 for n in range(12)],
                      Method(name="dynatran", tau=0.1), length=16)
    assert values | direct == values
    assert values["format"] == "4.8" and values["tau"] == 0.1
    shown = capsys.readouterr().out
    assert f"accuracy {100 * direct['accuracy']:.2f} %" in shown and "without pruning" in shown
    assert command(monkeypatch, *given, "--method", "top-k") == 2
    for wrong in ("4", "4.12/", "4.12/20"):
        assert command(monkeypatch, *given, "--format", wrong) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 4 and "--keep" in errors[0] and "4.16" in errors[1] and "4.12/8" in errors[2]
    assert "weight_bits = 20" in errors[3] and "choose 4 to 16" in errors[3]
