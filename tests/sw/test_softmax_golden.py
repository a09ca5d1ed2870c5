"""The golden softmax against float64, its masking and pruning, and its scale."""

import math

import pytest
import torch

from acceltran.sw.golden.softmax import MAX_SCALE_SHIFT, softmax, softmax_scale

UNIT = 2.0**-16


def scores(kind, rows, columns, width, seed=1):
    generator = torch.Generator().manual_seed(seed)
    top = 1 << (width - 1)
    x = torch.randint(-top, top, (rows, columns), generator=generator)
    if kind == "close":
        return x >> 5
    if kind == "equal":
        return x[:, :1].expand_as(x).clone()
    if kind == "one":
        x = x[:, :1].expand_as(x) >> 3
        return torch.where(torch.arange(columns) == columns // 2, top - 1, x)
    if kind == "rising":
        return x.sort(1).values
    return x


def error(x, x_frac, head_size, valid, o_frac, tile=16, width=20):
    scale, shift = softmax_scale(x_frac, head_size)
    p = softmax(x, valid_columns=valid, scale=scale, scale_shift=shift, o_frac=o_frac, tau=0, width=width, tile=tile)
    reference = torch.softmax(x[:, :valid].double() * 2.0**-x_frac / math.sqrt(head_size), 1)
    assert not p[:, valid:].any()
    return float((p[:, :valid].double() * 2.0**-o_frac - reference).abs().max())


@pytest.mark.parametrize("kind", ["random", "close", "equal", "one", "rising"])
@pytest.mark.parametrize("columns", [16, 128, 512])
def test_error_against_float(kind, columns):
    for x_frac in (10, 12, 14, 16, 18):
        for head_size in (32, 64):
            x = scores(kind, 64, columns, 20, x_frac)
            assert error(x, x_frac, head_size, columns - 3, 18) <= 4 * UNIT


def test_error_with_many_small_terms():
    """Truncation in the sum adds up at most: 511 terms just short of a multiple of its unit, beside one of 1."""
    x = (-(torch.arange(24 << 7)[:, None] << 9) - 255).repeat(1, 512)
    for first in (0, -1, 0x4000):
        x[:, 0] = first
        p = softmax(x, valid_columns=512, scale=1 << 15, scale_shift=15, o_frac=18, tau=0, width=24, tile=16)
        reference = torch.softmax(x.double() / 2**16 * math.log(2), 1)
        assert (p.double() / 2**18 - reference).abs().max() <= 4 * UNIT


@pytest.mark.parametrize(("width", "x_frac", "o_frac"), [(8, 3, 6), (8, 4, 5), (12, 6, 10), (20, 12, 8)])
def test_error_at_other_widths(width, x_frac, o_frac):
    x = scores("random", 64, 128, width)
    assert error(x, x_frac, 64, 100, o_frac, tile=8, width=width) <= 2.0 ** -(o_frac + 1) + 4 * UNIT


def test_tile_size_changes_the_last_bits_only():
    x = scores("rising", 64, 128, 20)
    values = dict(valid_columns=128, scale=47274, scale_shift=14, o_frac=18, tau=0, width=20)
    assert (softmax(x, tile=8, **values) - softmax(x, tile=16, **values)).abs().max() <= 8


def test_equal_scores_and_a_single_column():
    values = dict(scale=47274, scale_shift=18, o_frac=18, tau=0, width=20, tile=16)
    p = softmax(torch.full((2, 32), 12345), valid_columns=20, **values)
    assert (p[:, :20].double() / 2**18 - 0.05).abs().max() <= 2 * UNIT
    assert not p[:, 20:].any()
    p = softmax(scores("random", 8, 32, 20), valid_columns=1, **values)
    assert (p[:, 0].double() / 2**18 - 1).abs().max() <= 2 * UNIT
    assert not softmax(scores("random", 8, 32, 20), valid_columns=0, **values).any()


def test_pruning_keeps_ties():
    x = scores("close", 16, 64, 20)
    values = dict(valid_columns=64, scale=47274, scale_shift=16, o_frac=18, width=20, tile=16)
    plain = softmax(x, tau=0, **values)
    tau = int(plain.median())
    assert (softmax(x, tau=tau, **values) == torch.where(plain < tau, 0, plain)).all()
    assert (softmax(x, tau=tau, **values) == tau).any()


@pytest.mark.parametrize("x_frac", range(2, 23))
@pytest.mark.parametrize("head_size", [1, 16, 32, 64, 80, 128])
def test_scale(x_frac, head_size):
    scale, shift = softmax_scale(x_frac, head_size)
    assert 1 << 15 <= scale < 1 << 16
    assert 0 <= shift <= MAX_SCALE_SHIFT
    exact = math.log2(math.e) / math.sqrt(head_size) * 2.0 ** (16 - x_frac)
    assert abs(scale / 2**shift / exact - 1) <= 2.0**-16


def test_refusals():
    x = torch.zeros(1, 16, dtype=torch.int64)
    values = dict(valid_columns=16, scale=1, scale_shift=0, o_frac=18, tau=0, width=20, tile=16)
    for wrong, message in (({"o_frac": 19}, "o_frac"), ({"scale_shift": 32}, "scale_shift"), ({"tile": 12}, "columns")):
        with pytest.raises(ValueError, match=message):
            softmax(x, **(values | wrong))
    with pytest.raises(ValueError, match="scale_shift"):
        softmax_scale(-2, 1)
