"""The golden softmax against float64, its masking and pruning, and the range of its shift."""

import math

import pytest
import torch

from acceltran.hw.spec.exponential import ARGUMENT_FRAC
from acceltran.hw.spec.softmax import Z_BITS, x_shifts
from acceltran.sw.golden.softmax import logit_factor, softmax

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


def error(x, x_shift, valid, o_frac, tile=16, width=20):
    p = softmax(x, valid_columns=valid, x_shift=x_shift, o_frac=o_frac, tau=0, width=width, tile=tile)
    reference = torch.softmax(x[:, :valid].double() * 2.0 ** (x_shift - ARGUMENT_FRAC) * math.log(2), 1)
    assert not p[:, valid:].any()
    return float((p[:, :valid].double() * 2.0**-o_frac - reference).abs().max())


@pytest.mark.parametrize("kind", ["random", "close", "equal", "one", "rising"])
@pytest.mark.parametrize("columns", [16, 128, 512])
def test_error_against_float(kind, columns):
    for x_shift in x_shifts(20):
        for seed in (x_shift, x_shift + 10):
            assert error(scores(kind, 64, columns, 20, seed), x_shift, columns - 3, 18) <= 4 * UNIT


def test_error_with_many_small_terms():
    """Truncation in the sum adds up at most: 511 terms just short of a multiple of its unit, beside one of 1."""
    x = (-(torch.arange(24 << 7)[:, None] << 9) - 255).repeat(1, 512)
    for first in (0, -1, 0x4000):
        x[:, 0] = first
        p = softmax(x, valid_columns=512, x_shift=0, o_frac=18, tau=0, width=24, tile=16)
        reference = torch.softmax(x.double() / 2**16 * math.log(2), 1)
        assert (p.double() / 2**18 - reference).abs().max() <= 4 * UNIT


@pytest.mark.parametrize(("width", "o_frac"), [(8, 6), (8, 5), (12, 10), (20, 8), (24, 18)])
def test_error_at_other_widths(width, o_frac):
    x = scores("random", 64, 128, width)
    for x_shift in x_shifts(width):
        assert error(x, x_shift, 100, o_frac, tile=8, width=width) <= 2.0 ** -(o_frac + 1) + 4 * UNIT


def test_tile_size_changes_the_last_bits_only():
    x = scores("rising", 64, 128, 20)
    values = dict(valid_columns=128, x_shift=2, o_frac=18, tau=0, width=20)
    assert (softmax(x, tile=8, **values) - softmax(x, tile=16, **values)).abs().max() <= 8


def test_equal_scores_and_a_single_column():
    values = dict(x_shift=0, o_frac=18, tau=0, width=20, tile=16)
    p = softmax(torch.full((2, 32), 12345), valid_columns=20, **values)
    assert (p[:, :20].double() / 2**18 - 0.05).abs().max() <= 2 * UNIT
    assert not p[:, 20:].any()
    p = softmax(scores("random", 8, 32, 20), valid_columns=1, **values)
    assert (p[:, 0].double() / 2**18 - 1).abs().max() <= 2 * UNIT
    assert not softmax(scores("random", 8, 32, 20), valid_columns=0, **values).any()


def test_pruning_keeps_ties():
    x = scores("close", 16, 64, 20)
    values = dict(valid_columns=64, x_shift=0, o_frac=18, width=20, tile=16)
    plain = softmax(x, tau=0, **values)
    tau = int(plain.median())
    assert (softmax(x, tau=tau, **values) == torch.where(plain < tau, 0, plain)).all()
    assert (softmax(x, tau=tau, **values) == tau).any()


@pytest.mark.parametrize("head_size", [1, 16, 32, 64, 80, 128])
def test_logit_factor_makes_base_2_logarithms(head_size):
    x = torch.linspace(-40, 40, 33, dtype=torch.float64)
    assert torch.allclose(torch.exp2(x * logit_factor(head_size)), torch.exp(x / math.sqrt(head_size)), rtol=1e-12)


@pytest.mark.parametrize("width", range(8, 25))
def test_ends_of_the_shifts(width):
    """The largest is the largest with which z holds the largest words; beyond either end there is a refusal."""
    largest, values = Z_BITS - width, dict(valid_columns=2, o_frac=width - 2, tau=0, width=width, tile=2)
    low, high = -(1 << (width - 1)), (1 << (width - 1)) - 1
    x = torch.tensor([[high, low], [low, high], [low, low], [high, high]])
    for x_shift in (0, largest):
        assert -(1 << (Z_BITS - 1)) <= low << x_shift < high << x_shift < 1 << (Z_BITS - 1)
        reference = torch.softmax((x << x_shift).double() * 2.0**-ARGUMENT_FRAC * math.log(2), 1)
        p = softmax(x, x_shift=x_shift, **values)
        assert (p.double() * 2.0 ** -(width - 2) - reference).abs().max() <= 2.0 ** -(width - 1) + 4 * UNIT
    assert low << largest == -(1 << (Z_BITS - 1))
    for x_shift in (-1, largest + 1):
        with pytest.raises(ValueError, match=f"x_shift = {x_shift}: choose 0 to {largest}, that is 16 to {width - 10} frac"):
            softmax(x, x_shift=x_shift, **values)


def test_refusals():
    x = torch.zeros(1, 16, dtype=torch.int64)
    values = dict(valid_columns=16, x_shift=0, o_frac=18, tau=0, width=20, tile=16)
    for wrong, message in (({"o_frac": 19}, "o_frac"), ({"x_shift": 7}, "x_shift"), ({"tile": 12}, "columns")):
        with pytest.raises(ValueError, match=message):
            softmax(x, **(values | wrong))
