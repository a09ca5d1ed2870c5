"""N:M pruning: exactly N of every M along the inner dimension, as the weights stand as operand B; what is refused."""

import copy
import json

import numpy as np
import pytest
import torch

from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.sw.ir.errors import CompileError
from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.outline import outline_encoder
from acceltran.sw.models.quantise import prune_weights, quantise_encoder
from acceltran.sw.models.weight_sparsity import GroupSparsity, as_weight_sparsity, sparsity_text, zero_share
from support.models import make_checkpoint

NANO = AcceleratorConfig.load("nano")
TWO_OF_FOUR = GroupSparsity("2:4")


@pytest.mark.parametrize("text", ["2:4", "1:2", "3:8", "16:16", "1:1"])
def test_exactly_n_of_m_stay_and_they_are_the_largest(text):
    weight, sparsity = torch.randn(24, 48, generator=torch.Generator().manual_seed(1)), GroupSparsity(text)
    pruned = prune_weights(weight, sparsity)
    for row, whole in zip(pruned, weight, strict=True):
        for group, old in zip(row.split(sparsity.group), whole.split(sparsity.group), strict=True):
            largest = sorted(old.abs().tolist())[-sparsity.kept:]
            assert sorted(group[group != 0].abs().tolist()) == largest and ((group == 0) | (group == old)).all()
    assert torch.equal(prune_weights(pruned, text), pruned) and not torch.signbit(pruned[pruned == 0]).any()
    assert zero_share(sparsity) == pytest.approx(float((pruned == 0).float().mean()))


def test_ties_go_by_position_and_a_last_group_by_the_zeros_behind_it():
    equal = np.ones((1, 8), dtype=np.float32)
    assert TWO_OF_FOUR.keeps(equal).tolist() == [[False, False, True, True] * 2]
    assert TWO_OF_FOUR.keeps(np.array([[4, 3, 2, 1, 1, 2, 3]])).tolist() == [[True, True, False, False, False, True, True]]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    make_checkpoint(folder)
    return load_checkpoint(folder)


def test_every_column_of_operand_b_has_its_groups(checkpoint):
    """Of the matrices that go to memory, [k, n], rows k follow each other in a lane; other constants stay dense."""
    encoder = quantise_encoder(checkpoint, NANO, weight_sparsity=TWO_OF_FOUR)
    names = [one.weight for one in encoder.parts.encoder_projections]
    assert names and all(_kept(encoder.constants[name][0].numpy()) <= {0, 1, 2} for name in names)
    assert any(_kept(encoder.constants[name][0].T.numpy()) > {0, 1, 2} for name in names)
    others = {one.weight for one in encoder.parts.projections} - set(names)
    assert all((encoder.constants[name][0][:, :1] != 0).all() for name in others)


def _kept(matrix):
    """Numbers of non-zero values that groups of four rows of a column have."""
    return set((matrix.reshape(-1, 4, matrix.shape[1]) != 0).sum(1).flatten().tolist())


def test_it_is_plain_text():
    assert json.loads(json.dumps({"w": TWO_OF_FOUR})) == {"w": "2:4"} and f"{TWO_OF_FOUR}" == "2:4"
    again = copy.deepcopy(TWO_OF_FOUR)
    assert (again.kept, again.group, again) == (2, 4, GroupSparsity("02:04"))
    assert [as_weight_sparsity(x) for x in ("0.5", 0.5, "2:4", 0)] == [0.5, 0.5, TWO_OF_FOUR, 0.0]
    assert [sparsity_text(x) for x in (0.5, TWO_OF_FOUR)] == ["50%", "2:4"]


@pytest.mark.parametrize(("value", "remedy"), [
    ("5:4", "up to M"), ("0:4", "at least 1"), ("0:0", "at least 1"), ("2:3", "such as 2:4"), ("2:32", "divides 16"),
    ("2:4:8", "N:M"), ("-1:4", "N:M"), ("2:", "N:M"), ("\u0662:4", "N:M"), ("nan", "from 0 to 1"), ("1.5", "from 0 to 1"),
    ("many", "from 0 to 1")])
def test_what_cannot_be_is_refused(value, remedy):
    with pytest.raises(CompileError, match=remedy) as refused:
        as_weight_sparsity(value)
    assert str(refused.value).startswith(f"weight_sparsity = {value}: ")


@pytest.mark.parametrize("quantise", [quantise_encoder, outline_encoder])
@pytest.mark.parametrize("tile", [8, 16])
def test_groups_fill_tiles(quantise, tile, checkpoint):
    config = AcceleratorConfig(tile=tile)
    if tile == 16:
        quantise(checkpoint, config, weight_sparsity=GroupSparsity("4:16"))
    else:
        with pytest.raises(CompileError, match="weight_sparsity = 4:16: .*divides 8, such as 4:8"):
            quantise(checkpoint, config, weight_sparsity=GroupSparsity("4:16"))
