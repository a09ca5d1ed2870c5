"""The golden encoder: near the float one, independent of batching, with exact multiplication counts."""

from dataclasses import replace

import pytest
import torch

from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.sw.compiler import quantise_encoder
from acceltran.sw.ir.counts import multiplication_counts
from acceltran.sw.ir.execute import execute, golden_run, results
from acceltran.sw.ir.graph import MatMul, View
from acceltran.sw.models.build_encoder import build_graph
from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.float_encoder import FloatEncoder
from acceltran.sw.models.sentences import encode_texts
from support.models import make_checkpoint, predict, random_texts

NANO = AcceleratorConfig.load("nano")
TEXTS = [*random_texts(3, 14, seed=2), *random_texts(2, 5, seed=3)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return load_checkpoint(make_checkpoint(tmp_path_factory.mktemp("model"), ffn=76, labels=3))


@pytest.fixture(scope="module")
def encoder(checkpoint):
    return quantise_encoder(checkpoint, NANO, calibration_texts=TEXTS)


def run(encoder, texts, checkpoint, length=None):
    ids, lengths = encode_texts(checkpoint, texts, length)
    graph = build_graph(encoder, lengths, ids.shape[1])
    return graph, execute(graph, ids), lengths


@pytest.mark.parametrize(("fraction_bits", "tolerance"), [(16, 2e-4), (12, 5e-3), (8, 8e-2)])
def test_every_tensor_is_near_the_float_encoder(checkpoint, fraction_bits, tolerance):
    encoder = quantise_encoder(checkpoint, replace(NANO, fraction_bits=fraction_bits), calibration_texts=TEXTS)
    graph, values, lengths = run(encoder, TEXTS, checkpoint)
    ids, _ = encode_texts(checkpoint, TEXTS)
    expected = FloatEncoder(checkpoint, torch.float64).run(ids, lengths)
    for name, integers in values.items():
        floats = integers.double() * 2.0 ** -graph.tensors[name].frac / graph.tensors[name].scale
        source = {"pooler.input": "layer1.output_norm", "embeddings.padding": "embeddings.word"}.get(name, name)
        want = expected[".".join(source.split(".")[:2])]
        want = want[:, 0] if name == "pooler.input" else want
        limit = tolerance * max(1.0, float(want.abs().max()))
        if want.ndim == 4:
            sequence, head = map(int, name.split(".")[2:])
            n = lengths[sequence]
            assert float((floats[:n, :n] - want[sequence, head, :n, :n]).abs().max()) <= limit, name
            continue
        if name == "embeddings.padding":
            table = checkpoint.tensors["embeddings.word_embeddings.weight"]
            assert float((floats - table[:1].double()).abs().max()) <= limit
            continue
        if name == "embeddings.word":
            parts = zip(floats.split(graph.token_rows), want, lengths, strict=True)
            assert all(float((part[:n] - wanted[:n]).abs().max()) <= limit for part, wanted, n in parts)
            continue
        parts = name.split(".")
        if len(parts) == 3 and parts[2].isdigit():
            n, want = lengths[int(parts[2])], want[int(parts[2])]
            assert float((floats[:n, : want.shape[-1]] - want[:n]).abs().max()) <= limit, name
            continue
        if name == "embeddings.position_type":
            floats = floats.repeat(len(lengths), 1)  # the sequences share them
        floats = floats.view(len(lengths), -1, floats.shape[1])[:, :, : want.shape[-1]]
        for got, wanted, n in zip(floats, want, lengths, strict=True):
            difference = got[0] - wanted if want.ndim == 2 else got[:n] - wanted[:n]
            assert float(difference.abs().max()) <= limit, name


def test_batching_and_padding_change_nothing(checkpoint, encoder):
    together = predict(encoder, *encode_texts(checkpoint, TEXTS))["logits"]
    wide = predict(encoder, *encode_texts(checkpoint, TEXTS, 32))["logits"]
    alone = torch.cat([predict(encoder, *encode_texts(checkpoint, [text]))["logits"] for text in TEXTS])
    assert together.shape == (5, 3)
    assert (together == alone).all()
    assert (together == wide).all()


def test_padded_keys_have_probability_zero(checkpoint, encoder):
    graph, values, lengths = run(encoder, TEXTS, checkpoint)
    for sequence, n in enumerate(lengths):
        p = values[f"layer1.probabilities.{sequence}.1"]
        assert not p[:, n:].any()
        assert ((p.sum(1) - (1 << (NANO.width - 2))).abs() <= n + 16).all()


def test_tau_leaves_nothing_below_it(checkpoint):
    encoder = quantise_encoder(checkpoint, NANO, calibration_texts=TEXTS, tau=0.1)
    graph, values, _ = run(encoder, TEXTS, checkpoint)
    pruned = 0
    for name, integers in values.items():
        site = ".".join(name.split(".")[:2])
        magnitudes = integers.abs().double() * 2.0 ** -graph.tensors[name].frac / graph.tensors[name].scale
        small = ((magnitudes > 0) & (magnitudes < 0.1)).any()
        if site in encoder.curve_numbers:
            assert not small, name
            pruned += 1
        elif graph.tensors[name].kind in ("scores", "attention", "output", "logits"):
            assert small, name
    layers, heads, sequences = 2, 2, len(TEXTS)
    assert pruned == 1 + layers * sequences * (7 + heads)


def test_golden_run_wants_the_lengths_of_the_graph(checkpoint, encoder):
    ids, lengths = encode_texts(checkpoint, TEXTS)
    graph = build_graph(encoder, lengths, ids.shape[1])
    values = golden_run(graph, ids, torch.tensor(lengths))
    assert results(graph, values)["logits"].shape == (5, 3)
    with pytest.raises(ValueError, match="compiled for"):
        golden_run(graph, ids, [n - 1 for n in lengths])


def test_views_of_batches():
    matrix = torch.arange(24).view(6, 4)
    view = View(tensor="t", row=1, column=2, rows=1, columns=2, batch=2, step=3)
    assert view.read(matrix).tolist() == [[6, 7], [18, 19]]
    view.write(matrix, torch.tensor([[0, 1], [2, 3]]))
    assert matrix[1].tolist() == [4, 5, 0, 1]
    assert matrix[4].tolist() == [16, 17, 2, 3]


@pytest.mark.parametrize("options", [{}, {"tau": 0.2, "weight_sparsity": 0.6}])
def test_multiplication_counts(checkpoint, options):
    encoder = quantise_encoder(checkpoint, NANO, calibration_texts=TEXTS, **options)
    graph, values, _ = run(encoder, TEXTS[:2], checkpoint)
    counts = multiplication_counts(graph, values)
    products = [op for op in graph.operations if isinstance(op, MatMul)]
    assert len(counts) == len(products) + 1
    for op in products:
        a = op.a.read(values[op.a.tensor]) != 0
        b = op.b.read(graph.constants.get(op.b.tensor, values.get(op.b.tensor))) != 0
        b = b.T if op.transpose else b
        count = counts[op.c.tensor if op.bias or op.transpose else op.a.tensor]
        assert count.none == a.shape[0] * a.shape[1] * b.shape[1]
        assert count.activation == int(a.sum()) * b.shape[1]
        assert count.both == int((a[:, :, None] & b[None]).sum())
    assert counts["total"].both == sum(count.both for name, count in counts.items() if name != "total")
    assert 0 < counts["total"].both <= counts["total"].activation <= counts["total"].none
