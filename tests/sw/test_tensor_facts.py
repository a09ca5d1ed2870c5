"""What tensors say of themselves: padding, scale, group, site, and the float tensor of which each is a part."""

import pytest
import torch

from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.sw.compiler import quantise_encoder
from acceltran.sw.ir.execute import execute
from acceltran.sw.ir.graph import LayerNorm, MatMul, Softmax, Tensor, target
from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.sentences import encode_texts
from support.models import make_checkpoint, random_texts

NANO = AcceleratorConfig.load("nano")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return load_checkpoint(make_checkpoint(tmp_path_factory.mktemp("model"), ffn=76, labels=3))


@pytest.fixture(scope="module")
def encoder(checkpoint):
    return quantise_encoder(checkpoint, NANO, tau=0.05, calibration_texts=random_texts(2, 9))


def test_valid_elements():
    tensor = Tensor(name="x", rows=8, columns=4, frac=3, kind="x", scale=0.5, valid_rows=(range(2), range(4, 8, 2)),
                    valid_columns=3)
    matrix = torch.arange(32).view(8, 4)
    assert tensor.valid(matrix).tolist() == [[0, 1, 2], [4, 5, 6], [16, 17, 18], [24, 25, 26]]
    assert tensor.column_mask().tolist() == [True, True, True, False] and tensor.units == 4
    assert torch.equal(Tensor(name="x", rows=8, columns=4, frac=3, kind="x").valid(matrix), matrix)


@pytest.mark.parametrize("separate", [False, True])
def test_facts_agree_with_the_float_model(checkpoint, separate):
    """Shapes without padding are those of the float tensors, part by part, and so are the values."""
    ids, lengths = encode_texts(checkpoint, ["w1 w2 w3", *random_texts(2, 11)])
    graph = quantise_encoder(checkpoint, NANO).build_graph(lengths, ids.shape[1], separate=separate)
    assert graph.layers == 2
    wanted, seen = checkpoint.float_encoder().run(ids, lengths), {}
    for name, integers in execute(graph, ids).items():
        tensor = graph.tensors[name]
        if tensor.source is None:
            assert name in ("embeddings.padding", "pooler.input")
            continue
        want = wanted[tensor.source]
        got = tensor.valid(integers) / tensor.units
        parts = [want[number] if want.ndim == 2 else want[number, tensor.head, : lengths[number], : lengths[number]]
                 if tensor.head is not None else want[number, : lengths[number]] for number in tensor.sequences]
        part = torch.stack(parts) if want.ndim == 2 else torch.cat(parts)
        assert got.shape == part.shape, name
        assert (got - part).abs().max() < 0.01, name
        seen[tensor.source] = seen.get(tensor.source, 0) + len(tensor.sequences)
    assert seen.keys() == wanted.keys() - {"layer0.hidden_pre", "layer1.hidden_pre"}
    assert seen["layer1.scores"] == 3 * 2 and seen["layer0.query"] == seen["logits"] == 3
    assert seen["embeddings.position_type"] == 1


def test_sites_groups_and_layers(encoder):
    graph = encoder.build_graph([9, 5], 9)
    pruned = {graph.tensors[target(op).tensor].site for op in graph.operations
              if isinstance(op, MatMul | Softmax | LayerNorm) and op.curve}
    assert pruned == encoder.parts.sites.keys() == {t.site for t in graph.tensors.values()} - {None}
    assert graph.tensors["pooler.input"].site == "layer1.output_norm"
    groups = {}
    for tensor in graph.tensors.values():
        if tensor.home == "vector":
            groups.setdefault(tensor.group, []).append(tensor.name)
    assert list(groups) == ["embeddings", "0.attention", "0.ffn", "1.attention", "1.ffn", "pooler"]
    assert groups["1.ffn"] == [f"layer1.{name}" for name in ("hidden.bias", "output.bias", "output_norm.gamma",
                                                             "output_norm.beta")]
    assert {t.layer for t in graph.tensors.values() if t.home == "weight"} == {"0", "1", "pooler"}
